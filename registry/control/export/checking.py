"""What fsck asks of the export: is it whole, and is it the beginning of this ledger? And how it is mended."""

from __future__ import annotations

from collections.abc import AsyncIterator

from registry.contract.errors import ErrorKind, StoreError
from registry.contract.tlog import ed25519, note, tiles
from registry.contract.tlog.merkle import WIDTH, Tree, leaf_hash, tree_hash
from registry.contract.tlog.note import NoteError, SignedCheckpoint
from registry.contract.tlog.tiles import Place
from registry.control.core import Core
from registry.control.export import lineage, reading
from registry.control.export.examining import Examined, examine
from registry.control.export.state import WORK, Exported
from registry.control.work import load


async def export_faults(core: Core) -> AsyncIterator[str]:
    """What is wrong with the export, each a sentence; beside a server that exports. Raises StoreError for
    storage that does not answer."""
    if core.export is None:
        return
    known = Exported.of(await load(core, WORK))
    try:
        signed = await reading.checkpoint(core.export.archive)
        if signed is None:
            if known.size:
                yield f"the checkpoint of the {known.size} events that were exported is missing from storage"
            return
        await lineage.require_ours(core, signed.checkpoint)
        if (wrong := _signature(core, known, signed)) is not None:
            yield wrong
        examined = await examine(core.export.archive, signed.checkpoint)
        for sentence in examined.faults:
            yield sentence
        if (place := await _differing(core, signed.checkpoint.size, examined)) is not None:
            yield f"{place.name} in storage has other events than the ledger of this database"
    except StoreError as error:
        if error.kind is not ErrorKind.CONFLICT:
            raise
        yield error.message


async def mend(core: Core) -> int:
    """Write again from the ledger what is missing or wrong of the tiles; how many.

    Nobody else uses the store. Raises StoreError CONFLICT for a checkpoint that is not of this ledger: then
    nothing is touched.
    """
    export = core.export
    signed = None if export is None else await reading.checkpoint(export.archive)
    if export is None or signed is None:
        return 0
    stored = signed.checkpoint
    await lineage.require_ours(core, stored)
    if (await _tree(core, stored.size)).root() != stored.root:
        raise StoreError(ErrorKind.CONFLICT, "the checkpoint in storage is not of this ledger")
    mended = 0

    async def write(place: Place, data: bytes) -> None:
        nonlocal mended
        if await export.archive.get(place.name) != data:
            await export.archive.replace(place.name, data)
            mended += 1

    tree = Tree()
    for place in tiles.bundles(stored.size):
        entries = await lineage.ledger_entries(core, tree.size, tree.size + place.width)
        await write(place, tiles.join(entries))
        for entry in entries:
            for tile in tree.append(leaf_hash(entry)):
                await write(Place(tile.level, tile.index), tile.data)
    for tile in tree.partial():
        await write(Place(tile.level, tile.index, len(tile.hashes)), tile.data)
    return mended


async def _tree(core: Core, size: int) -> Tree:
    tree = Tree()
    while tree.size < size:
        for entry in await lineage.ledger_entries(core, tree.size, min(size, tree.size + WIDTH)):
            tree.append(leaf_hash(entry))
    return tree


async def _differing(core: Core, size: int, examined: Examined) -> Place | None:
    """The first bundle whose events are not this ledger's."""
    for place, root in zip(tiles.bundles(size), examined.roots, strict=False):
        start = place.index * WIDTH
        entries = await lineage.ledger_entries(core, start, start + place.width)
        if tree_hash([leaf_hash(entry) for entry in entries]) != root:
            return place
    return None


def _signature(core: Core, known: Exported, signed: SignedCheckpoint) -> str | None:
    """What is wrong with our own signature. One of a key from before is none of ours, and no fault."""
    pem = (core.export.key if core.export is not None else None) or known.key
    if pem is None:
        return None
    try:
        key = ed25519.signer(pem, signed.checkpoint.origin).public
        if any(one.key_id == key.key_id for one in signed.signatures):
            note.verify(signed, key)
    except NoteError as error:
        return f"the checkpoint in storage {error}"
    return None
