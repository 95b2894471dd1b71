"""What was asked for lately is known, over restarts, at the cost of a look into a set."""

from __future__ import annotations

from pathlib import Path

from registry.control.sql import content_reads
from registry.control.tiers import reads
from registry.control.tiers.policy import TierPolicy, TierRule
from registry.control.tiers.read_log import ReadLog
from tests.control.tiers.world import LARGE, PAYLOAD, move, move_all, open_tiered, said_of
from tests.control.world import DAY, DEMO, HOUR, World, blake3
from tests.dataplane.placed import SHELF

UNREAD = TierPolicy((TierRule(SHELF, unread=30 * DAY),))


async def ask(world: World, data: bytes) -> None:
    await world.session.blobs.get(DEMO, blake3(data))


async def test_what_is_read_stays_and_the_rest_goes(database: str | Path, tmp_path: Path) -> None:
    async with open_tiered(database, tmp_path, UNREAD) as world:
        await world.push_image("v1", layers=[PAYLOAD, LARGE])
        world.clock.advance(29 * DAY)
        await ask(world, LARGE)
        clock = world.clock
    clock.advance(8 * DAY)
    async with open_tiered(database, tmp_path, UNREAD, clock=clock) as world:
        await move(world)
        assert await said_of(world, blake3(PAYLOAD)) == {SHELF}
        assert await said_of(world, blake3(LARGE)) == {"local"}


async def test_nothing_counts_as_unread_before_somebody_counts(database: str | Path, tmp_path: Path) -> None:
    async with open_tiered(database, tmp_path, TierPolicy()) as world:
        await world.push_image("v1", layers=[LARGE])
        world.clock.advance(365 * DAY)
        clock = world.clock
    async with open_tiered(database, tmp_path, UNREAD, clock=clock) as world:
        assert (await move_all(world)).contents == 0
        clock.advance(30 * DAY)
        assert (await move(world)).contents == 2


async def test_without_rules_nobody_counts(database: str | Path, tmp_path: Path) -> None:
    async with open_tiered(database, tmp_path, UNREAD) as world:
        await world.push_image("v1", layers=[LARGE])
        clock = world.clock
    async with open_tiered(database, tmp_path, TierPolicy(), clock=clock) as world:
        await ask(world, LARGE)
        assert await reads.flush(world.store.core) == 0
        assert await reads.counting_since(world.store.core) > clock.time - HOUR


async def test_a_content_read_all_day_is_written_once_an_hour(database: str | Path, tmp_path: Path) -> None:
    async with open_tiered(database, tmp_path, UNREAD) as world:
        await world.push_image("v1", layers=[LARGE])
        core, written = world.store.core, 0
        for _ in range(60):
            await ask(world, LARGE)
            written += await reads.flush(core)
            world.clock.advance(HOUR // 10)
        assert written <= 7
        rows = await core.database.read(lambda c: content_reads.between(c, 0, 2**60))
        assert len(rows) == 1


async def test_rows_of_content_that_has_gone_go_too(database: str | Path, tmp_path: Path) -> None:
    from registry.control import collection
    from registry.control.work import hold

    async with open_tiered(database, tmp_path, UNREAD) as world:
        await world.push_blob(LARGE)
        await ask(world, LARGE)
        await reads.flush(world.store.core)
        world.clock.advance(8 * DAY)
        async with hold(world.store.core, collection.WORK) as work:
            await collection.collect(work)
        await move(world)
        assert await world.store.core.database.read(lambda c: content_reads.between(c, 0, 2**60)) == {}


def test_a_log_that_does_not_count_keeps_nothing() -> None:
    log = ReadLog(counts=False)
    log.note(7)
    assert log.take(1, HOUR) == []


def test_an_id_is_given_once_an_hour() -> None:
    log = ReadLog(counts=True)
    for now, expected in ((HOUR, [7]), (HOUR + 1, []), (2 * HOUR, []), (2 * HOUR + 1, [7])):
        log.note(7)
        assert log.take(now, HOUR) == expected, now
