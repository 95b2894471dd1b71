"""Content moves to the location where the rules want it, in the background, at a bounded rate (decision 65).

1. The bytes are copied, and the data plane has read them back there, or has other proof, before it returns.
2. One transaction says that the new location has the content and the others are released, and notes the
   bytes there as on their way out; unless somebody has come to need the content meanwhile.
3. A while later, for readers under way, they are deleted (releasing.py), each only while another place surely
   holds the content.

A crash after 1 leaves a copy that the next pass finds and uses, a crash after 2 a note that the next
collection goes on with. How far a pass is gets written down, so that a restart goes on there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from registry.contract.errors import ErrorKind, StoreError
from registry.contract.events import LocationChanged, LocationReleased
from registry.control import collection
from registry.control.core import SECOND, Core
from registry.control.sql import content_reads, movable, progress, releases
from registry.control.sql.transaction import Transaction
from registry.control.tiers import releasing
from registry.control.tiers.candidates import Candidate, Retiered, look
from registry.control.tiers.releasing import Released
from registry.control.work import Work, hold, load

_LOG = logging.getLogger(__name__)

WORK = "tiers"

_PARALLEL = 4
_LAST = 2**62
#: A pass that finds nothing to move still says now and then how far it is.
_SAVE_PAGES = 250
#: A pass that a location did not let to its end is followed by another after so long, at the latest.
_RETRY = 10 * 60 * SECOND
#: A location that cannot take anything now: what else is for it waits for the next pass.
_CLOSED = frozenset({ErrorKind.STORAGE_FULL, ErrorKind.UNAVAILABLE, ErrorKind.HELD})


@dataclass(slots=True)
class Moved:
    """What was done. `away` content would have to be restored first, `kept` was needed as its turn came,
    `outside` may not lie where the rules want it. `closed` names locations that could not be used, and why.
    """

    contents: int = 0
    bytes: int = 0
    away: int = 0
    kept: int = 0
    outside: int = 0
    faults: int = 0
    closed: dict[str, str] = field(default_factory=dict)
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What a pass would move from some locations to one."""

    source: str
    to: str
    contents: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pass would do now. `refusals` are sentences, each with how many contents it keeps in place."""

    steps: tuple[Step, ...]
    refusals: tuple[tuple[str, int], ...]


Progress = Callable[[Moved], None]


async def is_due(core: Core, every: int) -> bool:
    """Whether a pass is to be begun, `every` microseconds after the last, or gone on with."""
    if not core.tiers.rules:
        return False
    state = await load(core, WORK)
    wait = min(every, _RETRY) if state.get("closed") else every
    return bool(state.get("reached")) or state.get("finished_at", 0) + wait <= core.clock.now()


async def plan(core: Core) -> Plan:
    """Look at all content as a pass would, from the beginning. Memory is for locations, not for content."""
    steps: dict[tuple[str, str], list[int]] = {}
    refusals: dict[str, int] = {}
    async for page in look(core, 0):
        for found in page.candidates:
            if found.refusal is not None:
                refusals[found.refusal] = refusals.get(found.refusal, 0) + 1
                continue
            source = " and ".join(held.location for held in found.held if held.location != found.to)
            counts = steps.setdefault((source, found.to), [0, 0])
            counts[0] += 1
            counts[1] += found.had.size
    return Plan(
        tuple(Step(source, to, *counts) for (source, to), counts in sorted(steps.items())),
        tuple(sorted(refusals.items())),
    )


async def move(
    work: Work, *, limit: int | None = None, again: bool = False, progress: Progress = lambda _: None
) -> Moved:
    """Go on with the pass, or begin one (always with `again`); stop when `limit` bytes moved, or at its end.

    Raises UNAVAILABLE when another process has taken the work over.
    """
    core, done = work.core, Moved()
    before = await work.load()
    reached = saved = 0 if again else int(before.get("reached", 0))
    pages = 0
    async for page in look(core, reached):
        await _retier(work, page.retiered)
        await _move_all(work, page.candidates, done, progress)
        pages += 1
        if page.candidates or pages % _SAVE_PAGES == 0:
            await _save(work, before, done, page.reached, (saved, page.reached))
            saved = page.reached
        if limit is not None and done.bytes >= limit:
            return done
    done.finished = True
    await _save(work, before, done, 0, (saved, _LAST))
    return done


async def release(core: Core, *, wait: bool = False) -> Released:
    """Delete what moved and is due, if nobody else deletes now; with `wait` also what will be due soon."""
    done = Released()
    horizon = core.clock.now() + core.limits.removal_delay
    while True:
        async with hold(core, collection.WORK) as work:
            await collection.take_over(work)
            await releasing.release(work, done)
        _, _, due = await core.database.read(releases.waiting)
        if not wait or due is None or due > horizon:
            return done
        await asyncio.sleep(max(due - core.clock.now(), 0) / SECOND + 0.01)


async def _move_all(work: Work, candidates: Sequence[Candidate], done: Moved, progress: Progress) -> None:
    turn = asyncio.Semaphore(_PARALLEL)

    async def one(found: Candidate) -> None:
        async with turn:
            if found.refusal is not None:
                done.outside += 1
            elif found.to not in done.closed:
                await _move(work, found, done)
                progress(done)

    await asyncio.gather(*map(one, candidates))


async def _move(work: Work, found: Candidate, done: Moved) -> None:
    core, had = work.core, found.had
    place = core.places.find(found.to)
    if place is None:
        done.closed[found.to] = "the settings name no such location"
        return
    core.placement.check(had.domain, place)
    try:
        if all(held.location != found.to for held in found.held):
            await core.dataplane.copy(had.domain, had.digest, place.name)
    except StoreError as error:
        if error.kind is ErrorKind.RESTORE_REQUIRED:
            done.away += 1
        elif error.kind in _CLOSED:
            _LOG.warning("nothing more is moved to %s for now: %s", found.to, error)
            done.closed[found.to] = error.message
        else:
            _LOG.error("content %s stays where it is: %s", had.address, error)
            done.faults += 1
        return
    if await work.write(partial(_record, core=core, found=found)):
        done.contents += 1
        done.bytes += had.size
    else:
        done.kept += 1


def _record(tx: Transaction, *, core: Core, found: Candidate) -> bool:
    """Say that the content has moved; False when it is to stay, and then the copy goes."""
    had, address = found.had, found.had.digest
    blob, place = tx.find_blob(had.domain, address), core.places.find(found.to)
    if blob is None or blob.id != had.blob_id or place is None:
        return False  # a collection has taken it, and finds the copy too
    held = {one.location for one in movable.places(tx.connection, blob.id, blob.id).get(blob.id, ())}
    due_at = tx.now + core.limits.removal_delay
    release_of = partial(
        releases.note, tx.connection, had.domain, address, size=had.size, now=tx.now, due_at=due_at
    )
    rested = content_reads.last(tx.connection, blob.id) + core.tiers.rest <= tx.now
    if not rested or not movable.is_free(tx.connection, blob.id, tx.now):
        if found.to not in held:
            release_of(found.to)
        return False
    if found.to not in held:
        releases.take_back(tx.connection, had.domain, address, found.to)
        tx.emit(LocationChanged(had.domain, address, found.to, place.tier.value, None))
    for other in sorted(held - {found.to}):
        if core.places.find(other) is not None:
            tx.emit(LocationReleased(had.domain, address, other))
            release_of(other)
    return True


async def _retier(work: Work, found: Sequence[Retiered]) -> None:
    def change(tx: Transaction) -> None:
        for one in found:
            place = work.core.places.find(one.location)
            if place is not None and tx.find_blob(one.had.domain, one.had.digest) is not None:
                tx.emit(LocationChanged(one.had.domain, one.had.digest, one.location, place.tier.value, None))

    if found:
        await work.write(change)


async def _save(
    work: Work, before: dict[str, int], done: Moved, reached: int, passed: tuple[int, int]
) -> None:
    """Write down how far the pass is, and forget reads of what has gone among the ids that it `passed`."""
    state = {
        "reached": reached,
        "finished_at": work.core.clock.now() if done.finished else int(before.get("finished_at", 0)),
        "closed": bool(done.closed),
        "contents": int(before.get("contents", 0)) + done.contents,
        "bytes": int(before.get("bytes", 0)) + done.bytes,
    }

    def change(tx: Transaction) -> None:
        content_reads.drop_stray(tx.connection, *passed)
        progress.save(tx.connection, WORK, state)

    await work.write(change)
