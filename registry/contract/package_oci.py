"""A package as an OCI image manifest, and back: a pure function and its check (A9, decisions 17 and 19).

Source of the form: image-spec manifest.md, "Guidelines for Artifact Usage". Files are layers in the order of
the canonical manifest, two files of the same content are two layers, and the path is the layer's title.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.jsonvalue import JsonValue, canonical
from registry.contract.manifest import OCI_EMPTY, OCI_MANIFEST, TITLE, Descriptor
from registry.contract.package import PackageManifest, encode_package

#: Media type of the config that makes an OCI manifest a package.
PACKAGE_CONFIG = "application/vnd.artifact-store.package.v1+cbor"

#: What clients take for a manifest, in bytes (decision 21).
MAX_OCI_MANIFEST_BYTES = 4 * 1024 * 1024

#: The content of the OCI empty layer (image-spec manifest.md, "Guidance for an Empty Descriptor").
EMPTY_CONTENT = b"{}"
EMPTY_DESCRIPTOR = Descriptor(OCI_EMPTY, Digest.of(EMPTY_CONTENT, Algorithm.SHA256), len(EMPTY_CONTENT))

_ABSENT = "nothing"


def artifact_type(variant: str | None) -> str:
    """The `artifactType` of packages of `variant`, by which referrers are filtered."""
    return PACKAGE_CONFIG if variant is None else f"application/vnd.{variant}"


def to_oci_manifest(package: PackageManifest, config: bytes) -> bytes:
    """The OCI manifest of `package` in RFC 8785 JSON; `config` is `encode_package(package)`.

    A package without files has EMPTY_DESCRIPTOR as its one layer, so EMPTY_CONTENT has to be in the
    repository. Raises StoreError PACKAGE_TOO_LARGE beyond MAX_OCI_MANIFEST_BYTES.
    """
    data = canonical(_document(package, config))
    if len(data) > MAX_OCI_MANIFEST_BYTES:
        raise StoreError(
            ErrorKind.PACKAGE_TOO_LARGE,
            f"the package's OCI manifest would take {len(data)} bytes, more than {MAX_OCI_MANIFEST_BYTES}; "
            "put fewer files in it, or an archive of them",
        )
    return data


def matches_oci_manifest(package: PackageManifest, manifest: JsonValue) -> None:
    """Check that `manifest`, the parsed OCI manifest that came with the package's config, says the same.

    Compared are `artifactType`, `config`, `layers`, `annotations` and `subject`; of descriptors the media
    type, digest, size and annotations. Formatting and what else the image-spec allows (`data`, unknown
    members) are free. Raises StoreError MANIFEST_INVALID that names the first place that differs.

    Not checked here, since it takes the store: that the BLAKE3 digest that the package gives for each file
    is that of the layer's content.
    """
    found = manifest if isinstance(manifest, dict) else {}
    difference = next(_differences(_document(package, encode_package(package)), found), None)
    if difference:
        raise StoreError(
            ErrorKind.MANIFEST_INVALID, f"the manifest and its package config differ: {difference}"
        )


def _document(package: PackageManifest, config: bytes) -> dict[str, Any]:
    layers = [
        Descriptor(file.media_type, file.sha256, file.size, {TITLE: file.relative_path}).to_json()
        for file in package.files
    ]
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type(package.variant),
        "config": Descriptor(PACKAGE_CONFIG, Digest.of(config, Algorithm.SHA256), len(config)).to_json(),
        "layers": layers or [EMPTY_DESCRIPTOR.to_json()],
    }
    if package.labels:
        document["annotations"] = dict(package.labels)
    if package.subject:
        document["subject"] = package.subject.to_json()
    return document


def _differences(expected: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    yield from _value("artifactType", expected["artifactType"], found.get("artifactType"))
    yield from _value("annotations", expected.get("annotations", {}), found.get("annotations") or {})
    yield from _descriptor("config", expected["config"], found.get("config"))
    yield from _descriptor("subject", expected.get("subject"), found.get("subject"))
    layers = found.get("layers")
    if not isinstance(layers, list) or len(layers) != len(expected["layers"]):
        count = len(layers) if isinstance(layers, list) else _ABSENT
        yield f"layers has {count} where the package has {len(expected['layers'])}"
        return
    for index, (layer, other) in enumerate(zip(expected["layers"], layers, strict=True)):
        yield from _descriptor(f"layers[{index}]", layer, other)


def _descriptor(where: str, expected: dict[str, Any] | None, found: Any) -> Iterator[str]:
    if expected is None or not isinstance(found, dict):
        yield from _value(where, expected, found)
        return
    for member in ("mediaType", "digest", "size"):
        yield from _value(f"{where}.{member}", expected[member], found.get(member))
    yield from _value(f"{where}.annotations", expected.get("annotations", {}), found.get("annotations") or {})


def _value(where: str, expected: Any, found: Any) -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(expected.keys() | found.keys()):
            if expected.get(key) != found.get(key):
                yield f"{where} {_shown(key)} is {_shown(found.get(key))}, not {_shown(expected.get(key))}"
    elif expected != found or isinstance(found, bool):
        yield f"{where} is {_shown(found)}, not {_shown(expected)}"


def _shown(value: Any) -> str:
    """Short enough for a message, and safe to print."""
    if value is None:
        return _ABSENT
    if isinstance(value, dict | list):
        return type(value).__name__
    text = ascii(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
