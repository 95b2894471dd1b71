"""Content that is pushed again while it leaves, or has left, is at hand again, and stays."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.errors import StoreError
from registry.control import arrival, collection
from registry.control.sql import releases
from registry.control.tiers import releasing, returning
from registry.control.tiers.releasing import Released
from registry.control.work import hold
from tests.control.tiers.world import LARGE, move, move_all, places_of, release, said_of, waiting
from tests.control.world import DAY, DEMO, World, blake3, image, whole
from tests.dataplane.placed import TAPE


async def is_at_hand(world: World) -> None:
    reading = await world.session.blobs.get(DEMO, blake3(LARGE))
    assert await whole(reading.stream()) == LARGE
    assert "local" in await said_of(world, blake3(LARGE))
    assert "local" in await places_of(world, blake3(LARGE))
    await release(world)
    assert await whole((await world.session.blobs.get(DEMO, blake3(LARGE))).stream()) == LARGE
    await world.check()


async def test_after_it_left(taped: World) -> None:
    await taped.push_image("v1", layers=[LARGE])
    await move_all(taped)
    await taped.push_blob(LARGE)
    await is_at_hand(taped)
    assert await said_of(taped, blake3(LARGE)) == {"local", TAPE}


async def test_while_its_bytes_wait_to_be_deleted(taped: World) -> None:
    await taped.push_image("v1", layers=[LARGE])
    taped.clock.advance(8 * DAY)
    await move(taped)
    await taped.push_blob(LARGE)
    assert await waiting(taped) == 1  # the configuration's
    await is_at_hand(taped)


async def test_it_stays_for_a_while_and_goes_again(taped: World) -> None:
    await taped.push_image("v1", layers=[LARGE])
    await move_all(taped)
    await taped.push_blob(LARGE)
    assert (await move(taped)).contents == 0
    await move_all(taped)
    assert await said_of(taped, blake3(LARGE)) == await places_of(taped, blake3(LARGE)) == {TAPE}


async def test_a_push_waits_for_the_deletion_that_has_begun(
    taped: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await taped.push_image("v1", layers=[LARGE])
    taped.clock.advance(8 * DAY)
    await move(taped)
    taped.clock.advance(DAY)
    begun, go_on = asyncio.Event(), asyncio.Event()
    delete = taped.dataplane.release

    async def slow(*arguments: object) -> int:
        begun.set()
        await go_on.wait()
        return await delete(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(taped.dataplane, "release", slow)
    async with hold(taped.store.core, collection.WORK) as work:
        await collection.take_over(work)
        deleting = asyncio.create_task(releasing.release(work, Released()))
        await begun.wait()
        pushing = asyncio.create_task(taped.push_blob(LARGE))
        await asyncio.sleep(0.1)
        assert not pushing.done()
        go_on.set()
        await deleting
    await pushing
    await is_at_hand(taped)


async def test_a_push_takes_the_permit_from_a_process_that_was_stopped(
    taped: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wakes after the push was acknowledged, and must not delete what that relies on."""
    await taped.push_image("v1", layers=[LARGE])
    taped.clock.advance(8 * DAY)
    await move(taped)
    taped.clock.advance(DAY)
    core = taped.store.core
    async with hold(core, collection.WORK) as work:
        await collection.take_over(work)
        claimed = await work.write(lambda tx: releases.claim(tx.connection, core.clock.now(), 10))
        monkeypatch.setattr(returning, "_PAUSE", 0.001)
        taped.clock.advance(returning.CLAIM)
        await taped.push_blob(LARGE)
        for one in claimed:
            with pytest.raises(StoreError):
                await core.dataplane.release(one.domain, one.address, one.location, work.holder)
    await is_at_hand(taped)


async def test_bytes_that_were_there_before_a_deletion_are_looked_for_after_it(taped: World) -> None:
    """A manifest's bytes come, find the same there, and are recorded after a deletion took those."""
    await taped.push_image("v1", layers=[LARGE])
    await move_all(taped)
    core, again = taped.store.core, 0
    content = await core.dataplane.put(DEFAULT_DOMAIN, LARGE)
    since = core.clock.now()
    taped.clock.advance(1)
    assert await core.dataplane.release(DEFAULT_DOMAIN, blake3(LARGE), "local") == len(LARGE)

    async def store_again() -> None:
        nonlocal again
        again += 1
        await core.dataplane.put(DEFAULT_DOMAIN, LARGE)

    from registry.control import recording

    await arrival.record(
        core,
        "somebody",
        lambda tx: recording.record_content(tx, DEFAULT_DOMAIN, content),
        since=since,
        again=store_again,
    )
    assert again == 1
    await is_at_hand(taped)


async def test_a_manifest_that_names_what_is_away_is_taken(taped: World, tmp_path: Path) -> None:
    await taped.push_image("v1", layers=[LARGE])
    await move_all(taped)
    await taped.push_manifest("v2", image([LARGE], annotations={"made": "later"}))
    assert await said_of(taped, blake3(LARGE)) == {TAPE}
    await taped.check()
