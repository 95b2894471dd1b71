"""Recipes: which chunks make an object, in order. The bytes are drawn in FORMAT.md, "Recipe".

A recipe names digests and no places, so that rewriting a pack changes no recipe. Of an object of more than
LONGEST chunks the recipe names *lists*, which name the chunks: no part is large, whatever the object's size.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from registry.dataplane.drivers.port import Corrupt

#: Chunks that one recipe or list names at most: a part of 144 KiB, and about 256 MiB of content.
LONGEST = 4096

_HEAD = struct.Struct("<BxxxI")
_ITEM = struct.Struct("<32sQ")


class Item(NamedTuple):
    """One piece: its digest, and the bytes of content it stands for."""

    digest: bytes
    length: int


class Recipe(NamedTuple):
    """`depth` 0 names chunks, 1 names lists (each of them a recipe of depth 0)."""

    depth: int
    items: tuple[Item, ...]

    @property
    def uses(self) -> Counter[bytes]:
        """How often each piece is named."""
        return Counter(item.digest for item in self.items)


def encode_recipe(depth: int, items: Sequence[Item]) -> bytes:
    return _HEAD.pack(depth, len(items)) + b"".join(_ITEM.pack(*item) for item in items)


def parse_recipe(data: bytes) -> Recipe:
    """Raises Corrupt."""
    if len(data) < _HEAD.size:
        raise Corrupt("a recipe is cut off")
    depth, count = _HEAD.unpack_from(data)
    if depth > 1 or len(data) != _HEAD.size + count * _ITEM.size:
        raise Corrupt("a recipe is not as long as it says, or of a kind unknown here")
    return Recipe(depth, tuple(Item(*fields) for fields in _ITEM.iter_unpack(data[_HEAD.size :])))


class Spans:
    """A recipe's pieces by position."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self._starts = [0, *accumulate(item.length for item in items)]

    @property
    def size(self) -> int:
        return self._starts[-1]

    def at(self, position: int) -> tuple[Item, int]:
        """The piece that holds byte `position` (below `size`), and where in the whole it begins."""
        number = bisect_right(self._starts, position) - 1
        return self.items[number], self._starts[number]
