"""Is what was exported the beginning of this ledger? Asked before anything is written, and before bytes go.

Two stores on one bucket, an older database put back, a new one in the place of one that was lost: each would
write another history over the one that can be recovered, and take the other's content for bytes that no row
names. All of them are seen here.
"""

from __future__ import annotations

import uuid

from registry.contract.archive import Archive
from registry.contract.cloudevents import source_of
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.tlog.merkle import WIDTH, Tree, leaf_hash
from registry.contract.tlog.note import Checkpoint
from registry.control.core import Core
from registry.control.export import reading
from registry.control.export.state import WORK, Exported, fault
from registry.control.sql import followers, lookups, recovering
from registry.control.work import load

_ORIGIN = "artifact-store.dev/ledger/"
_RECOVER = (
    "`artifact-store recover` rebuilds the database from storage, with --resume on what an older one has"
)


def origin_of(first: bytes) -> str:
    """The name of the log that begins with that envelope."""
    return f"{_ORIGIN}{uuid.UUID(source_of(first))}"


async def read_origin(core: Core) -> str | None:
    """The name of this ledger's log; None while it is empty."""
    row = await core.database.fetch_one(followers.FIRST, {})
    return None if row is None else origin_of(bytes(row[0]))


async def ledger_entries(core: Core, start: int, end: int) -> list[bytes]:
    """Entries of the ledger by their places in the tree, `end` excluded. Raises StoreError CONFLICT."""
    rows = await core.database.fetch(lookups.EVENTS_PAGE, {"after": start, "limit": end - start})
    if len(rows) != end - start:
        raise fault(f"the ledger has {len(rows)} of the {end - start} events after {start}: run fsck")
    return [bytes(row[0]) for row in rows]


async def stranger(core: Core) -> str | None:
    """Why the export in storage is not of this ledger's past, None when it may well be. One read."""
    if core.export is None:
        return None
    try:
        # First: who exports writes the checkpoint and then the note of it.
        stored = await reading.checkpoint(core.export.archive)
        known = Exported.of(await load(core, WORK))
        if known.fault:
            return known.fault
        if stored is not None:
            await require_ours(core, stored.checkpoint)
            if known.size < stored.checkpoint.size:
                raise fault(
                    f"the checkpoint in storage, of {stored.checkpoint.size} events, is not one that this "
                    "database remembers, and it has not been compared yet"
                )
            if known.size == stored.checkpoint.size and known.root != stored.checkpoint.root:
                raise fault(_other(known.size))
    except StoreError as error:
        if error.kind is not ErrorKind.CONFLICT:
            raise
        return error.message
    return None


async def require_whole(core: Core) -> None:
    """Before requests are served. Raises StoreError CONFLICT for a database whose recovery has not ended, or
    one that lacks what storage has: to it, what the lost one knew is nobody's.
    """
    if await core.database.read(recovering.begun):
        raise fault(
            "a recovery into this database has not ended: `artifact-store recover --resume` goes on with it"
        )
    if core.export is None:
        return
    known = Exported.of(await load(core, WORK))
    try:
        stored = await reading.checkpoint(core.export.archive)
    except StoreError as error:
        if error.kind in (ErrorKind.UNAVAILABLE, ErrorKind.CONFLICT):
            return  # readiness and the export itself tell of these
        raise
    if stored is not None and known.size < stored.checkpoint.size:
        await require_ours(core, stored.checkpoint)


async def require_ours(core: Core, stored: Checkpoint) -> None:
    """Raises StoreError CONFLICT for the checkpoint of another ledger, or of more than this one has."""
    head, origin = await core.database.head(), await read_origin(core)
    if origin is None or head < stored.size:
        raise fault(
            f"the storage holds {stored.size} events of the ledger {stored.origin}, and this database has "
            f"{head}: it is new, or older than the storage; {_RECOVER}"
        )
    if origin != stored.origin:
        raise fault(
            f"the storage holds the ledger {stored.origin}, and this database has {origin}: two stores "
            f"share one place, or a new database was begun where one was lost; {_RECOVER}"
        )


async def grown(core: Core, archive: Archive, stored: Checkpoint, known: Exported) -> Tree:
    """The tree of what is stored, after all of it was found to be this ledger's. Raises StoreError CONFLICT.

    What this database has exported itself it has compared already; where it remembers a later checkpoint,
    an older state of the storage was put back, and everything is read again.
    """
    await require_ours(core, stored)
    tree = Tree()
    if known.size <= stored.size:
        tree = await reading.tree(archive, known.size)
        if tree.root() != known.root:
            raise fault(
                f"the tiles in storage are not those that this database has exported up to event {known.size}"
            )
    while tree.size < stored.size:
        end = min(stored.size, tree.size + WIDTH)
        for entry in await ledger_entries(core, tree.size, end):
            tree.append(leaf_hash(entry))
    if tree.root() != stored.root:
        raise fault(_other(stored.size))
    return tree


def _other(size: int) -> str:
    return (
        f"the storage and this database hold different ledgers of {size} events: one of them is a copy that "
        f"went its own way; {_RECOVER}, or move the folder ledger of the storage away to give it up"
    )
