"""Records: what packs consist of. The bytes are drawn in FORMAT.md, "Record".

A record says everything needed to read it alone: the index may be lost, and neighbours may be damaged.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

from registry.contract.digest import blake3_of


class Kind(IntEnum):
    """What a record holds."""

    BLOB = 1
    """A whole object; `digest` is its address, `raw` its size."""
    CHUNK = 2
    """A piece of objects; `digest` and `raw` are the piece's."""
    RECIPE = 3
    """The pieces of one object in order (recipes.py); `digest` is the object's address, `raw` its size."""
    LIST = 4
    """Part of a long recipe; `digest` is that of the list, `raw` its own length."""
    TOMBSTONES = 5
    """Places whose records are dead (`Grave`); `digest` is that of the payload, `raw` its length."""


OBJECTS = frozenset({Kind.BLOB, Kind.RECIPE})
PIECES = frozenset({Kind.CHUNK, Kind.LIST})


class Record(NamedTuple):
    """A record without its payload. `stored` is the payload's length; `check` is the BLAKE3 of the payload
    as it is stored, so that a scrub needs neither codec nor key."""

    kind: Kind
    codec: int
    seal: int
    stored: int
    raw: int
    digest: bytes
    check: bytes


class Grave(NamedTuple):
    """The place of a dead record: pack id, offset, and the kind and digest that the dead record has."""

    pack: bytes
    offset: int
    kind: Kind
    digest: bytes


MAGIC = b"\xf5rec"
_HEADER = struct.Struct("<4sBBBxIQ32s32s")
_CRC = struct.Struct("<I")
_GRAVE = struct.Struct("<16sIB3x32s")

#: Length in bytes of the header before each payload.
HEADER = _HEADER.size + _CRC.size


def encode_header(pack: bytes, record: Record) -> bytes:
    """The header of `record` in the pack with id `pack`, which salts the checksum."""
    body = _HEADER.pack(
        MAGIC,
        record.kind,
        record.codec,
        record.seal,
        record.stored,
        record.raw,
        record.digest,
        record.check,
    )
    return body + _CRC.pack(zlib.crc32(body, zlib.crc32(pack)))


def parse_header(pack: bytes, data: bytes | memoryview) -> Record | None:
    """The record whose header `data` begins with; None when that is no header of this pack."""
    if len(data) < HEADER or data[:4] != MAGIC:
        return None
    body = data[: _HEADER.size]
    if _CRC.unpack_from(data, _HEADER.size)[0] != zlib.crc32(body, zlib.crc32(pack)):
        return None
    _, kind, codec, seal, stored, raw, digest, check = _HEADER.unpack(body)
    try:
        return Record(Kind(kind), codec, seal, stored, raw, digest, check)
    except ValueError:  # a kind of some later version: not ours to touch
        return None


def tombstones(graves: Sequence[Grave]) -> tuple[Record, bytes]:
    """The record that declares `graves` dead, and its payload."""
    payload = b"".join(_GRAVE.pack(*grave) for grave in graves)
    check = blake3_of(payload)
    return Record(Kind.TOMBSTONES, 0, 0, len(payload), len(payload), check, check), payload


def parse_tombstones(payload: bytes) -> Iterator[Grave]:
    for pack, offset, kind, digest in _GRAVE.iter_unpack(payload):
        yield Grave(pack, offset, Kind(kind), digest)
