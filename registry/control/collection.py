"""Collection: what nothing holds any more goes, online (decisions 10 and 14).

Marking is asking: pages of rows by key, each row with "does anything hold this?" (sql/holding.py), on
snapshots. Sweeping asks again inside a short transaction of a few rows and emits the events. So nothing is
locked, no request waits for more than one small batch, and memory does not grow with the store.

1. Manifests go that nothing has needed for long, in repositories whose policy says so.
2. Blobs leave repositories where no manifest reaches them (`blob.unlinked`).
3. Content goes that no repository has (`content.removed`): absent from here on.
4. Bytes that no row names are noted: a crash between a commit and its row left them.
5. Bytes are deleted when they have been noted for long enough: content that nobody has from all locations,
   content that has moved from the one that it left.
6. Packs that have many dead bytes by now are rewritten.

A crash between any two steps leaves bytes without a row, and a note of them that the next run goes on with.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from registry.contract.dataplane import DomainId
from registry.contract.digest import Digest
from registry.contract.errors import StoreError
from registry.contract.names import Repository
from registry.control import arrival, retention, rewriting
from registry.control.core import SECOND, Core
from registry.control.export.lineage import stranger
from registry.control.sql import holding, removals
from registry.control.sql.removals import Removal
from registry.control.sql.transaction import Transaction
from registry.control.tiers import releasing
from registry.control.work import Work

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

WORK = arrival.COLLECTION

#: Rows of one page of marking, and of one transaction of sweeping: some 20 ms of the writer.
_PAGE = 2000
_BATCH = 32
_ORPHANS = 500
#: Deletions of one claim, and how many run at once: those of tiny blobs share their syncs.
_CLAIM = 128
_PARALLEL = 32
_RETRY = 10 * 60 * SECOND
#: Seconds after a claim in which deletions begin. A push of the same content waits for the claim's end.
_QUICK = arrival.CLAIM / SECOND / 3
#: Passes over a repository's manifests until what needs what is settled: the depth of indexes in indexes.
_PASSES = 16


@dataclass(slots=True)
class Collected:
    """What a run did. `removed` content answers as absent now; `freed` bytes are off the medium.

    `waiting` is marked, and its bytes are deleted by a later run; `orphans` were found without a row.
    `freed_bytes` are those of content: of what lay in packs they are dead there until the pack is rewritten,
    and `rewritten_bytes` are what files of packs became smaller by.
    """

    manifests: int = 0
    unlinked: int = 0
    removed: int = 0
    removed_bytes: int = 0
    orphans: int = 0
    freed: int = 0
    freed_bytes: int = 0
    waiting: int = 0
    waiting_bytes: int = 0
    rewritten_bytes: int = 0


Progress = Callable[[Collected], None]


async def collect(
    work: Work, *, orphans: bool = True, wait: bool = False, progress: Progress = lambda _: None
) -> Collected:
    """One run. With `orphans` the data plane is walked too; `wait` stays until marked bytes may go.

    Raises UNAVAILABLE when another process has taken the work over.
    """
    core, done = work.core, Collected()
    await take_over(work)
    await _let_untagged_go(work, done, progress)
    await _unlink(work, done, progress)
    await _remove(work, done, progress)
    if orphans:
        await _note_orphans(work, done, progress)
    await _free(work, done, progress, wait=wait)
    await releasing.release(work, releasing.Released())
    done.rewritten_bytes = (await rewriting.rewrite(work)).freed
    left = await core.database.read(removals.waiting)
    done.waiting, done.waiting_bytes = left.objects, left.bytes
    await _forget_ended(work)
    state = await work.load()
    now = core.clock.now()
    await work.save(
        {
            "finished_at": now,
            "orphans_at": now if orphans else state.get("orphans_at", 0),
            "removed": state.get("removed", 0) + done.removed,
            "freed": state.get("freed", 0) + done.freed,
            "freed_bytes": state.get("freed_bytes", 0) + done.freed_bytes,
            "rewritten_bytes": state.get("rewritten_bytes", 0) + done.rewritten_bytes,
        }
    )
    return done


async def settle(work: Work) -> Collected:
    """Only what crashes leave: bytes without a row, and deletions that had begun."""
    done = Collected()
    await take_over(work)
    await _note_orphans(work, done, lambda _: None)
    await _free(work, done, lambda _: None, wait=False)
    await releasing.release(work, releasing.Released())
    return done


async def take_over(work: Work) -> None:
    """Be the one who deletes, and end what others have begun. First of all for who holds the work.

    Raises UNAVAILABLE while a deletion is under way in a process that was stopped.
    """
    await work.core.dataplane.admit(work.holder)
    await releasing.take_over(work)
    while begun := await work.core.database.read(partial(removals.begun, limit=_BATCH)):
        await work.write(partial(_fail_batch, batch=begun))


def _fail_batch(tx: Transaction, *, batch: Sequence[Removal]) -> None:
    for removal in batch:
        removals.fail(tx.connection, removal, tx.now, tx.now)


async def _forget_ended(work: Work) -> None:
    """Forget deletions that ended so long ago that who could not know of them is refused (arrival.py)."""
    before = work.core.clock.now() - 2 * arrival.GRACE
    await releasing.forget_ended(work, before)
    while ended := await work.core.database.read(partial(removals.ended, before=before, limit=_PAGE)):
        for batch in _batches(ended):
            await work.write(partial(_forget_batch, batch=batch))


def _forget_batch(tx: Transaction, *, batch: Sequence[Removal]) -> None:
    for removal in batch:
        removals.forget(tx.connection, removal)


async def _unlink(work: Work, done: Collected, progress: Progress) -> None:
    core, after = work.core, (0, 0)
    while page := await core.database.read(
        partial(holding.links, moment=retention.moment(core, core.clock.now()), after=after, limit=_PAGE)
    ):
        after = (page[-1].repository_id, page[-1].blob_id)
        free = [(link.repository_id, link.blob_id) for link in page if link.free]
        for batch in _batches(free):
            done.unlinked += await work.write(partial(_unlink_batch, core=core, batch=batch))
            progress(done)


def _unlink_batch(tx: Transaction, *, core: Core, batch: Sequence[tuple[int, int]]) -> int:
    return sum(retention.unlink_free(tx, core, *link) for link in batch)


async def _remove(work: Work, done: Collected, progress: Progress) -> None:
    core, after = work.core, 0
    while page := await core.database.read(
        partial(holding.contents, moment=retention.moment(core, core.clock.now()), after=after, limit=_PAGE)
    ):
        after = page[-1].id
        sizes = {held.id: held for held in page if held.free}
        for batch in _batches(list(sizes)):
            gone = await work.write(partial(_remove_batch, core=core, batch=batch))
            for blob_id in gone:
                core.manifest_cache.drop(sizes[blob_id].domain, sizes[blob_id].address)
                done.removed += 1
                done.removed_bytes += sizes[blob_id].size
            progress(done)


def _remove_batch(tx: Transaction, *, core: Core, batch: Sequence[int]) -> list[int]:
    return [blob_id for blob_id in batch if retention.remove_free(tx, core, blob_id)]


async def _note_orphans(work: Work, done: Collected, progress: Progress) -> None:
    if (why := await stranger(work.core)) is not None:
        # To a database that is not the storage's own, all that the lost one knew looks like nobody's.
        _LOG.error("bytes that no row names are left alone: %s", why)
        return
    gathered: dict[DomainId, list[tuple[Digest, int]]] = {}
    async for domain, address, size in work.core.dataplane.contents():
        held = gathered.setdefault(domain, [])
        held.append((address, size))
        if len(held) == _ORPHANS:
            done.orphans += await note_unnamed(work, domain, held)
            held.clear()
            progress(done)
    for domain, held in gathered.items():
        done.orphans += await note_unnamed(work, domain, held)


async def note_unnamed(work: Work, domain: DomainId, found: list[tuple[Digest, int]]) -> int:
    """Note those of `found` that no row names; how many.

    They may be an upload's whose row is about to come, so they get their grace first.
    """
    core, sizes = work.core, dict(found)
    unnamed = await core.database.read(partial(removals.unnamed, domain=domain, addresses=list(sizes)))
    for batch in _batches(unnamed):

        def change(tx: Transaction, batch: Sequence[Digest] = batch) -> None:
            for address in batch:
                removals.note(
                    tx.connection,
                    domain,
                    address,
                    sha256=None,
                    size=sizes[address],
                    generation=0,
                    now=tx.now,
                    due_at=tx.now + core.limits.orphan_grace,
                )

        await work.write(change)
    return len(unnamed)


async def _free(work: Work, done: Collected, progress: Progress, *, wait: bool) -> None:
    """Delete bytes whose time has come; with `wait`, also those that this run has marked."""
    core = work.core
    horizon = core.clock.now() + core.limits.removal_delay
    while True:
        claimed = await work.write(_claim)
        if claimed:
            await _delete(work, claimed, done)
            progress(done)
            continue
        due = (await core.database.read(removals.waiting)).first_due
        if not wait or due is None or due > horizon:
            return
        await asyncio.sleep(max(due - core.clock.now(), 0) / SECOND + 0.01)


def _claim(tx: Transaction) -> list[Removal]:
    return removals.claim(tx.connection, tx.now, _CLAIM)


async def _delete(work: Work, claimed: list[Removal], done: Collected) -> None:
    """Delete what was claimed a moment ago."""
    turn, until = asyncio.Semaphore(_PARALLEL), time.monotonic() + _QUICK
    again: set[Digest] = set()

    async def delete(removal: Removal) -> int | None:
        async with turn:
            if time.monotonic() > until:
                again.add(removal.address)
                return None
            try:
                return await work.core.dataplane.remove(removal.domain, removal.address, work.holder)
            except StoreError as error:
                _LOG.warning("%s could not be deleted: %s", removal.address, error)
                return None

    freed = await asyncio.gather(*(delete(removal) for removal in claimed))

    def change(tx: Transaction) -> None:
        for removal, outcome in zip(claimed, freed, strict=True):
            if outcome is None:
                wait = 0 if removal.address in again else _RETRY
                removals.fail(tx.connection, removal, tx.now + wait, tx.now)
            else:
                removals.finish(tx.connection, removal, tx.now)

    await work.write(change)
    done.freed += sum(outcome is not None for outcome in freed)
    done.freed_bytes += sum(outcome or 0 for outcome in freed)


# --- manifests that a policy lets go ------------------------------------------------------------------------


async def _let_untagged_go(work: Work, done: Collected, progress: Progress) -> None:
    async for repository_id, name, waits in retention.expiring(work.core):
        await _settle_needs(work, repository_id)
        await _expire(work, repository_id, name, waits, done, progress)


async def _settle_needs(work: Work, repository_id: int) -> None:
    """Write down since when which manifests are needed by nothing but each other."""
    core = work.core
    for _ in range(_PASSES):
        after, changed = 0, 0
        while page := await core.database.read(
            partial(
                holding.candidates,
                now=core.clock.now(),
                repository_id=repository_id,
                after=after,
                limit=_PAGE,
            )
        ):
            after = page[-1].id
            turned = [found.id for found in page if found.needed is (found.since is not None)]
            for batch in _batches(turned):
                changed += await work.write(partial(_turn, batch=batch))
        if not changed:
            return


def _turn(tx: Transaction, *, batch: Sequence[int]) -> int:
    turned = 0
    for manifest_id in batch:
        found = holding.candidate(tx.connection, tx.now, manifest_id)
        if found is None or found.needed is not (found.since is not None):
            continue
        if found.needed:
            holding.spare(tx.connection, manifest_id)
        else:
            holding.doom(tx.connection, manifest_id, tx.now)
        turned += 1
    return turned


async def _expire(
    work: Work, repository_id: int, name: Repository, waits: int, done: Collected, progress: Progress
) -> None:
    """Delete them, the newest first since indexes come after what they list; again until none goes."""
    core = work.core
    for _ in range(_PASSES):
        before = done.manifests
        find: dict[str, Any] = {"repository_id": repository_id, "limit": _PAGE}
        below = 2**62
        while page := await core.database.read(
            partial(holding.overdue, before=core.clock.now() - waits, below=below, **find)
        ):
            below = page[-1]
            for batch in _batches(page):
                done.manifests += await work.write(
                    partial(_expire_batch, core=core, repository=name, batch=batch)
                )
                progress(done)
        if done.manifests == before:
            return


def _expire_batch(tx: Transaction, *, core: Core, repository: Repository, batch: Sequence[int]) -> int:
    return sum(retention.expire_untagged(tx, core, repository, manifest_id) for manifest_id in batch)


def _batches(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[start : start + _BATCH] for start in range(0, len(items), _BATCH)]
