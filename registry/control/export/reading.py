"""Reading what was exported: the checkpoint, tiles and bundles, each in full or as far as it is filled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from registry.contract.archive import Archive
from registry.contract.tlog import note, tiles
from registry.contract.tlog.merkle import Tree
from registry.contract.tlog.note import NoteError, SignedCheckpoint
from registry.contract.tlog.tiles import CHECKPOINT, Place, TileError
from registry.control.export.state import fault

T = TypeVar("T")


async def checkpoint(archive: Archive) -> SignedCheckpoint | None:
    """The checkpoint, None where there is none. Raises StoreError CONFLICT for what is none."""
    data = await archive.get(CHECKPOINT)
    return None if data is None else parsed(data)


def parsed(data: bytes) -> SignedCheckpoint:
    """The bytes of a checkpoint. Raises StoreError CONFLICT."""
    try:
        return note.read(data)
    except NoteError as error:
        raise fault(f"the ledger's checkpoint in storage {error}") from None


async def hashes(archive: Archive, place: Place) -> list[bytes]:
    """The hashes of a tile. Raises StoreError CONFLICT when it is missing or torn."""
    return await _read(archive, place, tiles.cut)


async def entries(archive: Archive, place: Place) -> list[bytes]:
    """The entries of a bundle. Raises StoreError CONFLICT when it is missing or torn."""
    return await _read(archive, place, tiles.part)


async def tree(archive: Archive, size: int) -> Tree:
    """The tree of that size by its rightmost tiles; their root is not compared. Raises as `hashes`."""
    rows: list[list[bytes]] = []
    for place in tiles.rightmost(size):
        level = place.level or 0
        rows.extend([] for _ in range(level - len(rows)))
        rows.append(await hashes(archive, place))
    return Tree(rows)


async def _read(archive: Archive, place: Place, take: Callable[[bytes, int], list[T]]) -> list[T]:
    data = await archive.get(place.name)
    if data is None and place.width < (full := Place(place.level, place.index)).width:
        # It has been filled since, and its beginnings were deleted.
        data = await archive.get(full.name)
    if data is None:
        raise fault(f"{place.name} of the ledger's export is missing from storage")
    try:
        return take(data, place.width)
    except TileError as error:
        raise fault(f"{place.name} of the ledger's export {error}") from None
