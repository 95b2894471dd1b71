"""The export copied to another archive, as far as a checkpoint goes: for backups."""

from __future__ import annotations

from itertools import chain

from registry.contract.archive import Archive
from registry.contract.tlog import tiles
from registry.contract.tlog.merkle import WIDTH
from registry.contract.tlog.tiles import CHECKPOINT, TILES, Place, place_of
from registry.control.export import reading
from registry.control.export.exporter import FOLLOWERS, VERIFIER


async def duplicate(source: Archive, target: Archive, checkpoint: bytes) -> int:
    """Copy what that checkpoint of `source` covers, and then the checkpoint; how many objects were new.

    Raises StoreError CONFLICT for what is missing or torn, with the checkpoint not written.
    """
    size = reading.parsed(checkpoint).checkpoint.size
    there = {name async for name in target.names(TILES)}
    copied = 0
    for place in chain(tiles.all_tiles(size), tiles.bundles(size)):
        if place.name not in there:
            await target.create(place.name, await _data(source, place))
            copied += 1
    for name in there:
        old = place_of(name)
        if old is not None and old.width < WIDTH and Place(old.level, old.index).end <= size:
            await target.delete(name)  # of an earlier copy, full by now
    for name in (FOLLOWERS, VERIFIER):
        if (data := await source.get(name)) is not None:
            await target.replace(name, data)
    await target.replace(CHECKPOINT, checkpoint)
    return copied


async def _data(source: Archive, place: Place) -> bytes:
    if place.level is None:
        return tiles.join(await reading.entries(source, place))
    return b"".join(await reading.hashes(source, place))
