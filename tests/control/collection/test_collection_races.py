"""Collections beside pushes of the very content that they take: what was acknowledged is there."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from dataclasses import replace

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.control import arrival, collection, recording, retention
from registry.control.core import DAY, HOUR, SECOND, SYSTEM
from registry.control.fsck import fsck
from registry.control.sql import leases, removals
from registry.control.sql.removals import Removal
from registry.control.sql.transaction import Transaction
from registry.control.work import hold
from tests.control.collection.world import LATER, A, B, World, digest_of, stream
from tests.documents import manifest

CONTENTS = [f"content {number}".encode() * 50 for number in range(12)]


async def push_somehow(world: World, data: bytes, chance: random.Random) -> bool:
    """One of the ways a client makes sure that content is there; True when it was told so."""
    await asyncio.sleep(chance.random() * 0.03)
    way = chance.randrange(5)
    if way == 0:
        await world.push_blob(data)
    elif way == 1:
        await world.push_staged(data)
    elif way == 2:
        return await world.has_blob(data)
    elif way == 3:
        await world.push_blob(data, B)
        if not await world.session.blobs.mount(A, digest_of(data), B):
            raise AssertionError("what was pushed a moment ago could not be mounted")
    else:
        if not await world.has_blob(data):
            await world.push_blob(data)
        await world.push(manifest(data))
    return True


async def test_nothing_acknowledged_is_lost(world: World) -> None:
    chance = random.Random(4)
    for round_number in range(12):
        world.clock.ahead += LATER
        pushes = [push_somehow(world, data, chance) for data in CONTENTS]
        told, _ = await asyncio.gather(asyncio.gather(*pushes), world.collect())
        for data, there in zip(CONTENTS, told, strict=True):
            if there:
                assert await world.read(data) == data, f"round {round_number}"
        for data in CONTENTS:
            if await world.has_manifest(manifest(data)):
                await world.session.manifests.delete(A, digest_of(manifest(data)))
    assert len(await world.events("content.removed")) > len(CONTENTS)
    assert (await fsck(world.store.core)).faults == []
    await world.rebuilds_to_the_same()


async def let_go(world: World, data: bytes) -> Digest:
    """Content that a collection has removed and whose bytes are due to be deleted; its address."""
    await world.push_blob(data)
    address = await world.address_of(data)
    await world.session.blobs.delete(A, digest_of(data))
    world.clock.ahead += LATER
    core = world.store.core
    blob_id = (await world.rows("SELECT id FROM blobs WHERE content_address = :a", a=str(address)))[0][0]
    assert await core.database.write("test", lambda tx: retention.remove_free(tx, core, blob_id))
    world.clock.ahead += SECOND
    return address


async def claim(world: World, data: bytes) -> Removal:
    """As far as a collection comes before it deletes the bytes."""
    await let_go(world, data)
    core = world.store.core
    await core.dataplane.admit("the collection")
    (found,) = await core.database.write("test", lambda tx: removals.claim(tx.connection, tx.now, 10))
    return found


async def finish(world: World, removal: Removal) -> None:
    await world.dataplane.remove(removal.domain, removal.address, "the collection")
    await world.store.core.database.write("test", lambda tx: removals.finish(tx.connection, removal, tx.now))


async def test_a_small_push_waits_for_the_deletion_and_stores_again(world: World) -> None:
    data = CONTENTS[0]
    removal = await claim(world, data)
    push = asyncio.create_task(world.push_blob(data))
    await asyncio.sleep(0.1)
    assert not push.done(), "it was acknowledged while its bytes were being deleted"
    await finish(world, removal)
    await push
    assert await world.read(data) == data


async def test_an_upload_of_a_known_digest_waits_before_it_commits(world: World) -> None:
    data = CONTENTS[0]
    removal = await claim(world, data)
    push = asyncio.create_task(world.push_staged(data))
    await asyncio.sleep(0.1)
    assert not push.done()
    await finish(world, removal)
    await push
    assert await world.read(data) == data


async def test_an_upload_of_unknown_digest_waits_before_it_commits_too(world: World) -> None:
    # Nobody has announced a digest, but all bytes are there to tell it from.
    data = CONTENTS[0]
    removal = await claim(world, data)
    upload = await world.session.uploads.create(None, size=len(data))
    await world.session.uploads.append(None, upload.id, stream(data))
    push = asyncio.create_task(world.session.uploads.complete(None, upload.id))
    await asyncio.sleep(0.1)
    assert not push.done()
    await finish(world, removal)
    content = await push
    assert await world.dataplane.get(DEFAULT_DOMAIN, content.blake3, len(data)) == data


async def test_the_claim_of_a_dead_process_is_void(world: World) -> None:
    data = CONTENTS[0]
    await claim(world, data)
    world.clock.ahead += arrival.CLAIM + SECOND
    await world.push_staged(data)
    assert await world.read(data) == data


async def test_a_collection_goes_on_at_once_with_what_a_dead_one_began(world: World) -> None:
    data = CONTENTS[0]
    await claim(world, data)
    assert (await world.collect()).freed_bytes == len(data)
    assert [item async for item in world.dataplane.contents(DEFAULT_DOMAIN)] == []


async def test_a_process_that_was_stopped_before_a_deletion_deletes_nothing_when_it_wakes(
    world: World,
) -> None:
    """It has claimed the bytes, and a push has since given up on it and was acknowledged."""
    data = CONTENTS[0]
    removal = await claim(world, data)
    world.clock.ahead += arrival.CLAIM + SECOND
    await world.push_staged(data)
    with pytest.raises(StoreError) as refused:
        await finish(world, removal)
    assert refused.value.kind is ErrorKind.CONFLICT
    assert await world.read(data) == data


async def test_a_collection_that_wakes_behind_another_deletes_nothing(world: World) -> None:
    data = CONTENTS[0]
    core = world.store.core
    await let_go(world, data)
    async with hold(core, collection.WORK) as stopped:
        await collection.take_over(stopped)
        (claimed,) = await stopped.write(lambda tx: removals.claim(tx.connection, tx.now, 10))
        world.clock.ahead += HOUR
        async with hold(core, collection.WORK) as other:
            await collection.take_over(other)
            await world.push_blob(data)
            with pytest.raises(StoreError) as refused:
                await world.dataplane.remove(claimed.domain, claimed.address, stopped.holder)
            assert refused.value.kind is ErrorKind.CONFLICT
    assert await world.read(data) == data


async def test_a_deletion_that_failed_may_have_deleted_and_who_pushes_looks(world: World) -> None:
    """The bytes are gone and only the sync of their folder failed: that is no reason to call them there."""
    data = CONTENTS[0]
    core = world.store.core
    removal = await claim(world, data)
    since = core.clock.now()
    content = await world.dataplane.put(DEFAULT_DOMAIN, data)  # there already, so nothing is written
    await world.dataplane.remove(removal.domain, removal.address, "the collection")
    later = core.clock.now() + HOUR
    await core.database.write("test", lambda tx: removals.fail(tx.connection, removal, later, tx.now))
    domain = removal.domain
    with pytest.raises(StoreError) as refused:
        await arrival.record(
            core, "test", lambda tx: recording.record_content(tx, domain, content), since=since
        )
    assert refused.value.kind is ErrorKind.UNAVAILABLE
    await world.push_blob(data)
    assert await world.read(data) == data


async def test_a_row_that_comes_an_hour_after_its_bytes_is_not_written(world: World) -> None:
    """By then nobody remembers what became of the bytes: a machine may have slept between the two."""
    core = world.store.core
    since = core.clock.now()
    content = await world.dataplane.put(DEFAULT_DOMAIN, b"old")
    world.clock.ahead += arrival.GRACE + SECOND

    def change(tx: Transaction) -> None:
        recording.record_content(tx, DEFAULT_DOMAIN, content)

    with pytest.raises(StoreError) as refused:
        await arrival.record(core, "test", change, since=since)
    assert refused.value.kind is ErrorKind.UNAVAILABLE
    stored = []

    async def again() -> None:
        stored.append(await world.dataplane.put(DEFAULT_DOMAIN, b"old"))

    await arrival.record(core, "test", change, since=since, again=again)
    assert stored == [content]


async def test_what_is_seen_to_be_there_is_only_believed_of_the_deletion_before_it(world: World) -> None:
    data = CONTENTS[0]
    core = world.store.core
    removal = await claim(world, data)

    def turn(tx: Transaction) -> None:
        removals.fail(tx.connection, removal, tx.now, tx.now)

    await core.database.write("test", turn)
    ((seen,),) = await world.rows("SELECT since FROM removals")
    before = replace(removal, since=seen)
    (second,) = await core.database.write("test", lambda tx: removals.claim(tx.connection, tx.now, 10))
    await finish(world, second)
    await core.database.write("test", lambda tx: removals.forget(tx.connection, before))
    assert await world.rows("SELECT state FROM removals") == [("done",)]


async def test_a_clock_put_back_makes_nobody_wait(world: World) -> None:
    data = CONTENTS[0]
    await claim(world, data)
    async with hold(world.store.core, collection.WORK):
        world.clock.ahead -= 10 * DAY
        async with asyncio.timeout(20):
            await world.push_staged(data)
        assert await world.read(data) == data
        async with hold(world.store.core, collection.WORK):
            pass


async def test_an_upload_keeps_what_it_is_about_to_find_there(world: World) -> None:
    """Old content that nothing holds, pushed again: it stays from before the commit."""
    data = b"x" * 100_000
    await world.push_blob(data)
    address = await world.address_of(data)
    await world.session.blobs.delete(A, digest_of(data))
    world.clock.ahead += LATER
    await arrival.reserve(world.store.core, "test", DEFAULT_DOMAIN, address)
    assert (await world.collect()).removed == 0
    assert (await world.collect(LATER)).removed == 1


async def test_a_long_commit_finds_what_was_about_to_be_deleted(world: World) -> None:
    data = CONTENTS[0]
    address = await let_go(world, data)
    await arrival.reserve(world.store.core, "test", DEFAULT_DOMAIN, address)
    assert (await world.collect(HOUR - SECOND * 10)).freed == 0
    assert (await world.collect(SECOND * 20)).freed == 1


async def test_who_asks_late_takes_no_work_from_one_who_has_prolonged_it(world: World) -> None:
    """Between the look at the clock and the turn in the writer's queue, the holder may write."""
    core, now = world.store.core, world.clock.now()

    def ask(holder: str, then: int) -> Awaitable[int | None]:
        return core.database.write(
            SYSTEM, lambda tx: leases.acquire_work(tx.connection, "care", holder, then, then + HOUR)
        )

    assert await ask("holder", now) == 1
    assert await ask("holder", now + SECOND) == 1
    assert await ask("late", now) is None
    assert await ask("late", now + SECOND) is None
    assert await ask("late", now + 2 * HOUR) == 2
    assert await ask("after the clock was put back", now - 10 * DAY) == 3
