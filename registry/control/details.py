"""What a manifest's bytes say, as rows of the views: a pure function, so that a replay gives the same."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from registry.contract import jsonvalue
from registry.contract.digest import Digest
from registry.contract.jsonvalue import JsonValue
from registry.contract.manifest import OCI_EMPTY, TITLE, EdgeKind, Manifest
from registry.contract.model import FileEntry
from registry.contract.package import PackageManifest
from registry.contract.package_rules import path_fault

#: Search sees at most this many paths of a package, and scalars of at most so many bytes (decision 29).
MOST_PATHS = 256
LONGEST_SCALAR = 256

_UNTITLED = "_layers/"


@dataclass(frozen=True, slots=True)
class EdgeDetails:
    """One row of `manifest_edges`; `relative_path` is set for files."""

    kind: EdgeKind
    digest: Digest
    size: int
    media_type: str
    relative_path: str | None


@dataclass(frozen=True, slots=True)
class ManifestDetails:
    """The columns and rows that come from the bytes. `annotations` is canonical JSON or None."""

    artifact_type: str | None
    subject: Digest | None
    annotations: str | None
    variant: str | None
    edges: tuple[EdgeDetails, ...]
    fields: tuple[tuple[str, str], ...]


def details_of(manifest: Manifest, package: PackageManifest | None) -> ManifestDetails:
    """Derive the rows of `manifest`; `package` is its canonical manifest where it is a native one."""
    titles = iter(file_names(manifest, native=package is not None))
    edges = tuple(
        EdgeDetails(
            edge.kind,
            edge.descriptor.digest,
            edge.descriptor.size,
            edge.descriptor.media_type,
            next(titles) if edge.kind is EdgeKind.LAYER else None,
        )
        for edge in manifest.edges
    )
    return ManifestDetails(
        artifact_type=manifest.artifact_type,
        subject=manifest.subject.digest if manifest.subject else None,
        annotations=json.dumps(dict(manifest.annotations), sort_keys=True) if manifest.annotations else None,
        variant=package.variant if package else None,
        edges=edges,
        fields=tuple(_fields(manifest, package)),
    )


def foreign_files(manifest: Manifest) -> tuple[FileEntry, ...]:
    """The layers of a foreign artifact as files of a package."""
    return tuple(
        FileEntry(name, layer.digest, layer.size, layer.media_type)
        for name, layer in zip(file_names(manifest, native=False), manifest.layers, strict=True)
        if name is not None
    )


def file_names(manifest: Manifest, *, native: bool) -> list[str | None]:
    """A relative path for each layer; None for the empty layer that stands for "no files".

    Foreign artifacts may lack titles, repeat them or use paths that would escape: such layers are called
    `_layers/NNN-<12 hex>` (decision 19).
    """
    titles = [layer.annotations.get(TITLE) for layer in manifest.layers]
    usable = set(titles) if native else _usable(titles)
    names: list[str | None] = []
    for number, (layer, title) in enumerate(zip(manifest.layers, titles, strict=True)):
        if title is not None and title in usable:
            names.append(title)
        elif layer.media_type == OCI_EMPTY and title is None:
            names.append(None)
        else:
            names.append(f"{_UNTITLED}{number:03d}-{layer.digest.hex[:12]}")
    return names


def _usable(titles: Sequence[str | None]) -> set[str | None]:
    """Titles that can be paths, stand once, and are not the folder of another."""
    counts = Counter(title for title in titles if title is not None)
    sound = {
        title
        for title, times in counts.items()
        if times == 1 and not title.startswith(_UNTITLED) and path_fault(title) is None
    }
    folders = {str(parent) for title in sound for parent in PurePosixPath(title).parents}
    return set(sound - folders)


def _fields(manifest: Manifest, package: PackageManifest | None) -> Iterator[tuple[str, str]]:
    """At most MOST_PATHS distinct (path, canonical JSON scalar) rows."""
    seen: set[tuple[str, str]] = set()
    paths: set[str] = set()
    for path, value in _scalars(manifest, package):
        text = scalar_text(value)
        if (
            max(len(text.encode()), len(path.encode())) > LONGEST_SCALAR
            or "\0" in path
            or (path, text) in seen
        ):
            continue
        paths.add(path)
        if len(paths) > MOST_PATHS:
            return
        seen.add((path, text))
        yield path, text


def _scalars(manifest: Manifest, package: PackageManifest | None) -> Iterator[tuple[str, JsonValue]]:
    if package is not None and package.variant is not None:
        yield "variant", package.variant
    labels: Mapping[str, str] = package.labels if package is not None else manifest.annotations
    for key in sorted(labels):
        yield f"label.{key}", labels[key]
    if package is not None:
        for key in sorted(package.metadata):
            yield from _walk(f"metadata.{key}", package.metadata[key])


def _walk(path: str, value: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    if isinstance(value, dict):
        for key in sorted(value):
            yield from _walk(f"{path}.{key}", value[key])
    elif isinstance(value, list):
        for item in value:
            yield from _walk(path, item)
    else:
        yield path, value


def scalar_text(value: JsonValue) -> str:
    """A scalar as canonical JSON, the form in which search compares."""
    return jsonvalue.canonical(value).decode("utf-8")
