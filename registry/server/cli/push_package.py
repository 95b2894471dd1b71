"""Pushing a package through the native API: an upload for each file, then the package by their addresses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oci.client.errors import ContentError, IntegrityError, NotFoundError
from oci.client.files import LocalFile
from oci.client.journal import Journal, UploadKey
from oci.client.jsontext import read_object
from oci.client.parallel import each
from oci.client.progress import Progress
from oci.client.registry import RegistryClient
from oci.client.resumable import Place, ResumableUpload
from oci.client.source import FileSource
from oci.client.transport import Body, Reply
from oci.client.upload import SMALL
from registry.contract.digest import ALWAYS, Algorithm, Digest
from registry.contract.names import Reference, Repository

_JSON = {"Content-Type": "application/json"}
_OCTETS = {"Content-Type": "application/octet-stream"}


@dataclass(frozen=True, slots=True)
class PackagePush:
    """Pushes files as `repository:version`; `body` is the PUT's but for the files."""

    host: str
    repository: Repository
    version: Reference
    body: Mapping[str, Any]
    media_type: str
    jobs: int

    async def __call__(
        self, registry: RegistryClient, files: Sequence[LocalFile], journal: Journal, progress: Progress
    ) -> dict[str, Any]:
        """Answers as `push.Push` says. Raises ClientError."""
        done: dict[str, dict[str, Any]] = {}

        async def one(file: LocalFile) -> None:
            done[file.relative_path] = await self._push_file(registry, file, journal, progress)

        await each(files, self.jobs, one)
        ordered = [done[path] for path in sorted(done)]
        named = [
            {
                "relative_path": file["relative_path"],
                "content_address": file["digest"],
                "media_type": self.media_type,
            }
            for file in ordered
        ]
        location = f"/api/v1/packages/{self.repository}:{self.version}"
        reply = await registry.transport.request(
            "PUT",
            location,
            headers=_JSON,
            body=json.dumps({**self.body, "files": named}).encode(),
            accept=(200, 201),
        )
        stored = read_object(reply.body, location)
        return {
            "reference": f"{self.host}/{self.repository}:{self.version}",
            "manifest_digest": stored.get("manifest_digest"),
            "package_digest": stored.get("package_digest"),
            "files": ordered,
        }

    async def _push_file(
        self, registry: RegistryClient, file: LocalFile, journal: Journal, progress: Progress
    ) -> dict[str, Any]:
        with FileSource(file.path) as source:
            digests = await source.digests(ALWAYS)
            address = digests[Algorithm.BLAKE3]
            wire = NativeWire(registry, self.repository, digests, source.size)
            sent = not await wire.is_there()
            if sent:
                kept = journal if source.size > SMALL else Journal(None)
                key = UploadKey(registry.transport.base, self.repository, address, "native")
                with kept.entry(key) as entry:
                    backoff = registry.transport.backoff
                    upload = ResumableUpload(wire, source, entry=entry, backoff=backoff, progress=progress)
                    await upload.run()
            else:
                progress.advance(source.size)
            return {
                "relative_path": file.relative_path,
                "digest": str(address),
                "size": source.size,
                "sent": sent,
            }


class NativeWire:
    """The steps of a `Wire` in the native API, `/api/v1/uploads`. Both digests are checked."""

    def __init__(
        self, registry: RegistryClient, repository: Repository, digests: Mapping[Algorithm, Digest], size: int
    ) -> None:
        self._registry = registry
        self._request = registry.transport.request
        self._repository = repository
        self._digests = digests
        self._size = size

    async def begin(self) -> Place:
        body = {
            "size": self._size,
            "digest": str(self._digests[Algorithm.BLAKE3]),
            "repository": self._repository,
        }
        try:
            reply = await self._request(
                "POST", "/api/v1/uploads", headers=_JSON, body=json.dumps(body).encode(), accept=(201,)
            )
        except NotFoundError:
            raise ContentError(
                f"{self._registry.transport.host} has no native API, which packages need; "
                "leave out --native, --variant and --metadata to push an OCI artifact"
            ) from None
        location = reply.headers.get("Location")
        if not location:
            raise ContentError(
                f"{self._registry.transport.host} does not say where the upload is (no Location)"
            )
        return Place(self._registry.transport.resolve(location, reply.url))

    async def status(self, location: str) -> Place:
        reply = await self._request("GET", location)
        return Place(location, _offset(reply, self._registry.transport.host))

    async def append(self, location: str, start: int, body: Body) -> str:
        headers = {**_OCTETS, "Content-Range": f"bytes {start}-{start + body.length - 1}/*"}
        await self._request("PATCH", location, headers=headers, body=body, accept=(204,), repeat=False)
        return location

    async def finish(self, location: str) -> None:
        body = json.dumps({"digest": str(self._digests[Algorithm.BLAKE3])}).encode()
        reply = await self._request(
            "POST", f"{location}/complete", headers=_JSON, body=body, accept=(200, 201), repeat=False
        )
        stored = read_object(reply.body, "complete").get("digests")
        for algorithm, digest in self._digests.items():
            if not isinstance(stored, dict) or stored.get(algorithm.value) != str(digest):
                raise IntegrityError(
                    f"{self._registry.transport.host} stored something else: its {algorithm} is not {digest}"
                )

    async def cancel(self, location: str) -> None:
        await self._request("DELETE", location, accept=(204,), repeat=False)

    async def is_there(self) -> bool:
        try:
            await self._request("HEAD", f"/api/v1/content/{self._digests[Algorithm.BLAKE3]}")
        except NotFoundError:
            return False
        return True


def _offset(reply: Reply, host: str) -> int:
    offset = read_object(reply.body, "an upload").get("offset")
    if not isinstance(offset, int) or isinstance(offset, bool) or offset < 0:
        raise ContentError(f"{host} does not say how far an upload is")
    return offset
