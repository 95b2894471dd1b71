"""Everything that a registry tells about one artifact, as one JSON-serialisable document."""

from __future__ import annotations

import json
from typing import Any

from oci.client.errors import ClientError, ContentError, NotFoundError
from oci.client.pull import fetch_package, name_layers
from oci.client.registry import RegistryClient
from registry.contract.digest import Digest
from registry.contract.manifest import TITLE, Descriptor
from registry.contract.names import Reference, Repository, fallback_tag, parse_tag
from registry.contract.package import encode_package, package_digest

#: A tree of referrers may be endless only by malice.
_DEEPEST = 8
_MOST_REFERRERS = 1000

#: cosign's older form: a tag beside the artifact for each of its signatures, attestations and SBOMs.
_COSIGN = {
    ".sig": "application/vnd.dev.cosign.artifact.sig.v1+json",
    ".att": "application/vnd.dev.cosign.artifact.att.v1+json",
    ".sbom": "application/vnd.dev.cosign.artifact.sbom.v1+json",
}


async def inspect(registry: RegistryClient, repository: Repository, reference: Reference) -> dict[str, Any]:
    """Keys: `manifest_digest`, `size`, `media_type`, `artifact_type`, `subject`, `labels`, `files`,
    `children`, `referrers` (a tree), `package` (null of other artifacts) and `native` (null elsewhere).

    Raises ClientError, StoreError.
    """
    fetched = await registry.manifest(repository, reference)
    manifest = fetched.manifest
    package = await fetch_package(registry, repository, fetched)
    try:
        named = name_layers(manifest)
    except ContentError:
        # Looking at what a pull refuses is the way to find out about it.
        named = tuple((layer.annotations.get(TITLE, ""), layer) for layer in manifest.layers)
    return {
        "manifest_digest": str(fetched.digest),
        "size": len(fetched.data),
        "media_type": fetched.media_type,
        "artifact_type": manifest.artifact_type,
        "subject": None if manifest.subject is None else str(manifest.subject.digest),
        "labels": dict(manifest.annotations),
        "files": [{"relative_path": path, **_described(layer)} for path, layer in named],
        "children": [_described(child) for child in manifest.children],
        "referrers": await _Referrers(registry, repository).tree(fetched.digest, _DEEPEST),
        "package": None
        if package is None
        else {
            "package_digest": str(package_digest(encode_package(package))),
            "variant": package.variant,
            "metadata": dict(package.metadata),
        },
        "native": await _native(registry, repository, fetched.digest),
    }


def _described(descriptor: Descriptor) -> dict[str, Any]:
    return {
        "digest": str(descriptor.digest),
        "size": descriptor.size,
        "media_type": descriptor.media_type,
    }


class _Referrers:
    """The tree of what refers to a manifest, each digest once."""

    def __init__(self, registry: RegistryClient, repository: Repository) -> None:
        self._registry = registry
        self._repository = repository
        self._seen: set[Digest] = set()

    async def tree(self, subject: Digest, depth: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for descriptor in await self._registry.referrers(self._repository, subject):
            if descriptor.digest not in self._seen and len(self._seen) < _MOST_REFERRERS:
                self._seen.add(descriptor.digest)
                found.append(await self._node(descriptor, depth, None))
        for suffix, kind in _COSIGN.items():
            tag = parse_tag(fallback_tag(subject) + suffix) if subject.algorithm == "sha256" else None
            if tag is None:
                continue
            try:
                digest = await self._registry.digest_of(self._repository, tag)
            except NotFoundError:
                continue
            if digest not in self._seen:
                self._seen.add(digest)
                found.append(await self._node(await self._descriptor(digest, kind), depth, tag))
        return found

    async def _descriptor(self, digest: Digest, kind: str) -> Descriptor:
        described = await self._registry.describe(self._repository, digest)
        return Descriptor(described.media_type, digest, described.size, artifact_type=kind)

    async def _node(self, descriptor: Descriptor, depth: int, tag: str | None) -> dict[str, Any]:
        return {
            "digest": str(descriptor.digest),
            "media_type": descriptor.media_type,
            "artifact_type": descriptor.artifact_type,
            "annotations": dict(descriptor.annotations),
            "tag": tag,
            "referrers": await self.tree(descriptor.digest, depth - 1) if depth > 1 else [],
        }


async def _native(registry: RegistryClient, repository: Repository, digest: Digest) -> dict[str, Any] | None:
    """What the native API adds to the manifest; None at any other registry."""
    try:
        reply = await registry.transport.request(
            "GET", f"/api/v1/packages/{repository}@{digest}", repeat=False
        )
        document = json.loads(reply.body)
    except (ClientError, ValueError):
        return None
    if not isinstance(document, dict) or document.get("manifest_digest") != str(digest):
        return None
    return {key: document.get(key) for key in ("versions", "created_at", "schema_version")}
