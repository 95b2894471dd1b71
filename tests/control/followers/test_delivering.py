"""Every event reaches the sink, in the ledger's order, whatever is in the way."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from registry.contract.cloudevents import source_of
from registry.contract.dataplane import DataPlane
from registry.contract.delivery import Delivery, Failure, Trouble
from registry.contract.names import Repository
from registry.control import Care
from registry.control.followers import Follower, runner
from registry.control.followers.reading import Batch, read_batch
from registry.control.sql import leases
from tests.control.followers.shelf import AWAY, REFUSED, Shelf, following
from tests.control.world import HOUR, FakeClock, open_world

SECOND = 1_000_000


async def test_all_events_arrive_once_in_order_from_the_first(
    database: str | Path, dataplane: DataPlane
) -> None:
    async with following(database, dataplane) as one:
        seqs = await one.happen(30)
        await one.catch_up()
        more = await one.happen(3)
        await one.catch_up()
        assert one.shelf.seqs() == [*seqs, *more] == list(range(1, len(seqs + more) + 1))
        assert max(one.shelf.windows) <= one.shelf.window
        assert (await one.place()).cursor == more[-1]
        first = one.shelf.taken[0]
        assert {event.source for event in one.shelf.taken} == {source_of(first.event.envelope)}
        (status,) = await one.store.followers()
        assert (status.delivered, status.failures, status.lag_events, status.lag_seconds) == (
            len(seqs + more), 0, 0, 0
        )  # fmt: skip


async def test_a_new_follower_that_begins_now_gets_what_comes(
    database: str | Path, dataplane: DataPlane
) -> None:
    async with following(database, dataplane, from_now=True) as one:
        await one.happen(5)
        await one.catch_up()
        assert one.shelf.seqs() == []
        seqs = await one.happen(2)
        await one.catch_up()
        assert one.shelf.seqs() == seqs


async def test_after_a_restart_it_goes_on_where_it_was(database: str | Path, dataplane: DataPlane) -> None:
    clock = FakeClock()
    async with following(database, dataplane, clock, from_now=True) as one:
        await one.catch_up()
        before = await one.happen(3)
        await one.catch_up()
        missed = await one.happen(3)
    async with following(database, dataplane, clock, from_now=True) as again:
        await again.catch_up()
        assert one.shelf.seqs() == before
        assert again.shelf.seqs() == missed


async def test_what_is_not_wanted_is_passed_over(database: str | Path, dataplane: DataPlane) -> None:
    kinds, repositories = ("tag.*", "manifest.stored"), ("release/*",)
    async with (
        following(database, dataplane, kinds=kinds, repositories=repositories) as one,
        open_world(database, dataplane) as world,
    ):
        for name in ("release/app", "other/app"):
            await world.push_image("v1", repository=Repository(name))
        await one.happen(20)
        await one.catch_up()
        taken = [(event.event.kind, event.event.scope) for event in one.shelf.taken]
        assert taken == [("manifest.stored", "release/app"), ("tag.set", "release/app")]
        assert (await one.place()).cursor == await world.head()
        assert [event.subject for event in one.shelf.taken][1] == "release/app:v1"


async def test_a_receiver_that_is_away_is_waited_for_and_misses_nothing(
    database: str | Path, dataplane: DataPlane
) -> None:
    async with following(database, dataplane, attempts=2) as one:
        seqs = await one.happen(20)
        one.shelf.refuse = lambda event: AWAY if event.event.seq >= seqs[4] else None
        waits = []
        for _ in range(30):  # for much longer than a day
            await one.catch_up()
            wait = (await one.place()).next_attempt_at - one.clock.now()
            waits.append(wait)
            one.clock.advance(wait)
        status = (await one.store.followers())[0]
        assert one.shelf.seqs() == seqs[:4]
        assert (status.state, status.failing, status.reason) == ("retrying", seqs[4], "nobody is there")
        assert (status.attempts, status.failures, status.dead_letters) == (30, 30, 0)
        assert status.lag_events == len(seqs) - 4
        assert status.lag_seconds > 3600
        assert 0.4 * SECOND < waits[0] <= SECOND
        assert all(140 * SECOND < wait <= 300 * SECOND for wait in waits[10:])
        assert len(set(waits[10:])) > 1, "waits are random, so that not all return at once"
        one.shelf.refuse = lambda _event: None
        one.clock.advance(HOUR)
        await one.catch_up()
        assert one.shelf.seqs() == seqs
        status = (await one.store.followers())[0]
        assert (status.state, status.failing, status.reason, status.lag_events) == (
            "delivering",
            None,
            None,
            0,
        )


async def test_it_waits_as_long_as_it_is_asked_to(database: str | Path, dataplane: DataPlane) -> None:
    async with following(database, dataplane) as one:
        await one.happen(1)
        one.shelf.refuse = lambda _event: Failure(Trouble.AWAY, "busy", retry_after=1200)
        await one.catch_up()
        assert (await one.place()).next_attempt_at - one.clock.now() >= 1199 * SECOND


async def test_an_event_refused_too_often_becomes_a_dead_letter_and_the_next_goes_out(
    database: str | Path, dataplane: DataPlane
) -> None:
    async with following(database, dataplane, attempts=3) as one:
        seqs = await one.happen(6)
        one.shelf.refuse = lambda event: REFUSED if event.event.seq == seqs[2] else None
        for attempt in range(3):
            await one.catch_up()
            assert one.shelf.seqs() == seqs[:2], attempt
            one.clock.advance(HOUR)
        await one.catch_up()
        assert one.shelf.seqs() == seqs[:2] + seqs[3:]
        letters = await one.session.followers.dead_letters("shelf", after=0, limit=10)
        assert [(letter.seq, letter.attempts, letter.reason) for letter in letters.items] == [
            (seqs[2], 3, "it answered 500")
        ]
        (status,) = await one.store.followers()
        assert (status.dead_letters, status.failures, status.state) == (1, 3, "delivering")


async def test_a_receiver_that_refuses_everything_costs_few_dead_letters(
    database: str | Path, dataplane: DataPlane
) -> None:
    """The wait starts afresh with a success only, so hours of refusals are few dead letters."""
    async with following(database, dataplane, attempts=16) as one:
        await one.happen(100)
        one.shelf.refuse = lambda _event: REFUSED
        begun = one.clock.now()
        while one.clock.now() - begun < 6 * HOUR:
            await one.catch_up()
            one.clock.advance(max(0, (await one.place()).next_attempt_at - one.clock.now()))
        (status,) = await one.store.followers()
        assert 3 <= status.dead_letters <= 10
        one.shelf.refuse = lambda _event: None
        one.clock.advance(HOUR)
        await one.session.followers.redeliver("shelf", None)
        await one.catch_up()
        assert sorted(one.shelf.seqs()) == list(range(1, await one.core.database.head() + 1))


async def test_a_sink_that_takes_part_of_a_window_is_given_the_rest(
    database: str | Path, dataplane: DataPlane
) -> None:
    async with following(database, dataplane) as one:
        seqs = await one.happen(20)
        whole = one.shelf.deliver

        async def half(events: object) -> Delivery:
            assert isinstance(events, tuple)
            return await whole(events[: max(1, len(events) // 2)])

        one.shelf.deliver = half  # type: ignore[method-assign]
        await one.catch_up()
        assert one.shelf.seqs() == seqs


@pytest.mark.parametrize("fault", ["raises", "says nothing", "says too much", "hangs"])
async def test_a_broken_sink_is_one_that_is_away(
    database: str | Path, dataplane: DataPlane, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(runner, "_LONGEST_DELIVERY", 0.05)

    async def broken(_events: object) -> Delivery:
        if fault == "raises":
            raise RuntimeError("a fault of the plugin")
        if fault == "hangs":
            await asyncio.sleep(60)
        return Delivery(0 if fault == "says nothing" else 1000)

    async with following(database, dataplane) as one:
        seqs = await one.happen(2)
        right = one.shelf.deliver
        one.shelf.deliver = broken  # type: ignore[method-assign, assignment]
        await one.catch_up()
        assert (await one.place()).failing == seqs[0]
        one.shelf.deliver = right  # type: ignore[method-assign]
        one.clock.advance(HOUR)
        await one.catch_up()
        assert one.shelf.seqs() == seqs


async def test_a_page_is_bounded_however_much_waits(database: str | Path, dataplane: DataPlane) -> None:
    """What memory holds does not grow with what a receiver has missed, be it wanted or not."""
    async with following(database, dataplane) as one:
        await one.happen(1000)
        wanted = await read_batch(one.core, one.follower, 0, 50, "urn:x")
        assert (len(wanted.events), wanted.last) == (50, 50)
        all_it_sees = await read_batch(one.core, one.follower, 0, 10**6, "urn:x")
        assert len(all_it_sees.events) == 128
        nothing = replace(one.follower, kinds=("no.such",))
        assert await read_batch(one.core, nothing, 0, 50, "urn:x") == Batch((), 128)


async def test_an_idle_store_writes_nothing(database: str | Path, dataplane: DataPlane) -> None:
    batches: list[int] = []
    async with following(database, dataplane) as one:
        await one.happen(2)
        await one.catch_up()
        real = one.core.database.write

        async def counted(*arguments: object) -> object:
            batches.append(1)
            return await real(*arguments)  # type: ignore[arg-type]

        one.core.database.write = counted  # type: ignore[method-assign, assignment]
        for _ in range(20):
            await one.runner.turn()
        assert batches == []


async def test_one_of_two_processes_delivers_and_the_other_takes_over(
    database: str | Path, dataplane: DataPlane
) -> None:
    clock = FakeClock()
    async with following(database, dataplane, clock) as one, following(database, dataplane, clock) as two:
        seqs = await one.happen(12)
        held = asyncio.Event()
        go_on = asyncio.Event()

        async def hold_it() -> None:
            held.set()
            await go_on.wait()

        one.shelf.before = hold_it
        delivering = asyncio.create_task(one.runner.turn())
        while not held.is_set():
            if delivering.done():
                delivering = asyncio.create_task(one.runner.turn())
            await asyncio.sleep(0.005)
        for _ in range(5):
            await two.runner.turn()
        assert two.shelf.windows == [], "the other one has the work"
        go_on.set()
        await delivering
        assert one.shelf.seqs() == seqs
        more = await two.happen(2)
        await two.catch_up()
        assert two.shelf.seqs() == more


async def test_a_process_that_slept_through_its_lease_changes_nothing(
    database: str | Path, dataplane: DataPlane
) -> None:
    clock = FakeClock()
    async with following(database, dataplane, clock) as one, following(database, dataplane, clock) as two:
        seqs = await one.happen(20)
        await two.runner.turn()  # the place is there

        async def sleep_in() -> None:
            one.shelf.before = None
            clock.advance(HOUR)  # stopped here, and taken for dead
            await two.catch_up()

        one.shelf.before = sleep_in
        with pytest.raises(Exception, match="another process does the work"):
            await one.runner.turn()
        assert two.shelf.seqs() == seqs
        assert one.shelf.seqs() == seqs[: one.shelf.window], "what was under way came twice, and no more"
        assert (await two.place()).cursor == seqs[-1]


async def test_a_process_that_was_killed_is_followed_when_its_lease_is_over(
    database: str | Path, dataplane: DataPlane
) -> None:
    async with following(database, dataplane) as one:
        seqs = await one.happen(3)
        await one.core.database.write(
            "system",
            lambda tx: leases.acquire_work(
                tx.connection, runner.work_of("shelf"), "the dead", tx.now, tx.now + 30 * SECOND
            ),
        )
        for _ in range(3):
            await one.runner.turn()
        assert one.shelf.windows == []
        one.clock.advance(31 * SECOND)
        await one.catch_up()
        assert one.shelf.seqs() == seqs


async def test_commits_wake_it_and_writers_in_a_crowd_leave_no_gap(
    database: str | Path, dataplane: DataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes write at once while a third follows: every seq, in order, and soon."""
    monkeypatch.setattr(runner, "_PULSE", 5.0)
    clock = FakeClock()
    shelf = Shelf(window=64)
    async with (
        following(database, dataplane, clock) as one,
        following(database, dataplane, clock) as two,
        open_world(database, dataplane, clock=clock) as world,
    ):
        core = world.store.core
        object.__setattr__(core, "followers", (Follower("crowd", lambda: shelf),))
        world.store.start_background(Care(collect_every=None, scrub_rate=None))

        async def write(store: object, number: int) -> None:
            session = (one, two)[number % 2].session
            for turn in range(10):
                await session.schemas.put(f"crowd.{number}.{turn}", {"type": "object"})

        await asyncio.gather(*(write(None, number) for number in range(8)))
        # Its own commit wakes it, long before the next pulse.
        await world.session.schemas.put("crowd.last", {"type": "object"})
        head = await world.head()
        async with asyncio.timeout(3):
            while not shelf.taken or shelf.seqs()[-1] < head:
                await asyncio.sleep(0.01)
        assert shelf.seqs() == list(range(1, head + 1))
