"""OCI and Docker manifests as the store sees them: descriptors, children, subject. The bytes stay untouched.

Sources: image-spec manifest.md, image-index.md, descriptor.md; Docker's image manifest version 2, schema 2.
Unknown fields and types are never an error. What is checked is only what the store relies on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NoReturn

from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
TITLE = "org.opencontainers.image.title"

_INDEX_TYPES = frozenset({OCI_INDEX, DOCKER_LIST})
_MANIFEST_TYPES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
#: Layers that a registry may lack (image-spec layer.md, "Non-Distributable Layers"; Docker's foreign layers).
_NON_DISTRIBUTABLE = re.compile(
    r"application/vnd\.oci\.image\.layer\.nondistributable\.v1\.|"
    r"application/vnd\.docker\.image\.rootfs\.foreign\."
)
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")
_NO_ANNOTATIONS: Mapping[str, str] = MappingProxyType({})
_DEEPEST = 64
#: Two names of 127 characters and a slash (RFC 6838 section 4.2).
_LONGEST_TYPE = 255


class EdgeKind(StrEnum):
    """How a manifest reaches what it names."""

    CONFIG = "config"
    LAYER = "layer"
    MANIFEST = "manifest"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """image-spec descriptor.md. `size` is in bytes."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=lambda: _NO_ANNOTATIONS)
    artifact_type: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The descriptor as the specification writes it, absent fields left out."""
        document: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
        }
        if self.artifact_type:
            document["artifactType"] = self.artifact_type
        if self.annotations:
            document["annotations"] = dict(self.annotations)
        return document


@dataclass(frozen=True, slots=True)
class Edge:
    """One child of a manifest. `required` is False for non-distributable layers and inlined data."""

    kind: EdgeKind
    descriptor: Descriptor
    required: bool = True


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the store knows of a manifest's document.

    `artifact_type` follows distribution-spec "Listing Referrers": the manifest's own, on an image manifest
    without one its `config.mediaType`, on an index without one None.
    """

    media_type: str
    artifact_type: str | None
    edges: tuple[Edge, ...]
    subject: Descriptor | None
    annotations: Mapping[str, str]

    @property
    def is_index(self) -> bool:
        return self.media_type in _INDEX_TYPES

    @property
    def config(self) -> Descriptor | None:
        return next((edge.descriptor for edge in self.edges if edge.kind is EdgeKind.CONFIG), None)

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        return tuple(edge.descriptor for edge in self.edges if edge.kind is EdgeKind.LAYER)

    @property
    def children(self) -> tuple[Descriptor, ...]:
        return tuple(edge.descriptor for edge in self.edges if edge.kind is EdgeKind.MANIFEST)


def parse_manifest(data: bytes, content_type: str | None) -> Manifest:
    """Read `data`, declared as `content_type` (without parameters; None when undeclared).

    Raises StoreError MANIFEST_INVALID with a message that names the field, or DIGEST_INVALID.
    """
    document = _load(data)
    media_type = _media_type(document, content_type)
    if media_type not in _INDEX_TYPES and media_type not in _MANIFEST_TYPES:
        return _opaque(document, media_type)
    if document.get("schemaVersion") != 2:
        _refuse("schemaVersion must be 2")
    subject = _descriptor(document["subject"], "subject") if document.get("subject") is not None else None
    annotations = _annotations(document.get("annotations"), "annotations")
    artifact_type = document.get("artifactType")
    if artifact_type is not None:
        _check_type(artifact_type, "artifactType")
    if media_type in _INDEX_TYPES:
        if "layers" in document or "config" in document:
            _refuse("an index has no 'layers' and no 'config'")
        edges = _edges(document, "manifests", EdgeKind.MANIFEST)
        return Manifest(media_type, artifact_type or None, edges, subject, annotations)
    if "manifests" in document:
        _refuse("an image manifest has no 'manifests'")
    config = document.get("config")
    if config is None:
        _refuse("config is missing")
    config_edge = _edge(config, "config", EdgeKind.CONFIG)
    edges = (config_edge, *_edges(document, "layers", EdgeKind.LAYER))
    return Manifest(
        media_type, artifact_type or config_edge.descriptor.media_type or None, edges, subject, annotations
    )


def is_non_distributable(media_type: str) -> bool:
    """Whether a registry may lack layers of this type."""
    return _NON_DISTRIBUTABLE.match(media_type) is not None


def check_media_type(text: str) -> str:
    """A media type without parameters (RFC 6838 4.2); raises StoreError MANIFEST_INVALID."""
    if not _MEDIA_TYPE.fullmatch(text):
        _refuse("a media type looks like application/vnd.example+json, without parameters")
    return text


def _load(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_constant)
    except UnicodeDecodeError:
        _refuse("the manifest is not UTF-8")
    except RecursionError:
        _refuse("the manifest is nested too deeply")
    except ValueError as error:
        _refuse(f"the manifest is not JSON: {error}")
    if not isinstance(document, dict):
        _refuse("the manifest is not a JSON object")
    if _depth_exceeds(document, _DEEPEST):
        _refuse("the manifest is nested too deeply")
    if b"\\u" in data:
        _refuse_lone_surrogates(document)
    return document


def _refuse_lone_surrogates(document: dict[str, Any]) -> None:
    """Escapes such as \\ud800 alone stand for no character, so no database could hold them."""
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        _refuse("the manifest holds a lone surrogate escape")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return members


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _depth_exceeds(value: Any, deepest: int) -> bool:
    level = [value]
    for _ in range(deepest):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return False
    return True


def _media_type(document: dict[str, Any], content_type: str | None) -> str:
    declared = document.get("mediaType")
    if declared is not None and not isinstance(declared, str):
        _refuse("mediaType must be a string")
    if declared and content_type and declared != content_type:
        _refuse(f"Content-Type {content_type} differs from mediaType {declared}")
    media_type = declared or content_type
    if media_type is None:
        _refuse("neither Content-Type nor mediaType says what the manifest is")
    return check_media_type(media_type)


def _opaque(document: dict[str, Any], media_type: str) -> Manifest:
    """A manifest of a type this store does not know: kept as it is, edges read where they look familiar."""
    edges: list[Edge] = []
    for key, kind in (("manifests", EdgeKind.MANIFEST), ("layers", EdgeKind.LAYER)):
        items = document.get(key)
        for item in items if isinstance(items, list) else ():
            edges.extend(_lenient(item, kind))
    edges.extend(_lenient(document.get("config"), EdgeKind.CONFIG))
    subjects = _lenient(document.get("subject"), EdgeKind.MANIFEST)
    try:
        annotations = _annotations(document.get("annotations"), "annotations")
    except StoreError:
        annotations = _NO_ANNOTATIONS
    try:
        artifact_type = _check_type(document.get("artifactType"), "artifactType") or None
    except StoreError:
        artifact_type = None
    return Manifest(
        media_type,
        artifact_type,
        tuple(edges),
        subjects[0].descriptor if subjects else None,
        annotations,
    )


def _lenient(item: Any, kind: EdgeKind) -> tuple[Edge, ...]:
    try:
        return (_edge(item, kind.value, kind),)
    except StoreError:
        return ()


def _edges(document: dict[str, Any], key: str, kind: EdgeKind) -> tuple[Edge, ...]:
    items = document.get(key)
    if items is None:
        items = []
    if not isinstance(items, list):
        _refuse(f"{key} must be a list")
    return tuple(_edge(item, f"{key}[{index}]", kind) for index, item in enumerate(items))


def _edge(item: Any, where: str, kind: EdgeKind) -> Edge:
    descriptor = _descriptor(item, where)
    return Edge(kind, descriptor, required=not is_non_distributable(descriptor.media_type))


def _descriptor(item: Any, where: str) -> Descriptor:
    if not isinstance(item, dict):
        _refuse(f"{where} is not a descriptor")
    media_type, digest, size = item.get("mediaType"), item.get("digest"), item.get("size")
    media_type = _check_type(media_type, f"{where}.mediaType")
    if not isinstance(digest, str):
        _refuse(f"{where}.digest must be a string")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 2**63:
        _refuse(f"{where}.size must be a number of bytes")
    artifact_type = item.get("artifactType")
    try:
        parsed = Digest.parse(digest)
    except StoreError as error:
        _refuse(f"{where}.digest: {error.message}")
    return Descriptor(
        media_type,
        parsed,
        size,
        _annotations(item.get("annotations"), f"{where}.annotations"),
        artifact_type if isinstance(artifact_type, str) else None,
    )


def _check_type(value: Any, where: str) -> str:
    """A type as its producer wrote it. Bounded, for every list and page of referrers repeats it."""
    if not isinstance(value, str) or "\0" in value or len(value) > _LONGEST_TYPE:
        _refuse(f"{where} must be a string of at most {_LONGEST_TYPE} characters without NUL")
    return value


def _annotations(value: Any, where: str) -> Mapping[str, str]:
    if value is None:
        return _NO_ANNOTATIONS
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        _refuse(f"{where} must map strings to strings")
    return MappingProxyType(value)


def _refuse(message: str) -> NoReturn:
    raise StoreError(ErrorKind.MANIFEST_INVALID, message)
