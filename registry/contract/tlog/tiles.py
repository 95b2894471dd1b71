"""Names and bytes of tiles and entry bundles (https://c2sp.org/tlog-tiles).

    checkpoint                          the signed size and root, see note.py
    tile/<level>/<index>[.p/<width>]    hashes of 32 bytes each, 256 in a full tile
    tile/entries/<index>[.p/<width>]    entries, each behind its length as a big-endian uint16

`<index>` is written in groups of three digits, all but the last with an x before: 1234067 is `x001/x234/067`.
What is not full yet says its width behind `.p/`. An entry's place in the tree is its `seq` less one.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from registry.contract.tlog.merkle import HASH, WIDTH

CHECKPOINT = "checkpoint"
#: What all names of tiles and bundles begin with.
TILES = "tile/"
_NAME = re.compile(
    r"tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
)
_LENGTH = struct.Struct(">H")


class TileError(ValueError):
    """Bytes that are no tile or bundle of that width; the message is the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tile is, or with `level` None a bundle. `width` is 256 when it is full."""

    level: int | None
    index: int
    width: int = WIDTH

    @property
    def name(self) -> str:
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"{self._stem}{partial}"

    @property
    def partials(self) -> str:
        """What the names begin with that it had before it was full."""
        return f"{self._stem}.p/"

    @property
    def end(self) -> int:
        """The size of a tree that ends with it."""
        below = 1 if self.level is None else WIDTH**self.level
        return (self.index * WIDTH + self.width) * below

    @property
    def _stem(self) -> str:
        groups = [f"{self.index % 1000:03d}"]
        rest = self.index // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03d}")
            rest //= 1000
        return f"{TILES}{'entries' if self.level is None else self.level}/{'/'.join(groups)}"


def place_of(name: str) -> Place | None:
    """The inverse of `Place.name`; None for names that are none of these."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    index = int(found[2].replace("x", "").replace("/", ""))
    level = None if found[1] == "entries" else int(found[1])
    place = Place(level, index, int(found[3]) if found[3] else WIDTH)
    return place if place.width <= WIDTH and place.name == name else None


def rightmost(size: int) -> list[Place]:
    """The tiles that are not full in a tree of that size, from the leaves up; without bundles."""
    places = []
    level = 0
    while size:
        if size % WIDTH:
            places.append(Place(level, size // WIDTH, size % WIDTH))
        size //= WIDTH
        level += 1
    return places


def bundles(size: int, first: int = 0) -> Iterable[Place]:
    """The bundles of a tree of that size from the index `first` on, in order."""
    for index in range(first, size // WIDTH):
        yield Place(None, index)
    if size % WIDTH and first <= size // WIDTH:
        yield Place(None, size // WIDTH, size % WIDTH)


def all_tiles(size: int) -> Iterable[Place]:
    """Every tile of a tree of that size, level by level; without bundles."""
    level = 0
    while size:
        for index in range(size // WIDTH):
            yield Place(level, index)
        if size % WIDTH:
            yield Place(level, size // WIDTH, size % WIDTH)
        size //= WIDTH
        level += 1


def join(entries: Sequence[bytes]) -> bytes:
    """A bundle of entries of at most 65,535 bytes each."""
    return b"".join(_LENGTH.pack(len(entry)) + entry for entry in entries)


def part(data: bytes, width: int) -> list[bytes]:
    """The first `width` entries of a bundle that may have more. Raises TileError."""
    entries: list[bytes] = []
    offset = 0
    while offset < len(data):
        start = offset + _LENGTH.size
        if start > len(data) or (end := start + _LENGTH.unpack_from(data, offset)[0]) > len(data):
            raise TileError("ends in the middle of an entry")
        entries.append(data[start:end])
        offset = end
    if len(entries) < width:
        raise TileError(f"has {len(entries)} entries where {width} belong")
    return entries[:width]


def cut(data: bytes, width: int) -> list[bytes]:
    """The first `width` hashes of a tile that may have more. Raises TileError."""
    if len(data) % HASH or len(data) < width * HASH:
        raise TileError(f"has {len(data)} bytes where {width} hashes of {HASH} belong")
    return [data[start : start + HASH] for start in range(0, width * HASH, HASH)]
