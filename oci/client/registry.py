"""The calls of the distribution API that are one request, or pages of one list, at any registry."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from oci.client.errors import ContentError, IntegrityError, NotFoundError, ResponseError
from oci.client.jsontext import read_object
from oci.client.transport import Reply, Transport
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import StoreError
from registry.contract.manifest import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    parse_manifest,
)
from registry.contract.names import Reference, Repository, Tag, fallback_tag

_ACCEPT = ", ".join((OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST, "*/*"))
_LARGEST_MANIFEST = 64 * 1024 * 1024
_NEXT = re.compile(r'<([^>]*)>\s*;(?:[^,<]*;)?\s*rel="?next"?', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FetchedManifest:
    """A manifest with its exact bytes, checked against `digest`."""

    digest: Digest
    media_type: str
    data: bytes
    manifest: Manifest


class RegistryClient:
    """The distribution API of one registry."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def has_blob(self, repository: Repository, digest: Digest) -> bool:
        """Is the blob in the repository?"""
        try:
            await self.transport.request("HEAD", f"/v2/{repository}/blobs/{digest}")
        except NotFoundError:
            return False
        return True

    async def manifest(self, repository: Repository, reference: Reference) -> FetchedManifest:
        """Fetch and check. Raises NotFoundError, IntegrityError, StoreError for what is no manifest."""
        reply = await self.transport.request(
            "GET",
            f"/v2/{repository}/manifests/{reference}",
            headers={"Accept": _ACCEPT},
            limit=_LARGEST_MANIFEST,
        )
        claimed = _claimed_digest(reply)
        if isinstance(reference, Digest):
            digest = reference
        else:
            digest = claimed or Digest.of(reply.body, Algorithm.SHA256)
        for expected in {digest, claimed or digest}:
            if Digest.of(reply.body, expected.algorithm) != expected:
                raise IntegrityError(
                    f"{self.transport.host} served bytes for the manifest {reference} that are not {expected}"
                )
        content_type = reply.headers.get("Content-Type", "").partition(";")[0].strip() or None
        manifest = parse_manifest(reply.body, content_type)
        return FetchedManifest(digest, manifest.media_type, reply.body, manifest)

    async def digest_of(self, repository: Repository, tag: Tag) -> Digest:
        """What a tag points at now. Raises NotFoundError."""
        reply = await self.transport.request(
            "HEAD", f"/v2/{repository}/manifests/{tag}", headers={"Accept": _ACCEPT}
        )
        return _claimed_digest(reply) or (await self.manifest(repository, tag)).digest

    async def describe(self, repository: Repository, digest: Digest) -> Descriptor:
        """The descriptor of a manifest that is there, as a `subject` wants it. Raises NotFoundError."""
        found = await self.manifest(repository, digest)
        return Descriptor(found.media_type, digest, len(found.data))

    async def put_manifest(
        self, repository: Repository, reference: Reference, media_type: str, data: bytes
    ) -> Mapping[str, str]:
        """Store the bytes; the answer's headers."""
        reply = await self.transport.request(
            "PUT",
            f"/v2/{repository}/manifests/{reference}",
            headers={"Content-Type": media_type},
            body=data,
            accept=(201, 200, 202),
        )
        return reply.headers

    async def repositories(self) -> AsyncIterator[Repository]:
        """The catalog, page by page, as the registry sorts it."""
        async for name in self._names("/v2/_catalog?n=1000", "repositories"):
            yield Repository(name)

    async def tags(self, repository: Repository) -> AsyncIterator[Tag]:
        """The tags, page by page. Raises NotFoundError for an unknown repository."""
        async for name in self._names(f"/v2/{repository}/tags/list?n=1000", "tags"):
            yield Tag(name)

    async def referrers(self, repository: Repository, subject: Digest) -> tuple[Descriptor, ...]:
        """What refers to `subject`, by the referrers API or, where there is none, the fallback tag."""
        try:
            pages = [page async for page in self._pages(f"/v2/{repository}/referrers/{subject}")]
        except ResponseError as error:
            # Registries before 1.1 know no such path; what they say about it varies.
            if error.status not in (400, 404, 405, 406, 501):
                raise
            index = await self.fallback_index(repository, subject)
            return index.manifest.children if index is not None else ()
        return tuple(
            descriptor for page in pages for descriptor in parse_manifest(page.body, OCI_INDEX).children
        )

    async def fallback_index(self, repository: Repository, subject: Digest) -> FetchedManifest | None:
        """The index under the referrers fallback tag (distribution-spec, "Referrers Tag Schema")."""
        try:
            found = await self.manifest(repository, fallback_tag(subject))
        except NotFoundError:
            return None
        if not found.manifest.is_index:
            raise ContentError(f"{repository}:{fallback_tag(subject)} is no index of referrers")
        return found

    async def _names(self, location: str, key: str) -> AsyncIterator[str]:
        async for page in self._pages(location):
            names = read_object(page.body, location).get(key)
            for name in names if isinstance(names, list) else ():
                if isinstance(name, str):
                    yield name

    async def _pages(self, location: str) -> AsyncIterator[Reply]:
        seen: set[str] = set()
        following: str | None = location
        while following is not None:
            seen.add(following)
            reply = await self.transport.request("GET", following)
            yield reply
            link = _NEXT.search(reply.headers.get("Link", ""))
            following = self.transport.resolve(link[1], reply.url) if link else None
            if following in seen:
                raise ContentError(
                    f"{self.transport.host} repeats a page of {urlsplit(location).path} for ever"
                )


def with_digest(location: str, digest: Digest) -> str:
    """An upload's location with the digest that completes it; what is in its query stays as it is."""
    return f"{location}{'&' if '?' in location else '?'}digest={quote(str(digest), safe='')}"


def _claimed_digest(reply: Reply) -> Digest | None:
    try:
        return Digest.parse(reply.headers.get("Docker-Content-Digest", ""))
    except StoreError:
        return None
