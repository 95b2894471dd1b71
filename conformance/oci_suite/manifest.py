"""Manifests as values: bytes, what they refer to, and what the registry should say of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .digests import Source, digest_of

OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER = (DOCKER_IMAGE, DOCKER_LIST)
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
ACCEPT = ", ".join((OCI_IMAGE, OCI_INDEX, DOCKER_IMAGE, DOCKER_LIST, "*/*;q=0.1"))

Document = dict[str, Any]


@dataclass(frozen=True)
class Manifest:
    """Bytes to push, with the blobs and child manifests that must be there before.

    `algorithm` makes the digests of the manifest and all it refers to. `artifact_type` is what a list of
    referrers has to say of it (None: the field is left out).
    """

    media_type: str
    body: bytes
    algorithm: str = "sha256"
    blobs: tuple[bytes, ...] = ()
    children: tuple["Manifest", ...] = ()
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The digest of the bytes."""
        return digest_of(self.body, self.algorithm)

    def descriptor(self) -> Document:
        """How another manifest refers to it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.body)}


def descriptor(media_type: str, data: bytes, algorithm: str) -> Document:
    """How a manifest refers to a blob."""
    return {"mediaType": media_type, "digest": digest_of(data, algorithm), "size": len(data)}


def encode(document: Document) -> bytes:
    """JSON without spaces, keys in their order."""
    return json.dumps(document, separators=(",", ":")).encode()


def image(
    source: Source,
    algorithm: str,
    *,
    media_type: str = OCI_IMAGE,
    config: tuple[str, bytes] | None = None,
    layers: Sequence[tuple[str, bytes]] | None = None,
    artifact_type: str | None = None,
    annotations: Mapping[str, str] | None = None,
    subject: Document | None = None,
    extra: Document | None = None,
) -> Manifest:
    """An image manifest: OCI or Docker, an image or an artifact. `extra` are further top-level fields."""
    label = source.label("image")
    if config is None:
        runtime = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
        config = (
            OCI_CONFIG,
            encode({**runtime, "config": {"Labels": {"unique": label}}, "seed": source.blob(8).hex()}),
        )
    if layers is None:
        layers = [(OCI_LAYER, source.blob(300)), (OCI_LAYER, source.blob(200))]
    document: Document = {"schemaVersion": 2, "mediaType": media_type}
    if artifact_type is not None:
        document["artifactType"] = artifact_type
    document["config"] = descriptor(*config, algorithm)
    document["layers"] = [descriptor(*layer, algorithm) for layer in layers]
    if subject is not None:
        document["subject"] = subject
    if annotations is not None:
        document["annotations"] = dict(annotations)
    document |= extra or {}
    blobs = dict.fromkeys((config[1], *(data for _, data in layers)))
    return Manifest(
        media_type,
        encode(document),
        algorithm,
        tuple(blobs),
        (),
        artifact_type or config[0],
        annotations or {},
    )


def index(
    algorithm: str,
    children: Sequence[Manifest],
    *,
    media_type: str = OCI_INDEX,
    platforms: Sequence[Document] = (),
    artifact_type: str | None = None,
    annotations: Mapping[str, str] | None = None,
    subject: Document | None = None,
    extra: Document | None = None,
) -> Manifest:
    """An image index or Docker list of manifests; `platforms` are put on the first children."""
    entries = [child.descriptor() for child in children]
    for entry, platform in zip(entries, platforms, strict=False):
        entry["platform"] = platform
    document: Document = {"schemaVersion": 2, "mediaType": media_type}
    if artifact_type is not None:
        document["artifactType"] = artifact_type
    document["manifests"] = entries
    if subject is not None:
        document["subject"] = subject
    if annotations is not None:
        document["annotations"] = dict(annotations)
    document |= extra or {}
    return Manifest(
        media_type, encode(document), algorithm, (), tuple(children), artifact_type, annotations or {}
    )
