"""Round the records: the head of a pack, its footer index and its trailer. Drawn in FORMAT.md, "Pack"."""

from __future__ import annotations

import struct
import zlib
from enum import IntEnum
from typing import NamedTuple

from registry.contract.dataplane import DomainId
from registry.contract.digest import blake3_of
from registry.dataplane.packs.records import HEADER, Kind, Record

VERSION = 1
_HEAD_MAGIC = b"artpack\n"
_END_MAGIC = b"artpend\n"
_HEAD = struct.Struct("<8sHBBIIIB7x8s16sQ64s")
_CRC = struct.Struct("<I")
_ENTRY = struct.Struct("<BBBxIIQ32s")
_TRAILER = struct.Struct("<QI32s")

#: Length in bytes of the head: the first record begins here.
HEAD = _HEAD.size + _CRC.size
#: Length in bytes of the trailer, the end of a closed pack.
TRAILER = _TRAILER.size + _CRC.size + len(_END_MAGIC)


class Role(IntEnum):
    """How a pack came to be, and so what an unfinished one is worth."""

    LOG = 1
    """Appended to by acknowledged writes: when unfinished, its records are saved."""
    JOB = 2
    """Written by packing or rewriting, which let go of the originals only when it was closed: when
    unfinished, it is deleted."""


class Chunker(NamedTuple):
    """How the chunks of a pack were cut (bytes). `kind` 0 means not at all, 1 is FastCDC 2020.

    `gear` is the first 8 bytes of the BLAKE3 of the gear table as 256 little-endian 64-bit numbers.
    """

    kind: int
    least: int
    average: int
    most: int
    normalisation: int
    gear: bytes


NO_CHUNKER = Chunker(0, 0, 0, 0, 0, bytes(8))


class Head(NamedTuple):
    """The head of a pack. `id` are the 16 bytes of its UUID, `created` microseconds since the epoch."""

    id: bytes
    domain: DomainId
    role: Role
    created: int
    chunker: Chunker = NO_CHUNKER


class Entry(NamedTuple):
    """One record as the footer tells it: no `check`, which stands beside the payload."""

    kind: Kind
    codec: int
    seal: int
    offset: int
    stored: int
    raw: int
    digest: bytes

    @property
    def end(self) -> int:
        """Offset behind the payload."""
        return self.offset + HEADER + self.stored


def entry_of(record: Record, offset: int) -> Entry:
    return Entry(record.kind, record.codec, record.seal, offset, record.stored, record.raw, record.digest)


def encode_head(head: Head) -> bytes:
    c = head.chunker
    domain = head.domain.encode("ascii")
    body = _HEAD.pack(
        _HEAD_MAGIC, VERSION, head.role, c.kind, c.least, c.average, c.most, c.normalisation, c.gear,
        head.id, head.created, domain,
    )  # fmt: skip
    return body + _CRC.pack(zlib.crc32(body))


def parse_head(data: bytes) -> Head | None:
    """The head that `data` begins with; None when it is not one, or of a version unknown here."""
    if len(data) < HEAD or _CRC.unpack_from(data, _HEAD.size)[0] != zlib.crc32(data[: _HEAD.size]):
        return None
    magic, version, role, kind, least, average, most, normal, gear, pack, created, domain = _HEAD.unpack_from(
        data
    )
    if magic != _HEAD_MAGIC or version != VERSION or role not in tuple(Role):
        return None
    chunker = Chunker(kind, least, average, most, normal, gear)
    name = DomainId(domain.rstrip(b"\0").decode("ascii"))
    return Head(pack, name, Role(role), created, chunker)


def encode_entry(entry: Entry) -> bytes:
    """One record's part of a footer."""
    return _ENTRY.pack(*entry)


def encode_end(pack: bytes, offset: int, footer: bytes) -> bytes:
    """`footer`, the entries of the pack with id `pack`, and its trailer, to be written at `offset`."""
    trailer = _TRAILER.pack(offset, len(footer) // _ENTRY.size, blake3_of(footer))
    return footer + trailer + _CRC.pack(zlib.crc32(trailer, zlib.crc32(pack))) + _END_MAGIC


class Footer(NamedTuple):
    """Where the footer is (bytes), and the BLAKE3 it must have."""

    offset: int
    length: int
    check: bytes


def parse_trailer(pack: bytes, data: bytes, size: int) -> Footer | None:
    """What the last TRAILER bytes of a file of `size` bytes say; None when it was never closed."""
    if len(data) != TRAILER or not data.endswith(_END_MAGIC):
        return None
    body = data[: _TRAILER.size]
    if _CRC.unpack_from(data, _TRAILER.size)[0] != zlib.crc32(body, zlib.crc32(pack)):
        return None
    offset, count, check = _TRAILER.unpack(body)
    length = count * _ENTRY.size
    return Footer(offset, length, check) if offset + length + TRAILER == size else None


def parse_footer(data: bytes, footer: Footer) -> list[Entry] | None:
    """The entries; None when the bytes are not those that were written."""
    if len(data) != footer.length or blake3_of(data) != footer.check:
        return None
    return [
        Entry(Kind(kind), codec, seal, offset, stored, raw, digest)
        for kind, codec, seal, offset, stored, raw, digest in _ENTRY.iter_unpack(data)
    ]
