"""Recipes: which chunks make an object, in order. The bytes are drawn in FORMAT.md, "Recipe".

A recipe names digests and no places, so that rewriting a pack changes no recipe. Of an object of more than
LONGEST chunks the recipe names *lists*, which name the chunks: no part is large, whatever the object's size.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
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


class Recipe:
    """`depth` 0 names chunks, 1 names lists (each of them a recipe of depth 0).

    Kept as its bytes: readers of large blobs hold two of up to 160 KiB each, and as objects they took seven
    times that.
    """

    def __init__(self, depth: int, items: bytes) -> None:
        self.depth = depth
        self._items = items

    def __iter__(self) -> Iterator[Item]:
        return (Item(*fields) for fields in _ITEM.iter_unpack(self._items))

    def __getitem__(self, number: int) -> Item:
        return Item(*_ITEM.unpack_from(self._items, number * _ITEM.size))

    @property
    def uses(self) -> Counter[bytes]:
        """How often each piece is named."""
        return Counter(item.digest for item in self)


def encode_recipe(depth: int, items: Sequence[Item]) -> bytes:
    return _HEAD.pack(depth, len(items)) + b"".join(_ITEM.pack(*item) for item in items)


def parse_recipe(data: bytes) -> Recipe:
    """Raises Corrupt."""
    if len(data) < _HEAD.size:
        raise Corrupt("a recipe is cut off")
    depth, count = _HEAD.unpack_from(data)
    if depth > 1 or len(data) != _HEAD.size + count * _ITEM.size:
        raise Corrupt("a recipe is not as long as it says, or of a kind unknown here")
    return Recipe(depth, data[_HEAD.size :])


class Spans:
    """A recipe's pieces by position."""

    def __init__(self, recipe: Recipe) -> None:
        """Raises Corrupt for more bytes than there can be."""
        self._recipe = recipe
        try:
            self._starts = array("Q", accumulate((item.length for item in recipe), initial=0))
        except OverflowError:
            raise Corrupt("a recipe names more bytes than there can be") from None

    @property
    def size(self) -> int:
        return self._starts[-1]

    def at(self, position: int) -> tuple[Item, int]:
        """The piece that holds byte `position` (below `size`), and where in the whole it begins."""
        number = bisect_right(self._starts, position) - 1
        return self._recipe[number], self._starts[number]
