"""The Merkle tree over the ledger's entries (RFC 6962, section 2.1), in rows of tiles.

A tree of any size is known by its rightmost tiles alone: `Tree` holds at most 255 hashes a level, 8 KiB, and
a level more multiplies the entries by 256.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: Hashes of a full tile, and entries of a full bundle.
WIDTH = 256
HASH = 32
#: The root of a tree without leaves.
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """An entry as a leaf, 32 bytes."""
    return hashlib.sha256(b"\0" + entry).digest()


def tree_hash(hashes: Sequence[bytes]) -> bytes:
    """The root over leaves, or over whole subtrees of one size; 32 bytes.

    Pairs are joined row by row, and an odd last one moves up as it is: the same tree as that of the RFC,
    which cuts at the largest power of two.
    """
    row = list(hashes) or [EMPTY_ROOT]
    while len(row) > 1:
        odd = row[-1:] if len(row) % 2 else []
        row = [_node(left, right) for left, right in zip(row[::2], row[1::2], strict=False)] + odd
    return row[0]


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Tile:
    """Neighbouring hashes of one level: 0 has leaves, and each hash above is that of a full tile below."""

    level: int
    index: int
    hashes: tuple[bytes, ...]

    @property
    def data(self) -> bytes:
        return b"".join(self.hashes)


class Tree:
    """A tree that grows. `rows` are the hashes of its rightmost tile on each level, from the leaves up."""

    def __init__(self, rows: Iterable[Iterable[bytes]] = ()) -> None:
        self._rows = [list(row) for row in rows]
        self.size: int = sum(len(row) * WIDTH**level for level, row in enumerate(self._rows))

    def append(self, leaf: bytes) -> list[Tile]:
        """Add the hash of a leaf; the tiles that it made full."""
        done: list[Tile] = []
        self.size += 1
        level, carried = 0, leaf
        while True:
            if level == len(self._rows):
                self._rows.append([])
            row = self._rows[level]
            row.append(carried)
            if len(row) < WIDTH:
                return done
            done.append(Tile(level, self.size // WIDTH ** (level + 1) - 1, tuple(row)))
            carried = tree_hash(row)
            row.clear()
            level += 1

    def partial(self) -> list[Tile]:
        """The rightmost tiles that are not full; none is empty."""
        return [
            Tile(level, self.size // WIDTH ** (level + 1), tuple(row))
            for level, row in enumerate(self._rows)
            if row
        ]

    def root(self) -> bytes:
        """The hash of the whole tree."""
        right: list[bytes] = []
        for row in self._rows:
            if row or right:
                right = [tree_hash([*row, *right])]
        return right[0] if right else EMPTY_ROOT

    def copy(self) -> Tree:
        """A tree that grows on its own."""
        return Tree(self._rows)
