"""The canonical package manifest: what a package is, as one form of deterministic CBOR (decision 17, A4).

The bytes are a map with exactly these keys (sorted as RFC 8949 4.2.1 says; null where there is nothing):

    "v"         1, the format version
    "variant"   text or null
    "metadata"  map, JSON's data model with numbers as decision 18
    "labels"    map of text to text
    "files"     array of maps, ascending by the bytes of "relative_path":
                "relative_path" text, "size" in bytes, "media_type" text,
                "blake3" and "sha256" byte strings of 32
    "subject"   null, or a map of "media_type" text, "digest" text, "size" in bytes

Repository, version, time, actor and schema version are not in it, so the same content has the same digest
everywhere. Both digests of a file are: BLAKE3 makes the package digest a Merkle root over native addresses,
and with SHA-256 the OCI manifest is a pure function of these bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from registry.contract import cbor
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, FieldError, StoreError
from registry.contract.jsonvalue import JsonValue
from registry.contract.manifest import Descriptor, check_media_type
from registry.contract.package_rules import check_package

FORMAT_VERSION = 1
DEFAULT_MEDIA_TYPE = "application/octet-stream"

#: Metadata and the files of the largest OCI manifest fit with room to spare; bytes.
MAX_PACKAGE_BYTES = 6 * 1024 * 1024

_PACKAGE_KEYS = {"v", "variant", "metadata", "labels", "files", "subject"}
_FILE_KEYS = {"relative_path", "size", "media_type", "blake3", "sha256"}
_SUBJECT_KEYS = {"media_type", "digest", "size"}


@dataclass(frozen=True, slots=True)
class PackageFile:
    """One file of a package; `size` is in bytes. `blake3` is its content address, `sha256` its OCI digest."""

    relative_path: str
    size: int
    blake3: Digest
    sha256: Digest
    media_type: str = DEFAULT_MEDIA_TYPE


@dataclass(frozen=True, slots=True)
class PackageManifest:
    """What a package is. `files` may be given in any order and are kept sorted by the bytes of their paths.

    `subject` is known by media type, digest and size alone.
    """

    variant: str | None = None
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    files: tuple[PackageFile, ...] = ()
    subject: Descriptor | None = None

    def __post_init__(self) -> None:
        # Python orders text by code point, which is the order of its UTF-8 bytes.
        ordered = tuple(sorted(self.files, key=lambda file: file.relative_path))
        object.__setattr__(self, "files", ordered)


def encode_package(manifest: PackageManifest) -> bytes:
    """The canonical bytes of `manifest`, its OCI config.

    Raises StoreError VALIDATION_FAILED with every error's path (files by their place in `manifest.files`),
    PACKAGE_TOO_LARGE.
    """
    check_package(manifest)
    document = {
        "v": FORMAT_VERSION,
        "variant": manifest.variant,
        "metadata": manifest.metadata,
        "labels": manifest.labels,
        "files": [_file_document(file, f"/files/{index}") for index, file in enumerate(manifest.files)],
        "subject": _subject_document(manifest.subject) if manifest.subject else None,
    }
    try:
        return cbor.encode(document, max_bytes=MAX_PACKAGE_BYTES)
    except cbor.CborError as error:  # all but the size has been checked
        raise StoreError(ErrorKind.PACKAGE_TOO_LARGE, f"the package's manifest: {error}") from None


def decode_package(data: bytes) -> PackageManifest:
    """The package whose canonical bytes are `data`: `encode_package(decode_package(data)) == data`.

    Raises StoreError VALIDATION_FAILED for every other encoding and for what the rules refuse,
    PACKAGE_TOO_LARGE.
    """
    if len(data) > MAX_PACKAGE_BYTES:
        message = f"the package's manifest takes {len(data)} bytes, more than {MAX_PACKAGE_BYTES}"
        raise StoreError(ErrorKind.PACKAGE_TOO_LARGE, message)
    try:
        document = cbor.decode(data, max_bytes=MAX_PACKAGE_BYTES)
    except cbor.CborError as error:
        _refuse("", f"not canonical CBOR: {error}")
    members = _members(document, _PACKAGE_KEYS, "")
    if members["v"] != FORMAT_VERSION:
        _refuse("/v", f"the format version is not {FORMAT_VERSION}")
    files = members["files"]
    if not isinstance(files, list):
        _refuse("/files", "must be an array")
    subject = members["subject"]
    manifest = PackageManifest(
        variant=None if members["variant"] is None else _text(members["variant"], "/variant"),
        metadata=_map(members["metadata"], "/metadata"),
        labels=_map(members["labels"], "/labels"),
        files=tuple(_read_file(file, f"/files/{index}") for index, file in enumerate(files)),
        subject=None if subject is None else _read_subject(subject),
    )
    if encode_package(manifest) != data:
        _refuse("", "not the canonical form of this package")
    return manifest


def package_digest(data: bytes) -> Digest:
    """The digest of a package: BLAKE3 of its canonical bytes."""
    return Digest.of(data, Algorithm.BLAKE3)


def _file_document(file: PackageFile, where: str) -> dict[str, object]:
    if file.blake3.algorithm is not Algorithm.BLAKE3 or file.sha256.algorithm is not Algorithm.SHA256:
        _refuse(where, "a file is named by a BLAKE3 and a SHA-256 digest")
    return {
        "relative_path": file.relative_path,
        "size": _size(file.size, f"{where}/size"),
        "media_type": file.media_type,
        "blake3": bytes.fromhex(file.blake3.hex),
        "sha256": bytes.fromhex(file.sha256.hex),
    }


def _read_file(value: Any, where: str) -> PackageFile:
    members = _members(value, _FILE_KEYS, where)
    return PackageFile(
        relative_path=_text(members["relative_path"], f"{where}/relative_path"),
        size=_size(members["size"], f"{where}/size"),
        blake3=_digest(members["blake3"], Algorithm.BLAKE3, f"{where}/blake3"),
        sha256=_digest(members["sha256"], Algorithm.SHA256, f"{where}/sha256"),
        media_type=_text(members["media_type"], f"{where}/media_type"),
    )


def _subject_document(subject: Descriptor) -> dict[str, object]:
    if subject.annotations or subject.artifact_type:
        _refuse("/subject", "a subject has a media type, a digest and a size, and nothing more")
    try:
        check_media_type(subject.media_type)
    except StoreError as error:
        _refuse("/subject/media_type", error.message)
    return {
        "media_type": subject.media_type,
        "digest": str(subject.digest),
        "size": _size(subject.size, "/subject/size"),
    }


def _read_subject(value: Any) -> Descriptor:
    members = _members(value, _SUBJECT_KEYS, "/subject")
    try:
        digest = Digest.parse(_text(members["digest"], "/subject/digest"))
    except StoreError as error:
        _refuse("/subject/digest", error.message)
    return Descriptor(
        media_type=_text(members["media_type"], "/subject/media_type"),
        digest=digest,
        size=_size(members["size"], "/subject/size"),
    )


def _members(value: Any, keys: set[str], where: str) -> dict[str, Any]:
    members = _map(value, where)
    if members.keys() != keys:
        _refuse(where, f"must have exactly the keys {', '.join(sorted(keys))}")
    return members


def _map(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        _refuse(where, "must be a map")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        _refuse(where, "must be text")
    return value


def _size(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= cbor.MAX_SAFE_INTEGER:
        _refuse(where, "must be a number of bytes up to 2^53-1")
    return value


def _digest(value: Any, algorithm: Algorithm, where: str) -> Digest:
    if not isinstance(value, bytes) or len(value) != 32:
        _refuse(where, "must be 32 bytes")
    return Digest(algorithm, value.hex())


def _refuse(where: str, message: str) -> NoReturn:
    raise StoreError(
        ErrorKind.VALIDATION_FAILED,
        f"the package's manifest is not acceptable: {where or 'it'}: {message}",
        errors=(FieldError(where, message),),
    )
