"""The life of a follower: wait for events, hold the work, read a page, deliver it, save the place, again.

Every process that serves a store runs every follower; a lease with a fencing token decides which of them
delivers (decision 3). It is held while there is something to do, so that an idle store writes nothing. Who
dies holding it is taken over when the lease is over; what was delivered since the last save is then delivered
again, under the same ids. Memory holds one page, however far behind the receiver is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from functools import partial

from registry.contract.delivery import Delivery, Failure, Sink, Trouble
from registry.contract.errors import ErrorKind, StoreError
from registry.control.core import SECOND, SYSTEM, Core
from registry.control.followers.following import Follower
from registry.control.followers.outcome import After, after_failure, after_letters, after_success
from registry.control.followers.reading import Batch, read_batch, read_letters, read_source
from registry.control.sql import followers as rows
from registry.control.sql.followers import Look, Place
from registry.control.sql.transaction import Transaction
from registry.control.work import Work, hold

_LOG = logging.getLogger(__name__)

_LEASE_SECONDS = 30.0
_LEASE = int(_LEASE_SECONDS * SECOND)
#: A sink that has not said what became of its events by then is taken for stuck.
_LONGEST_DELIVERY = 20.0
_LONGEST_CLOSE = 5.0
#: Commits of other processes are seen so soon; our own wake us.
_PULSE = 0.5
#: The work is kept so long after the last event, so that a slow trickle does not cost a lease each.
_LINGER = 5.0
#: Passing over events that are left out is written down no more often than this.
_SAVE_PASSED = 5.0
#: After what was not foreseen.
_REST = 5.0


def work_of(name: str) -> str:
    """The lease of the follower of that name."""
    return f"follower {name}"


async def follow(core: Core, follower: Follower) -> None:
    """Deliver to the follower's sink until cancelled."""
    runner = Runner(core, follower)
    try:
        while True:
            try:
                await runner.turn()
            except StoreError as error:
                # UNAVAILABLE is also how it is said that another process has the work.
                level = logging.DEBUG if error.kind is ErrorKind.UNAVAILABLE else logging.WARNING
                _LOG.log(level, "the follower %s paused: %s", follower.name, error)
                await asyncio.sleep(_PULSE + random.random())  # noqa: S311  (spreads processes out)
            except Exception:
                _LOG.exception("the follower %s failed", follower.name)
                await asyncio.sleep(_REST)
    finally:
        await runner.close()


class Runner:
    """One follower in one process."""

    def __init__(self, core: Core, follower: Follower) -> None:
        self._core = core
        self._follower = follower
        self._sink: Sink | None = None
        self._source = follower.source

    async def turn(self) -> None:
        """Wait a little for something to do, and when there is, do all of it."""
        commit = self._core.database.next_commit()
        look = await self._look()
        now = self._core.clock.now()
        if look.place is None:
            await self._enrol()
        elif not _has_work(look, look.place, now):
            await _either(commit, _PULSE)
        elif look.held_until > now:
            # Somebody else delivers: no use for a connection of ours.
            await self.close()
            await asyncio.sleep(_PULSE * (1 + random.random()))  # noqa: S311  (spreads processes out)
        else:
            async with hold(self._core, work_of(self._follower.name), lease=_LEASE) as work:
                await self._serve(work)

    async def close(self) -> None:
        """Let go of the receiver."""
        if self._sink is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_LONGEST_CLOSE):
                    await self._sink.close()

    async def _enrol(self) -> None:
        name, from_now = self._follower.name, self._follower.from_now

        def change(tx: Transaction) -> None:
            rows.enrol(tx.connection, name, rows.head(tx.connection) if from_now else 0)

        await self._core.database.write(SYSTEM, change)

    async def _look(self) -> Look:
        name = self._follower.name
        row = await self._core.database.fetch_one(rows.LOOK, {"name": name, "work": work_of(name)})
        if row is None:
            raise StoreError(ErrorKind.INTERNAL, "the ledger has no head")
        return rows.read_look(row)

    async def _serve(self, work: Work) -> None:
        """Deliver until nothing has come for a while, or the receiver is to be left alone."""
        quiet, saved = time.monotonic(), 0.0
        base = position = -1
        while True:
            commit = self._core.database.next_commit()
            look = await self._look()
            place = look.place
            if place is None or look.stopped or place.next_attempt_at > self._core.clock.now():
                return
            if place.cursor != base:  # saved, or put elsewhere by somebody
                base = position = place.cursor
            if look.queued and await self._redeliver(work, place):
                continue
            batch = await read_batch(
                self._core, self._follower, position, self._window(), await self._named()
            )
            now = time.monotonic()
            if batch.events:
                await self._deliver(work, place, batch)
                quiet = time.monotonic()
                continue
            if batch.last:
                position, quiet = batch.last, now
            over = now - quiet >= _LINGER
            if position > base and (over or now - saved >= _SAVE_PASSED):
                await work.write(partial(self._save, before=place, after=After(Place(position))))
                saved = now
            if over:
                return
            # What is left out goes by without waiting, and yet lets others have their turn.
            await (asyncio.sleep(0) if batch.last else _either(commit, _PULSE))

    def _window(self) -> int:
        if self._sink is None:
            self._sink = self._follower.open_sink()
        return max(1, self._sink.window)

    async def _named(self) -> str:
        """The `source` of events; known from the ledger's first entry on."""
        if self._source is None:
            self._source = await read_source(self._core)
        return self._source or ""

    async def _deliver(self, work: Work, place: Place, batch: Batch) -> None:
        delivery = await self._give(work, batch)
        if delivery.failure is None:
            done = delivery.taken == len(batch.events)
            cursor = batch.last if done else batch.events[delivery.taken].event.seq - 1
            after = After(after_success(cursor))
        else:
            before = place if delivery.taken == 0 else Place(place.cursor)
            seq = batch.events[delivery.taken].event.seq
            allowed, now = self._follower.attempts, self._core.clock.now()
            after = after_failure(before, seq, delivery.failure, allowed, now, random.random())  # noqa: S311
        await work.write(
            partial(self._save, before=place, after=after, delivered=delivery.taken, failure=delivery.failure)
        )
        self._tell(place, after, delivery)

    async def _redeliver(self, work: Work, place: Place) -> bool:
        """Give queued dead letters again. One that is refused stays dead until it is queued anew.

        False when there were none after all.
        """
        batch = await read_letters(self._core, self._follower, self._window(), await self._named())
        if not batch.events:
            return False
        delivery = await self._give(work, batch)
        failure = delivery.failure
        taken = [event.event.seq for event in batch.events[: delivery.taken]]
        after = After(place)
        if failure is not None and failure.trouble is not Trouble.REFUSED:
            after = after_letters(place, failure, self._core.clock.now(), random.random())  # noqa: S311

        def change(tx: Transaction) -> None:
            rows.settle(tx.connection, self._follower.name, taken)
            if failure is not None and failure.trouble is Trouble.REFUSED:
                seq = batch.events[delivery.taken].event.seq
                rows.bury(tx.connection, self._follower.name, seq, 1, failure.reason, tx.now)
            self._save(tx, before=place, after=after, delivered=len(taken), failure=failure)

        await work.write(change)
        self._tell(place, after, delivery)
        return True

    async def _give(self, work: Work, batch: Batch) -> Delivery:
        """Hand a batch to the sink. Whatever a sink does comes back as a delivery."""
        if not work.proven_within(_LEASE_SECONDS - _LONGEST_DELIVERY):
            # Whoever slept through its lease must not deliver beside its successor.
            await work.write(lambda _tx: None)
        sink = self._sink
        if sink is None:
            raise StoreError(ErrorKind.INTERNAL, "a follower delivers without a sink")
        try:
            async with asyncio.timeout(_LONGEST_DELIVERY):
                delivery = await sink.deliver(batch.events)
        except TimeoutError:
            await self.close()
            return Delivery(0, Failure(Trouble.AWAY, f"no outcome within {_LONGEST_DELIVERY:g} seconds"))
        except Exception as error:
            _LOG.exception("the sink of the follower %s failed", self._follower.name)
            await self.close()
            return Delivery(0, Failure(Trouble.AWAY, f"the sink failed: {type(error).__name__}"))
        if delivery.failure or 0 < delivery.taken <= len(batch.events):
            return delivery
        return Delivery(0, Failure(Trouble.AWAY, "the sink took nothing and did not say why"))

    def _save(
        self,
        tx: Transaction,
        *,
        before: Place,
        after: After,
        delivered: int = 0,
        failure: Failure | None = None,
    ) -> None:
        """Write a place down, unless somebody has put the follower elsewhere meanwhile."""
        name = self._follower.name
        failures = 1 if failure is not None else 0
        moved = rows.save(
            tx.connection,
            name,
            before.cursor,
            after.place,
            delivered=delivered,
            failures=failures,
            now=tx.now,
        )
        if not moved:
            return
        if after.buried and failure is not None:
            rows.bury(
                tx.connection, name, after.place.cursor, self._follower.attempts, failure.reason, tx.now
            )
        if after.stopped:
            rows.set_stopped(tx.connection, name, stopped=True)

    def _tell(self, before: Place, after: After, delivery: Delivery) -> None:
        name, failure = self._follower.name, delivery.failure
        if failure is None:
            if before.streak and not after.place.streak:
                _LOG.info("the follower %s delivers again, after %d failures", name, before.streak)
        elif after.stopped:
            _LOG.error("the follower %s stops: %s", name, failure.reason)
        elif after.buried:
            _LOG.error("the follower %s gives event %d up: %s", name, after.place.cursor, failure.reason)
        elif after.place.streak == 1:
            _LOG.warning("the follower %s cannot deliver, and tries again: %s", name, failure.reason)


def _has_work(look: Look, place: Place, now: int) -> bool:
    """Whether something is to be delivered, and may be now."""
    return not look.stopped and (look.head > place.cursor or look.queued) and place.next_attempt_at <= now


async def _either(commit: asyncio.Event, seconds: float) -> None:
    """Wait for a commit, or so long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await commit.wait()
