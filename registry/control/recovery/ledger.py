"""The exported ledger written back, byte for byte, in transactions that a kill may part."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

from registry.contract.archive import Archive
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.tlog.merkle import WIDTH, leaf_hash, tree_hash
from registry.contract.tlog.note import Checkpoint
from registry.control.export.examining import Examined, read_bundles
from registry.control.export.state import fault
from registry.control.sql import recovering
from registry.control.sql.opening import migrate_database, open_offline

#: Events of one transaction.
_AT_ONCE = 16 * WIDTH


async def prepare(database: str | Path, stored: Checkpoint, *, resume: bool) -> None:
    """Make the schema, and see that nothing is lost by what comes. Raises StoreError CONFLICT."""
    await migrate_database(database)
    async with open_offline(database) as offline:
        head = await offline.run(recovering.head)
        begun = await offline.run(recovering.begun)
        if head and not begun:
            raise fault(
                f"the database has {head} events already; recovery fills an empty one. Name another, or move "
                "it away"
            )
        if begun and not resume:
            raise fault("a recovery into this database has not ended: --resume goes on with it")
        if begun and begun != {"size": stored.size, "root": stored.root.hex()}:
            raise fault(
                "the recovery that has not ended was from another checkpoint: begin with an empty database"
            )
        await offline.run(recovering.begin, stored.size, stored.root.hex())


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
