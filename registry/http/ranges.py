"""Byte ranges: `Range` on reads (RFC 9110 section 14.2), `Content-Range` on uploads (OCI, native)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry.contract.errors import ErrorKind, StoreError

# More digits than any size has, and few enough for int() to be cheap.
_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,38})-([0-9]{0,38})[ \t]*", re.IGNORECASE)
_CONTENT_RANGE = re.compile(r"(?:bytes[ ]+)?([0-9]{1,18})-([0-9]{1,18})(?:/(\*|[0-9]{1,18}))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`length` bytes (at least one) from `start`, inside a representation."""

    start: int
    length: int

    @property
    def last(self) -> int:
        """Position of the last byte."""
        return self.start + self.length - 1


@dataclass(frozen=True, slots=True)
class ContentRange:
    """Where the bytes of an upload belong: `start` to `last`, both included; `total` when it was said."""

    start: int
    last: int
    total: int | None = None

    @property
    def length(self) -> int:
        return self.last - self.start + 1


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """The part of `size` bytes that `Range: header` asks for, clipped to what there is; None means all.

    Other units, several ranges and malformed ones are ignored, as RFC 9110 section 14.2 allows. Raises
    RANGE_UNSATISFIABLE (detail `size`) when the range has no byte in common with the representation.
    """
    if header is None:
        return None
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        return None
    first, last = match[1], match[2]
    if first:
        start = int(first)
        stop = min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    elif last:
        start, stop = max(0, size - int(last)), size
        if size == 0 and int(last) > 0:
            return None  # satisfiable, but 206 has no way to say "no bytes"
    else:
        return None
    if start >= stop:
        raise StoreError(
            ErrorKind.RANGE_UNSATISFIABLE, f"the content has {size} bytes", detail={"size": size}
        )
    return ByteRange(start, stop - start)


def parse_content_range(header: str) -> ContentRange:
    """`A-B` (distribution-spec, "Pushing a blob in chunks") or `bytes A-B/*`, `bytes A-B/N` (RFC 9110 14.4).

    Raises BAD_REQUEST for anything else.
    """
    match = _CONTENT_RANGE.fullmatch(header.strip())
    if match is not None:
        total = int(match[3]) if match[3] and match[3] != "*" else None
        content = ContentRange(int(match[1]), int(match[2]), total)
        if content.start <= content.last and (total is None or content.last < total):
            return content
    raise StoreError(
        ErrorKind.BAD_REQUEST,
        "Content-Range must name the first and last byte of the body, as 0-1023 or bytes 0-1023/*",
    )
