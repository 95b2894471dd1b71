"""Scrub: every stored byte is read now and then, before somebody needs it and it is not right.

Passes go over content by id, at a bounded rate. How far a pass has come is written down with the times of
verification, so that a restart goes on there. Content verified within the interval is passed over; the
arrival counts as the first verification, since all bytes are hashed as they come in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from registry.contract.dataplane import DataPlane
from registry.contract.errors import ErrorKind, StoreError
from registry.control import erasing, healing, recording
from registry.control.core import HOUR, SYSTEM, Core
from registry.control.pacing import Pace
from registry.control.sql import Connection, lookups, progress, verifying
from registry.control.sql.lookups import MISSING, PRESENT
from registry.control.sql.transaction import Transaction
from registry.control.sql.verifying import ToVerify
from registry.control.tiers import restoring
from registry.control.work import Work, load

_LOG = logging.getLogger(__name__)

WORK = "scrub"

_PAGE = 256
#: A pass that finds nothing to read still says now and then how far it is.
_SAVE_PAGES = 40
#: Passes begin no sooner after each other, whatever could not be read.
_REST = HOUR
_PARALLEL = 4


@dataclass(slots=True)
class Scrubbed:
    """What was read in one go. `unreadable` could not be judged, `passed` need not be read yet."""

    contents: int = 0
    bytes: int = 0
    passed: int = 0
    faults: int = 0
    unreadable: int = 0
    healed: int = 0


@dataclass(frozen=True, slots=True)
class ScrubState:
    """For metrics. `oldest` is when the content verified longest ago was; `faults` since the beginning."""

    oldest: int | None
    faults: int
    contents: int
    bytes: int
    missing: int


async def is_due(core: Core, every: int) -> bool:
    """Whether a pass is to be begun or gone on with: some content was verified longer than `every` ago."""
    state = await load(core, WORK)
    now = core.clock.now()
    if state.get("after", 0):
        return True
    if state.get("finished_at", 0) + min(every, _REST) > now:
        return False
    oldest = (await state_of(core)).oldest
    return oldest is not None and oldest + every <= now


async def scrub(work: Work, *, rate: int, every: int, others: Sequence[DataPlane] = ()) -> Scrubbed:
    """Read what is due, to the end of a pass. `rate` is bytes a second, `every` microseconds.

    Raises UNAVAILABLE when another process has taken the work over.
    """
    core, done, pace = work.core, Scrubbed(), Pace(rate)
    before = await work.load()
    after = int(before.get("after", 0))
    saved, pages = after, 0
    while page := await core.database.read(partial(verifying.following, after=after, limit=_PAGE)):
        due = core.clock.now() - every
        chosen = [found for found in page if found.state == PRESENT and found.verified_at <= due]
        await _welcome(core, [found for found in page if found.state == MISSING], done)
        passed = [found for found in page if found.state == PRESENT and found.verified_at > due]
        done.passed += len(passed)
        times = {found.id: found.verified_at for found in passed if not found.recorded}
        right = await _verify(core, chosen, pace, done, others)
        times |= dict.fromkeys(right, core.clock.now())
        after, pages = page[-1].id, pages + 1
        if chosen or times or pages % _SAVE_PAGES == 0:
            state = _state(before, done, after)
            await work.write(partial(_save, times=times, low=saved, high=after, state=state))
            saved = after
    state = _state(before, done, after) | {"after": 0, "finished_at": core.clock.now()}
    await work.write(partial(_save, times={}, low=saved, high=after, state=state))
    return done


async def _welcome(core: Core, missing: Sequence[ToVerify], done: Scrubbed) -> None:
    """Content that is recorded as missing and whose bytes are there and right: a push came just before the
    record, and its own was lost in a crash, or somebody has put them back."""
    for found in missing:
        try:
            if await healing.examine(core, found.domain, found.address) is not None:
                continue
        except StoreError as error:
            _LOG.error("content %s could not be read: %s", found.address, error)
            continue
        await recording.note_healed(core, SYSTEM, found.domain, found.address)
        done.healed += 1


async def _verify(
    core: Core, chosen: Sequence[ToVerify], pace: Pace, done: Scrubbed, others: Sequence[DataPlane]
) -> list[int]:
    """Ids of content that is right. What is not is repaired."""
    turn = asyncio.Semaphore(_PARALLEL)

    async def one(found: ToVerify) -> int | None:
        async with turn:
            await pace.spend(found.size)
            return found.id if await _judge(core, found, done, others) else None

    return [blob_id for blob_id in await asyncio.gather(*map(one, chosen)) if blob_id is not None]


async def _judge(core: Core, found: ToVerify, done: Scrubbed, others: Sequence[DataPlane]) -> bool:
    done.contents += 1
    done.bytes += found.size
    try:
        fault = await healing.examine(core, found.domain, found.address)
        if fault is None:
            return True
        if not await core.database.read(partial(_still_there, found=found)):
            return False  # collected meanwhile
        done.faults += 1
        healed = await healing.repair(core, found.domain, found.address, fault, others)
    except StoreError as error:
        if error.kind is ErrorKind.ERASED:  # a destruction of keys that stopped before the ledger said so
            await erasing.note_erased(core, SYSTEM, found.domain)
            return False
        if error.kind is ErrorKind.RESTORE_REQUIRED:  # restored bytes have gone again; nothing is fetched
            await restoring.learn(core, SYSTEM, found.domain, found.address)
            return False
        # Perhaps the disk answers again tomorrow. What is unsure is never taken for absent.
        _LOG.error("content %s could not be read: %s", found.address, error)
        done.unreadable += 1
        return False
    done.healed += healed
    return healed


def _state(before: dict[str, int], done: Scrubbed, after: int) -> dict[str, int]:
    """How far the pass is, and counts since the store's beginning, for metrics."""
    counted = {"contents": done.contents, "bytes": done.bytes, "faults": done.faults + done.unreadable}
    return {
        "after": after,
        "highest": max(after, before.get("highest", 0)),
        **{name: before.get(name, 0) + count for name, count in counted.items()},
    }


def _still_there(connection: Connection, *, found: ToVerify) -> bool:
    row = lookups.find_blob(connection, found.domain, found.address)
    return row is not None and row.state == PRESENT


def _save(tx: Transaction, *, times: dict[int, int], low: int, high: int, state: dict[str, int]) -> None:
    verifying.verified(tx.connection, times)
    verifying.drop_stray(tx.connection, low, high)
    progress.save(tx.connection, WORK, dict(state))


async def state_of(core: Core) -> ScrubState:
    """What metrics show; a few look-ups by index."""

    def query(connection: Connection) -> ScrubState:
        state = progress.load(connection, WORK)
        return ScrubState(
            verifying.oldest(connection, int(state.get("highest", 0))),
            int(state.get("faults", 0)),
            int(state.get("contents", 0)),
            int(state.get("bytes", 0)),
            verifying.count_missing(connection),
        )

    return await core.database.read(query)
