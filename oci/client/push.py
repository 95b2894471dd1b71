"""Files into a registry as an OCI artifact that oras and its like can pull.

Source of the form: image-spec manifest.md, "Guidelines for Artifact Usage"; a layer's title is the file's
relative path. Nothing in the manifest depends on the time, so the same files are the same digest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from oci.client.errors import ContentError, NotFoundError
from oci.client.files import LocalFile
from oci.client.journal import Journal
from oci.client.parallel import each
from oci.client.progress import Progress, Silent
from oci.client.referrers import announce_referrer
from oci.client.registry import RegistryClient
from oci.client.source import BytesSource, FileSource
from oci.client.upload import push_blob
from registry.contract.digest import Algorithm, Digest
from registry.contract.jsonvalue import JsonValue, canonical
from registry.contract.manifest import OCI_MANIFEST, TITLE, Descriptor
from registry.contract.names import Repository, Tag
from registry.contract.package_oci import EMPTY_CONTENT, EMPTY_DESCRIPTOR

#: What a file is when nobody says.
DEFAULT_MEDIA_TYPE = "application/octet-stream"

#: What other clients call an artifact whose type nobody said.
DEFAULT_ARTIFACT_TYPE = "application/vnd.unknown.artifact.v1"


@dataclass(frozen=True, slots=True)
class NewArtifact:
    """What shall be pushed. `labels` become annotations of the manifest."""

    files: Sequence[LocalFile]
    media_type: str = DEFAULT_MEDIA_TYPE
    artifact_type: str = DEFAULT_ARTIFACT_TYPE
    labels: Mapping[str, str] = field(default_factory=dict)
    subject: Digest | None = None


@dataclass(frozen=True, slots=True)
class PushedFile:
    """One file of a push; `sent` is False when the registry had the content already."""

    relative_path: str
    digest: Digest
    size: int
    sent: bool


@dataclass(frozen=True, slots=True)
class Pushed:
    """The manifest that was stored, and its files in order."""

    digest: Digest
    size: int
    files: tuple[PushedFile, ...]


async def push_artifact(
    registry: RegistryClient,
    repository: Repository,
    tag: Tag | None,
    artifact: NewArtifact,
    *,
    journal: Journal,
    progress: Progress,
    jobs: int,
) -> Pushed:
    """Push files, then the manifest under `tag` or, without one, its digest. Raises ClientError."""
    subject = await _subject(registry, repository, artifact.subject)
    pushed: dict[str, PushedFile] = {}
    under_way: dict[Digest, asyncio.Lock] = {}

    async def one(file: LocalFile) -> None:
        with FileSource(file.path) as source:
            digests = await source.digests((Algorithm.SHA256,))
            digest = digests[Algorithm.SHA256]
            # The same content twice is sent once: the second finds it there.
            async with under_way.setdefault(digest, asyncio.Lock()):
                sent = await push_blob(
                    registry, repository, digest, source, journal=journal, progress=progress
                )
            pushed[file.relative_path] = PushedFile(file.relative_path, digest, source.size, sent)

    await each(artifact.files, jobs, one)
    await push_blob(
        registry,
        repository,
        EMPTY_DESCRIPTOR.digest,
        BytesSource(EMPTY_CONTENT),
        journal=journal,
        progress=Silent(),  # no part of what the user pushes
    )
    ordered = tuple(pushed[name] for name in sorted(pushed))
    data = build_manifest(artifact, ordered, subject)
    digest = Digest.of(data, Algorithm.SHA256)
    headers = await registry.put_manifest(repository, tag if tag is not None else digest, OCI_MANIFEST, data)
    if subject is not None and "OCI-Subject" not in headers:
        referrer = Descriptor(OCI_MANIFEST, digest, len(data), artifact.labels, artifact.artifact_type)
        await announce_referrer(registry, repository, subject.digest, referrer)
    return Pushed(digest, len(data), ordered)


def build_manifest(artifact: NewArtifact, files: Sequence[PushedFile], subject: Descriptor | None) -> bytes:
    """The manifest's bytes, RFC 8785 JSON."""
    layers: list[JsonValue] = [
        Descriptor(artifact.media_type, file.digest, file.size, {TITLE: file.relative_path}).to_json()
        for file in files
    ]
    document: dict[str, JsonValue] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact.artifact_type,
        "config": EMPTY_DESCRIPTOR.to_json(),
        "layers": layers or [EMPTY_DESCRIPTOR.to_json()],
    }
    if artifact.labels:
        document["annotations"] = dict(artifact.labels)
    if subject is not None:
        document["subject"] = subject.to_json()
    return canonical(document)


async def _subject(
    registry: RegistryClient, repository: Repository, digest: Digest | None
) -> Descriptor | None:
    if digest is None:
        return None
    try:
        return await registry.describe(repository, digest)
    except NotFoundError:
        raise ContentError(f"there is no manifest {digest} in {repository} to be the subject") from None
