"""Digests of streams: computed beside the writing, and kept between the appends of one upload."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Protocol

from registry.contract.digest import Algorithm, MultiHasher
from registry.dataplane.drivers.port import LARGEST_PIECE, Corrupt, OpenObject, Pieces, StageKey
from registry.dataplane.workers import Workers

#: Up to this many bytes are hashed in the loop's thread (about 30 µs), cheaper than going to another.
INLINE = 32 << 10


class Readable(Protocol):
    """An open object or a hold of a stage."""

    async def read(self, start: int, length: int) -> bytes: ...


async def absorb(workers: Workers, hasher: MultiHasher, pieces: Pieces) -> None:
    """Hash `pieces`, together at most LARGEST_PIECE, where it costs least."""

    def update() -> None:
        for piece in pieces:
            hasher.update(piece)

    if sum(len(piece) for piece in pieces) <= INLINE:
        update()
    else:
        await workers.run(update)


async def hash_all(
    workers: Workers, source: Readable, size: int, algorithms: Iterable[Algorithm]
) -> MultiHasher:
    """Read `size` bytes of `source` and hash them. Raises what its `read` raises."""
    hasher = MultiHasher(algorithms)
    for start in range(0, size, LARGEST_PIECE):
        piece = await source.read(start, min(LARGEST_PIECE, size - start))
        await absorb(workers, hasher, [piece])
    return hasher


async def fault_of(workers: Workers, found: OpenObject, address: str) -> str | None:
    """What is wrong with an open object that should have the BLAKE3 `address` (hex), None when nothing is."""
    try:
        hasher = await hash_all(workers, found, found.size, (Algorithm.BLAKE3,))
    except Corrupt as error:
        return str(error)
    digest = hasher.digests()[Algorithm.BLAKE3]
    return None if digest.hex == address else f"the bytes held are {digest}"


class RunningHashes:
    """The digests so far of unfinished stages, each good for one revision of its stage only.

    When an entry is gone (restart, another worker process, pushed out by newer ones) or the stage is at
    another revision, its bytes are read again once, at commit.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[StageKey, tuple[str, MultiHasher]] = OrderedDict()

    def take(self, stage: StageKey, revision: str) -> MultiHasher | None:
        """The digests of exactly this revision, handed over: the caller may change and keep them again."""
        kept = self._kept.pop(stage, None)
        return kept[1] if kept is not None and kept[0] == revision else None

    def keep(self, stage: StageKey, revision: str, hasher: MultiHasher) -> None:
        self._kept[stage] = (revision, hasher)
        self._kept.move_to_end(stage)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def forget(self, stage: StageKey) -> None:
        self._kept.pop(stage, None)
