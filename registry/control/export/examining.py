"""Everything that was exported read and compared: entries with leaves, tiles with tiles, and the root."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from registry.contract.archive import Archive
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.tlog import tiles
from registry.contract.tlog.merkle import WIDTH, Tree, leaf_hash, tree_hash
from registry.contract.tlog.note import Checkpoint
from registry.contract.tlog.tiles import Place
from registry.control.export import reading

#: Bundles that are read ahead.
_AHEAD = 8


@dataclass(slots=True)
class Examined:
    """How far an examination is, and what is wrong, each a sentence.

    `roots` are the hashes over the leaves of each bundle: 32 bytes for 256 events.
    """

    events: int = 0
    tiles: int = 0
    roots: list[bytes] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


async def read_bundles(archive: Archive, size: int) -> AsyncGenerator[tuple[Place, list[bytes] | str], None]:
    """The bundles of the first `size` events in order, some read ahead; a sentence for one that is not there
    or torn. Raises StoreError for storage that does not answer."""
    waiting: deque[tuple[Place, asyncio.Task[list[bytes] | str]]] = deque()
    try:
        for place in tiles.bundles(size):
            waiting.append((place, asyncio.create_task(_entries(archive, place))))
            if len(waiting) > _AHEAD:
                ready, task = waiting.popleft()
                yield ready, await task
        while waiting:
            ready, task = waiting.popleft()
            yield ready, await task
    finally:
        for _, task in waiting:
            task.cancel()
        await asyncio.gather(*(task for _, task in waiting), return_exceptions=True)


async def examine(
    archive: Archive, stored: Checkpoint, progress: Callable[[Examined], None] = lambda _: None
) -> Examined:
    """Read all that the checkpoint covers. Raises StoreError for storage that does not answer."""
    done, tree, whole = Examined(), Tree(), True
    async with aclosing(read_bundles(archive, stored.size)) as bundles:
        async for place, entries in bundles:
            leaves = await _leaves(archive, place, entries, done)
            done.events += place.width
            whole = whole and leaves is not None
            if not whole or leaves is None:
                continue  # without these leaves nothing above them can be told
            done.roots.append(tree_hash(leaves))
            for leaf in leaves:
                for tile in tree.append(leaf):
                    if tile.level:
                        await _compare(archive, Place(tile.level, tile.index), tile.hashes, done)
            progress(done)
    if whole:
        for tile in tree.partial():
            if tile.level:
                place = Place(tile.level, tile.index, len(tile.hashes))
                await _compare(archive, place, tile.hashes, done)
        if tree.root() != stored.root:
            done.faults.append(
                f"the {stored.size} events in storage do not have the root hash that the checkpoint says: "
                "they, or it, are not what was written"
            )
    return done


async def _leaves(
    archive: Archive, place: Place, entries: list[bytes] | str, done: Examined
) -> list[bytes] | None:
    """The hashes of a bundle's entries, which the tile beside it must have too."""
    try:
        said = await reading.hashes(archive, Place(0, place.index, place.width))
        done.tiles += 1
    except StoreError as error:
        done.faults.append(_sentence(error))
        said = None
    if isinstance(entries, str):
        done.faults.append(entries)
        return said
    found = [leaf_hash(entry) for entry in entries]
    if said is not None and found != said:
        wrong = next(at for at, pair in enumerate(zip(found, said, strict=True)) if pair[0] != pair[1])
        done.faults.append(
            f"event {place.index * WIDTH + wrong + 1} in {place.name} is not what the tree in storage says"
        )
        return said
    return found


async def _compare(archive: Archive, place: Place, hashes: tuple[bytes, ...], done: Examined) -> None:
    try:
        if tuple(await reading.hashes(archive, place)) != hashes:
            done.faults.append(f"{place.name} of the ledger's export does not follow from the tiles below it")
        done.tiles += 1
    except StoreError as error:
        done.faults.append(_sentence(error))


async def _entries(archive: Archive, place: Place) -> list[bytes] | str:
    try:
        return await reading.entries(archive, place)
    except StoreError as error:
        return _sentence(error)


def _sentence(error: StoreError) -> str:
    """Of what is wrong with one object. Raises what is wrong with the storage."""
    if error.kind is not ErrorKind.CONFLICT:
        raise error
    return error.message
