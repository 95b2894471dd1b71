"""The folder a backup goes to: it may hold an older copy of the same store, and nothing else.

A backup replaces the ledger of its folder. Replaced by mistake, the ledger of another store, or of this one
while a server writes to it, would be lost.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from registry.contract.dataplane import DataPlane
from registry.control import Store, open_store
from registry.control.sql.database import Database
from registry.control.sql.lookups import EVENTS_PAGE
from registry.dataplane import open_local
from registry.server.folder import create_folder, database_in, lock_exclusive
from registry.server.settings import Settings
from registry.server.storage import key_ring

#: What a backup that was interrupted may have left without a ledger.
_BEGUN = frozenset(
    {
        *("FORMAT", "content", "index", "keys", "ledger", "lock", "packs", "quarantine", "staging"),
        "ledger.sqlite.unfinished",
    }
)


class TargetError(Exception):
    """A folder that cannot take the backup; the message says why."""


@asynccontextmanager
async def open_target(folder: Path, settings: Settings, store: Store) -> AsyncIterator[DataPlane]:
    """The data plane of `folder`, locked, to take a copy of `store`, which is opened by `settings`.

    What is sealed there is sealed in the copy, with data keys of its own that the same provider wraps, so
    that no backup lays open what its store does not. What was destroyed there is destroyed here. Raises
    TargetError, FolderUnusableError, FolderBusyError while a server or another backup works on it.
    """
    data = settings.server.data
    _check_apart(folder, data)
    _check_kind(folder)
    create_folder(folder)
    with lock_exclusive(folder, "backup"):
        original = key_ring(settings)
        keys = key_ring(settings, folder, original.seals)
        for domain in original.destroyed():
            keys.destroy(domain)
        target = open_local(folder, keys=keys)
        try:
            if database_in(folder).exists():
                await _check_history(folder, target, store)
            yield target
        finally:
            await target.close()


def _check_apart(folder: Path, data: Path) -> None:
    there, here = folder.resolve(), data.resolve()
    if there == here or there in here.parents or here in there.parents:
        raise TargetError(f"{folder} and the data folder {data} are not apart; name a folder elsewhere")


def _check_kind(folder: Path) -> None:
    if not folder.exists() or database_in(folder).exists():
        return
    if not folder.is_dir():
        raise TargetError(f"{folder} is a file; name a folder")
    strange = sorted(entry.name for entry in folder.iterdir() if entry.name not in _BEGUN)
    if strange:
        raise TargetError(f"{folder} holds {strange[0]} and no backup; name an empty or a new folder")


async def _check_history(folder: Path, target: DataPlane, store: Store) -> None:
    """The last event there must be this store's event of that number: then the copy only goes forward.

    Opening the database has one more effect that is wanted: a log that a killed server left beside it is
    taken in, and cannot be taken for one of the new database.
    """
    copy = await open_store(target, database_in(folder))
    try:
        head = await copy.core.database.head()
        last = await _event(copy.core.database, head)
    finally:
        await copy.close()
    if last != await _event(store.core.database, head):
        raise TargetError(
            f"{folder} holds another store, or a backup that has been written to since; name another folder"
        )


async def _event(database: Database, seq: int) -> bytes | None:
    """The event's canonical bytes; None where the ledger is shorter."""
    rows = await database.fetch(EVENTS_PAGE, {"after": seq - 1, "limit": 1})
    return bytes(rows[0][0]) if rows else None
