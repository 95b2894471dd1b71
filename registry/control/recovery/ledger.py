"""The exported ledger written back, byte for byte, in transactions that a kill may part."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

from registry.contract.archive import Archive
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.tlog import tiles
from registry.contract.tlog.merkle import WIDTH, leaf_hash, tree_hash
from registry.contract.tlog.note import Checkpoint
from registry.contract.tlog.tiles import Place
from registry.control.export import reading
from registry.control.export.examining import Examined, read_bundles
from registry.control.export.state import fault
from registry.control.sql import recovering
from registry.control.sql.opening import Offline, migrate_database, open_offline

#: Events of one transaction.
_AT_ONCE = 16 * WIDTH


async def prepare(
    database: str | Path, archive: Archive, stored: Checkpoint, examined: Examined, *, resume: bool
) -> None:
    """Make the schema, and see that nothing is lost by what comes. Raises StoreError CONFLICT.

    With `resume` the database may be the one of a recovery that was interrupted, or an older copy whose
    events are the first of those in storage.
    """
    await migrate_database(database)
    async with open_offline(database) as offline:
        head = await offline.run(recovering.head)
        begun = await offline.run(recovering.begun)
        if head and not begun and (not resume or head > stored.size):
            raise fault(
                f"the database has {head} events already, the storage {stored.size}: recovery fills an empty "
                "one, or with --resume one that has the beginning of what is in storage"
            )
        if head and not begun:
            await _require_beginning(offline, archive, stored.size, examined, head)
        if begun and not resume:
            raise fault("a recovery into this database has not ended: --resume goes on with it")
        if begun and begun != {"size": stored.size, "root": stored.root.hex()}:
            raise fault(
                "the recovery that has not ended was from another checkpoint: begin with an empty database"
            )
        await offline.run(recovering.begin, stored.size, stored.root.hex())


async def _require_beginning(
    offline: Offline, archive: Archive, size: int, examined: Examined, head: int
) -> None:
    for place in tiles.bundles(head):
        start = place.index * WIDTH
        own = await offline.run(recovering.envelopes, start, place.width)
        if place.width == WIDTH:
            same = tree_hash([leaf_hash(entry) for entry in own]) == examined.roots[place.index]
        else:
            stored_place = Place(None, place.index, min(WIDTH, size - start))
            same = own == (await reading.entries(archive, stored_place))[: place.width]
        if not same:
            raise fault(
                f"the database has other events than the storage from event {start + 1} on: it is no "
                "beginning of what is there; name an empty one"
            )


async def write(
    database: str | Path,
    archive: Archive,
    stored: Checkpoint,
    examined: Examined,
    progress: Callable[[int], None],
) -> None:
    """Append what the database has not yet; what it has must be the same. Raises StoreError CONFLICT.

    Bundles are compared again with what the examination has seen of them.
    """
    page: list[bytes] = []
    start = 0
    async with aclosing(read_bundles(archive, stored.size)) as bundles:
        async for place, entries in bundles:
            root = examined.roots[place.index]
            if isinstance(entries, str) or tree_hash([leaf_hash(entry) for entry in entries]) != root:
                raise fault(f"{place.name} of the ledger's export has changed since it was looked at")
            page += entries
            if len(page) >= _AT_ONCE:
                await _write(database, start, page)
                start, page = start + len(page), []
                progress(start)
    if page:
        await _write(database, start, page)
        progress(start + len(page))


async def _write(database: str | Path, start: int, entries: list[bytes]) -> None:
    async with open_offline(database) as offline:
        there = await offline.run(recovering.envelopes, start, len(entries))
        if there != entries[: len(there)]:
            raise fault(
                f"the database has other events behind event {start} than the storage: it is no beginning of "
                "this recovery; name an empty database"
            )
        try:
            if left := entries[len(there) :]:
                await offline.run(recovering.append, start + len(there), left)
        except LookupError as error:
            raise StoreError(ErrorKind.CONFLICT, str(error)) from None
