"""What is in a pack's file: by its footer, or record by record where there is none to trust."""

from __future__ import annotations

import os
from collections.abc import Iterator

from registry.contract.digest import blake3_of
from registry.dataplane.packs.layout import (
    HEAD,
    TRAILER,
    Entry,
    Head,
    entry_of,
    parse_footer,
    parse_head,
    parse_trailer,
)
from registry.dataplane.packs.records import HEADER, MAGIC, parse_header

_WINDOW = 1 << 20


def read_head(fd: int) -> Head | None:
    """The head; None where it is damaged or was never written. Nothing but jobs' fate depends on it."""
    return parse_head(os.pread(fd, HEAD, 0))


def footer_entries(pack: bytes, fd: int) -> list[Entry] | None:
    """What the footer lists; None when the pack was never closed, or its footer is damaged."""
    size = os.fstat(fd).st_size
    footer = parse_trailer(pack, os.pread(fd, TRAILER, max(0, size - TRAILER)), size)
    return None if footer is None else parse_footer(_read(fd, footer.offset, footer.length), footer)


def scan(pack: bytes, fd: int) -> Iterator[Entry]:
    """Every whole record, found without the footer.

    Bytes that are none (damage, or what power loss left of unsynced writes) are skipped to the next header:
    its checksum is salted with the pack's id, so no blob's content passes for one.
    """
    size = os.fstat(fd).st_size
    offset = HEAD
    while offset + HEADER <= size:
        record = parse_header(pack, os.pread(fd, HEADER, offset))
        if record is not None and offset + HEADER + record.stored <= size:
            payload = _read(fd, offset + HEADER, record.stored)
            if blake3_of(payload) == record.check:
                yield entry_of(record, offset)
                offset += HEADER + record.stored
                continue
        offset = _next_magic(fd, offset + 1, size)


def _next_magic(fd: int, start: int, size: int) -> int:
    while start + HEADER <= size:
        found = os.pread(fd, _WINDOW, start).find(MAGIC)
        if found >= 0:
            return start + found
        start += _WINDOW - len(MAGIC) + 1
    return size


def _read(fd: int, start: int, length: int) -> bytes:
    parts = []
    while length:
        part = os.pread(fd, min(length, _WINDOW), start)
        if not part:
            break
        parts.append(part)
        start += len(part)
        length -= len(part)
    return b"".join(parts)
