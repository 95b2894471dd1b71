"""A store moves with all that is in it, and the one that it left says where it is."""

from __future__ import annotations

import pytest

from registry.contract.errors import ErrorKind, StoreError
from registry.control import open_store
from registry.control.moving import Care, Moved, Side, begin
from registry.control.sql import followers, operational, tables
from tests.control.moving import story
from tests.control.world import ALICE, DEMO, FakeClock, World, open_world

CARE = Care(patience=1.0)


async def move(world: World, source: Side, target: Side, *, switch: bool = True) -> Moved:
    mover = await begin(world.store.core, source, target, care=CARE)
    assert await mover.fill()
    assert await mover.compare(), mover.done.differing
    if switch:
        assert await mover.switch(), mover.done.differing
    return mover.done


async def test_everything_is_there_and_means_the_same(world: World, source: Side, target: Side) -> None:
    await story.tell(world)
    before, views = await story.answers(world.session), await world.fingerprints()
    done = await move(world, source, target)
    assert (done.faulty, done.switched, done.uploads) == (0, True, 1)
    clock = FakeClock(world.clock.now())
    async with open_world(target.database, target.dataplane, clock=clock) as there:
        assert await there.fingerprints() == views
        assert await story.answers(there.session) == before
        assert await there.store.principal("anonymous") == await world.store.principal("anonymous")
        rows = await there.store.core.database.read(followers.rows)
        assert [(row.name, row.place.cursor, row.dead) for row in rows] == [("shelf", 7, 1)]
        await there.push_image("after")
        await there.check()


async def test_the_store_that_was_left_takes_no_writes_and_says_where_it_went(
    world: World, source: Side, target: Side
) -> None:
    await world.push_image("v1")
    await move(world, source, target)
    with pytest.raises(StoreError, match="moved to the new store") as caught:
        await world.push_image("v2")
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    assert (await world.session.manifests.get(DEMO, story.V1)).data
    with pytest.raises(StoreError, match="moved to the new store"):
        await open_store(world.dataplane, world.database)


async def test_nobody_uses_a_store_that_is_being_filled(world: World, source: Side, target: Side) -> None:
    await world.push_image("v1")
    running = await open_store(target.dataplane, target.database)
    await move(world, source, target, switch=False)
    with pytest.raises(StoreError, match="filled from the old store"):
        await running.for_principal(ALICE).schemas.put("x.v1", {})
    with pytest.raises(StoreError, match="filled from the old store"):
        await open_store(target.dataplane, target.database)
    await move(world, source, target)
    await running.for_principal(ALICE).schemas.put("x.v1", {})
    await running.close()


def test_every_table_that_no_replay_knows_has_a_fate() -> None:
    assert set(operational.FATES) == set(tables.operational.tables)
