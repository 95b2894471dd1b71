"""Backup: a consistent copy of a store, made online, that a server can open as it is.

The database goes first, as one snapshot; then every content it names, each verified as it is copied. Content
never changes, and none is collected meanwhile, since the backup holds that work: what the snapshot names
stays until it is copied. Requests wait for nothing. A copy that is there already is kept: the second backup
into a folder costs what is new.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from registry.contract.archive import Archive
from registry.contract.dataplane import DataPlane
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.tlog.tiles import CHECKPOINT
from registry.control import collection, copying
from registry.control.core import Core
from registry.control.export.duplicating import duplicate
from registry.control.sql import audit
from registry.control.sql.lookups import AWAY, PRESENT
from registry.control.work import hold

_AT_ONCE = 500

#: Seconds to wait for a collection under way.
_PATIENCE = 600.0


@dataclass(slots=True)
class BackedUp:
    """What was copied, what was there already, what could not be had, and what is `away`: it would have to be
    restored first, and stays in its places alone."""

    contents: int = 0
    bytes: int = 0
    kept: int = 0
    faults: int = 0
    away: int = 0


async def backup(
    core: Core,
    target: DataPlane,
    database: Path,
    progress: Callable[[BackedUp], None] = lambda _: None,
    archive: Archive | None = None,
) -> BackedUp:
    """Copy the store to `target` and the file `database`, which appears when all of it is there.

    The ledger's export, where there is one, goes to `archive`, as it was before the database was copied: a
    checkpoint must not have more than its database.

    Raises StoreError UNAVAILABLE where the database has tools of its own, or a collection does not end
    or came in between; STORAGE_FULL.
    """
    done = BackedUp()
    unfinished = database.with_name(f"{database.name}.unfinished")
    _forget(unfinished)  # what a backup that was cut off has left
    checkpoint = None if core.export is None else await core.export.archive.get(CHECKPOINT)
    async with _uncollected(core):
        await core.database.backup(str(unfinished))
        async for content in _contents(core, await core.database.head()):
            if content.state == PRESENT:
                await _copy(core, target, content, done)
                progress(done)
            done.away += content.state == AWAY
    if core.export is not None and archive is not None and checkpoint is not None:
        done.faults += await _copy_export(core.export.archive, archive, checkpoint)
    _forget_log(database)  # of a server that has run on the copy: it would be played into the new file
    unfinished.replace(database)
    return done


async def _copy_export(source: Archive, target: Archive, checkpoint: bytes) -> int:
    """1 where the export is damaged: the copy has none that counts, and exports anew when it is served."""
    try:
        await duplicate(source, target, checkpoint)
    except StoreError as error:
        if error.kind is not ErrorKind.CONFLICT:
            raise
        return 1
    return 0


async def _contents(core: Core, head: int) -> AsyncIterator[audit.KnownContent]:
    """Content that came no later than the ledger's entry `head`: pushes keep no backup from ending."""
    after = 0
    while page := await core.database.read(partial(audit.contents, after=after, limit=_AT_ONCE)):
        for content in page:
            after = content.id
            if after > head:
                return
            yield content


@asynccontextmanager
async def _uncollected(core: Core) -> AsyncIterator[None]:
    """No content is collected meanwhile. Raises UNAVAILABLE when that cannot be had, or was lost."""
    async with hold(core, collection.WORK, _PATIENCE) as work:
        await collection.take_over(work)
        yield
        await work.prolong()


def _forget(database: Path) -> None:
    database.unlink(missing_ok=True)
    _forget_log(database)


def _forget_log(database: Path) -> None:
    for suffix in ("-wal", "-shm", "-journal"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


async def _copy(core: Core, target: DataPlane, content: audit.KnownContent, done: BackedUp) -> None:
    place = content.domain, content.address, content.size
    if await copying.holds(target, *place):
        done.kept += 1
        return
    try:
        await copying.copy(core.dataplane, target, *place, core.identifiers.new())
    except StoreError as error:
        if error.kind is ErrorKind.RESTORE_REQUIRED:  # restored bytes have gone again
            done.away += 1
            return
        if error.kind not in {ErrorKind.CONTENT_UNKNOWN, ErrorKind.DIGEST_MISMATCH}:
            raise
        done.faults += 1
        return
    done.contents += 1
    done.bytes += content.size
