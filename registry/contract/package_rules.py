"""What a package may say: paths, media types, labels, variant, metadata. Every fault is named, not the first.

Errors carry JSON Pointers into the body of PUT `/api/v1/packages/REF`, files by their place as given.

A relative path is read by other people's tools when they write files, so it is refused where any common
system would leave the folder or take it for something else: a backslash parts folders on Windows, `C:` starts
a path there, and a path cannot be a file and the folder of another one. Unicode is not normalised, and
names that differ in case alone are two names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Protocol

from registry.contract import cbor
from registry.contract.errors import ErrorKind, FieldError, StoreError
from registry.contract.jsonvalue import JsonValue, normalise, pointer
from registry.contract.manifest import check_media_type

#: Bytes of UTF-8. 255 is what the common file systems take for one name.
MAX_PATH_BYTES = 1024
MAX_SEGMENT_BYTES = 255
#: Labels become annotations of the OCI manifest, which has room for this many of this size (bytes of UTF-8).
MAX_LABELS = 256
MAX_LABEL_KEY_BYTES = 256
MAX_LABEL_VALUE_BYTES = 4096
#: Metadata in canonical CBOR, in bytes (decision 21), and its nesting: the package around it takes a level.
MAX_METADATA_BYTES = 1024 * 1024
MAX_METADATA_DEPTH = cbor.MAX_DEPTH - 1

#: Annotations with this prefix are the store's own.
RESERVED_LABELS = "dev.artifact-store."
#: `application/vnd.artifact-store.…` likewise, so that no variant looks like a package without one.
_RESERVED_VARIANTS = "artifact-store."
_VARIANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,99}")
#: Unicode category Cc, which never grows.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_DRIVE = re.compile(r"[A-Za-z]:")
_MOST_ERRORS = 100


class CheckedFile(Protocol):
    """What the rules see of a file, whatever else it holds."""

    @property
    def relative_path(self) -> str: ...

    @property
    def media_type(self) -> str: ...


class CheckedPackage(Protocol):
    """What the rules see of a package: the request for one and the canonical manifest have this shape."""

    @property
    def variant(self) -> str | None: ...

    @property
    def metadata(self) -> Mapping[str, JsonValue]: ...

    @property
    def labels(self) -> Mapping[str, str]: ...

    @property
    def files(self) -> Sequence[CheckedFile]: ...


def check_package(package: CheckedPackage) -> None:
    """Check all of `package`; raises StoreError VALIDATION_FAILED with up to 100 `errors`."""
    errors = list(islice(_faults(package), _MOST_ERRORS))
    if errors:
        raise StoreError(ErrorKind.VALIDATION_FAILED, "the package is not acceptable", errors=errors)


def check_relative_path(path: str) -> str:
    """Check one path on its own; raises StoreError VALIDATION_FAILED. The rules are those of `path_fault`."""
    fault = path_fault(path)
    if fault:
        raise StoreError(ErrorKind.VALIDATION_FAILED, fault, errors=(FieldError("/relative_path", fault),))
    return path


def check_variant(variant: str) -> str:
    """A variant such as `guide-board.run.v1`; raises StoreError VALIDATION_FAILED.

    Up to 100 characters of a media subtype (RFC 6838 section 4.2, `restricted-name`), so that
    `application/vnd.<variant>` is a media type.
    """
    fault = _variant_fault(variant)
    if fault:
        raise StoreError(ErrorKind.VALIDATION_FAILED, fault, errors=(FieldError("/variant", fault),))
    return variant


def path_fault(path: str) -> str | None:
    """Why `path` cannot be a relative path, or None when it can.

    Segments parted by "/", each 1 to 255 bytes of UTF-8 and neither "." nor ".."; 1,024 bytes in all; no
    control character (Unicode category Cc, so no NUL), no backslash, no drive letter at the start.
    """
    try:
        size = len(path.encode("utf-8"))
    except UnicodeEncodeError:
        return "the path holds a lone surrogate"
    if size > MAX_PATH_BYTES:
        return f"the path is longer than {MAX_PATH_BYTES} bytes"
    if path.startswith("/") or _DRIVE.match(path):
        return "the path is absolute"
    if "\\" in path:
        return "the path holds a backslash"
    if _CONTROL.search(path):
        return "the path holds a control character"
    return next(filter(None, map(_segment_fault, path.split("/"))), None)


def _segment_fault(segment: str) -> str | None:
    if not segment:
        return "the path is empty or has an empty segment"
    if segment in (".", ".."):
        return f"the path has a segment '{segment}'"
    if len(segment.encode("utf-8")) > MAX_SEGMENT_BYTES:
        return f"a segment of the path is longer than {MAX_SEGMENT_BYTES} bytes"
    return None


def _variant_fault(variant: str) -> str | None:
    if not _VARIANT.fullmatch(variant):
        return "a variant is 1 to 100 letters, digits or !#$&^_.+- and starts with a letter or digit"
    if variant.lower().startswith(_RESERVED_VARIANTS):
        return f"variants that start with '{_RESERVED_VARIANTS}' are the store's own"
    return None


def _faults(package: CheckedPackage) -> Iterator[FieldError]:
    variant_fault = _variant_fault(package.variant) if package.variant is not None else None
    if variant_fault:
        yield FieldError("/variant", variant_fault)
    yield from _metadata_faults(package.metadata)
    yield from _label_faults(package.labels)
    sound: dict[int, str] = {}
    for index, file in enumerate(package.files):
        fault = path_fault(file.relative_path)
        if fault:
            yield FieldError(f"/files/{index}/relative_path", fault)
        else:
            sound[index] = file.relative_path
        try:
            check_media_type(file.media_type)
        except StoreError as error:
            yield FieldError(f"/files/{index}/media_type", error.message)
    yield from _collisions(sound)


def _metadata_faults(metadata: Mapping[str, JsonValue]) -> Iterator[FieldError]:
    try:
        size = len(cbor.encode(normalise(dict(metadata), max_depth=MAX_METADATA_DEPTH)))
    except StoreError as error:
        for fault in error.errors:
            yield FieldError(f"/metadata{fault.path}", fault.message)
    except cbor.CborError as error:
        yield FieldError("/metadata", str(error))
    else:
        if size > MAX_METADATA_BYTES:
            yield FieldError("/metadata", f"the metadata takes {size} bytes, more than {MAX_METADATA_BYTES}")


def _label_faults(labels: Mapping[str, str]) -> Iterator[FieldError]:
    if len(labels) > MAX_LABELS:
        yield FieldError("/labels", f"more than {MAX_LABELS} labels")
    for key, value in labels.items():
        where = pointer(("labels", key))
        key_size, value_size = _size(key), _size(value)
        if not key_size or key_size > MAX_LABEL_KEY_BYTES:
            yield FieldError(where, f"a label's key is text of 1 to {MAX_LABEL_KEY_BYTES} bytes")
        elif _CONTROL.search(key):
            yield FieldError(where, "a label's key holds a control character")
        elif key.startswith(RESERVED_LABELS):
            yield FieldError(where, f"labels that start with '{RESERVED_LABELS}' are the store's own")
        if value_size is None or value_size > MAX_LABEL_VALUE_BYTES:
            yield FieldError(where, f"a label's value is text of at most {MAX_LABEL_VALUE_BYTES} bytes")
        elif "\0" in value:
            yield FieldError(where, "a label's value holds a NUL")


def _size(text: object) -> int | None:
    """Bytes of UTF-8; None for what is no text or has none."""
    try:
        return len(text.encode("utf-8")) if isinstance(text, str) else None
    except UnicodeEncodeError:
        return None


def _collisions(paths: dict[int, str]) -> Iterator[FieldError]:
    """Paths that stand twice, and paths below one that is a file.

    With the separator sorted before all else, what lies below a path follows it without a gap.
    """
    order = sorted(paths, key=lambda index: (paths[index].replace("/", "\0"), index))
    above: str | None = None
    for index in order:
        path, where = paths[index], f"/files/{index}/relative_path"
        if path == above:
            yield FieldError(where, "the path stands twice")
        elif above is not None and path.startswith(f"{above}/"):
            yield FieldError(where, "the path lies below one that is a file")
        else:
            above = path
