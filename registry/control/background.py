"""What a store does by itself, beside requests: reap, collect, pack, move, scrub, follow, export."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from registry.contract.errors import ErrorKind, StoreError
from registry.control import collection, packing, reaper, scrubbing
from registry.control.core import DAY, HOUR, Core
from registry.control.export import runner as exporting
from registry.control.export.state import WORK as EXPORT
from registry.control.followers.runner import follow, work_of
from registry.control.sql import releases
from registry.control.sql.lookups import AT_HAND
from registry.control.tiers import moving, restoring
from registry.control.tiers import reads as read_times
from registry.control.work import hold, load

_LOG = logging.getLogger(__name__)

#: Content (bytes) that is packed in one go. Between two, others may have the work.
_PACK_TURN = 128 << 20

#: Content (bytes) that moves to another location in one go.
_MOVE_TURN = 128 << 20

#: How often it is looked whether something is due. All processes of a store look; one does it.
_PULSE = 15.0


@dataclass(frozen=True, slots=True)
class Care:
    """When the store looks after itself. Times in microseconds; None never does it."""

    #: Between two collections.
    collect_every: int | None = HOUR
    #: Between two walks over all stored bytes in search of some that no row names.
    orphans_every: int = DAY
    #: Between two passes over all content in search of what is to be packed.
    pack_every: int | None = DAY
    #: Bytes of content that are packed in a second, taken over minutes.
    pack_rate: int = 32 * 1024 * 1024
    #: Between two passes over all content in search of what belongs to another location.
    move_every: int | None = DAY
    #: Bytes of content that move in a second, taken over minutes.
    move_rate: int = 32 * 1024 * 1024
    #: Bytes that the scrub reads in a second.
    scrub_rate: int | None = 16 * 1024 * 1024
    #: Content whose bytes were found right so recently is not read again.
    scrub_every: int = 30 * DAY


class Background:
    """The tasks of one open store."""

    def __init__(self, core: Core, care: Care) -> None:
        self._core = core
        self._care = care
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin. Idempotent."""
        if self._tasks:
            return
        core, care = self._core, self._care
        jobs = {"reaper": reaper.run(core)}
        if care.collect_every is not None:
            every, walks = care.collect_every, care.orphans_every
            jobs[collection.WORK] = _repeat(collection.WORK, lambda: _collect(core, every, walks))
        if care.pack_every is not None:
            often, pace = care.pack_every, care.pack_rate
            jobs[packing.WORK] = _repeat(packing.WORK, lambda: _pack(core, often, pace))
        jobs[read_times.WORK] = _repeat(
            read_times.WORK, lambda: read_times.keep_count(core), read_times.EVERY
        )
        if care.move_every is not None and core.tiers.rules:
            seldom, speed = care.move_every, care.move_rate
            jobs[moving.WORK] = _repeat(moving.WORK, lambda: _move(core, seldom, speed))
        if core.places.several or core.places.primary.tier.value not in AT_HAND:
            jobs[restoring.WORK] = _repeat(restoring.WORK, lambda: _watch(core), restoring.EVERY)
        if care.scrub_rate is not None:
            rate, interval = care.scrub_rate, care.scrub_every
            jobs[scrubbing.WORK] = _repeat(scrubbing.WORK, lambda: _scrub(core, rate, interval))
        for follower in core.followers:
            jobs[work_of(follower.name)] = follow(core, follower)
        if core.export is not None:
            jobs[EXPORT] = exporting.run(core, core.export)
        self._tasks = [asyncio.create_task(job, name=name) for name, job in jobs.items()]

    async def stop(self) -> None:
        """Cancel what runs; it goes on after the next start where it was. Events that wait are exported."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if tasks and self._core.export is not None:
            await exporting.finish(self._core, self._core.export)


async def _collect(core: Core, every: int, walks: int) -> None:
    """Collect when it is time. In a new store the time begins with the first look."""
    if not _is_due(await load(core, collection.WORK), every, core.clock.now()):
        return
    async with hold(core, collection.WORK) as work:
        state, now = await work.load(), core.clock.now()
        if not state:
            await work.save({"finished_at": now, "orphans_at": now})
        elif _is_due(state, every, now):
            done = await collection.collect(work, orphans=state["orphans_at"] + walks <= now)
            if done != collection.Collected():
                _LOG.info("collected: %s", done)


def _is_due(state: dict[str, Any], every: int, now: int) -> bool:
    """Also when the clock was put back since: nothing waits until it is there again."""
    return not state or not int(state["finished_at"]) <= now < int(state["finished_at"]) + every


async def _pack(core: Core, every: int, rate: int) -> None:
    """One pass in turns, none of which keeps others from the work, or the processor, for long."""
    if not await packing.is_due(core, every):
        return
    while True:
        async with hold(core, packing.WORK) as work:
            done = await packing.pack(work, limit=_PACK_TURN)
        if done.blobs or done.faults:
            _LOG.info("packed: %d bytes saved, %s", done.saved, done)
        if done.finished:
            return
        await asyncio.sleep(done.bytes / rate)


async def _move(core: Core, every: int, rate: int) -> None:
    """One pass in turns, as `_pack`; and what has moved is deleted where it was, when that is due."""
    while await moving.is_due(core, every):
        await read_times.flush(core)
        async with hold(core, moving.WORK) as work:
            done = await moving.move(work, limit=_MOVE_TURN)
        if done.contents or done.faults:
            _LOG.info("moved: %s", done)
        await asyncio.sleep(done.bytes / rate)
    if await core.database.read(partial(releases.is_due, now=core.clock.now())):
        freed = await moving.release(core)
        _LOG.info("released: %s", freed)


async def _watch(core: Core) -> None:
    await restoring.watch(core)


async def _scrub(core: Core, rate: int, interval: int) -> None:
    if await scrubbing.is_due(core, interval):
        async with hold(core, scrubbing.WORK) as work:
            done = await scrubbing.scrub(work, rate=rate, every=interval)
        _LOG.info("scrubbed: %s", done)


async def _repeat(name: str, turn: Callable[[], Awaitable[None]], pulse: float | None = None) -> None:
    """Take turns until cancelled. A failure is logged and tried again."""
    while True:
        try:
            await turn()
        except StoreError as error:
            # UNAVAILABLE is how it is said that another process does the work.
            level = logging.DEBUG if error.kind is ErrorKind.UNAVAILABLE else logging.WARNING
            _LOG.log(level, "the %s did not run: %s", name, error)
        except Exception:
            _LOG.exception("the %s failed", name)
        await asyncio.sleep(_PULSE if pulse is None else pulse)
