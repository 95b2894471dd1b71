"""Collections beside pushes of the very content that they take: what was acknowledged is there."""

from __future__ import annotations

import asyncio
import random

from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.errors import ErrorKind, StoreError
from registry.control import arrival, retention
from registry.control.core import SECOND
from registry.control.fsck import fsck
from registry.control.sql import removals
from registry.control.sql.removals import Removal
from tests.control.collection.world import LATER, A, B, World, digest_of, manifest, stream

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


async def claim(world: World, data: bytes) -> tuple[Removal, int]:
    """As far as a collection comes before it deletes the bytes."""
    await world.push_blob(data)
    address = await world.address_of(data)
    await world.session.blobs.delete(A, digest_of(data))
    world.clock.ahead += LATER
    core = world.store.core
    blob_id = (await world.rows("SELECT id FROM blobs WHERE content_address = :a", a=str(address)))[0][0]
    assert await core.database.write("test", lambda tx: retention.remove_free(tx, core, blob_id))
    world.clock.ahead += SECOND
    now = core.clock.now()
    (found,) = await core.database.write(
        "test", lambda tx: removals.claim(tx.connection, tx.now, tx.now - arrival.CLAIM, 10)
    )
    stamped = await world.rows("SELECT since FROM removals")
    assert stamped[0][0] >= now
    return found, stamped[0][0]


async def finish(world: World, removal: Removal, claimed_at: int) -> None:
    await world.dataplane.remove(removal.domain, removal.address)
    await world.store.core.database.write(
        "test", lambda tx: removals.finish(tx.connection, removal, claimed_at, tx.now)
    )


async def test_a_small_push_waits_for_the_deletion_and_stores_again(world: World) -> None:
    data = CONTENTS[0]
    removal, claimed_at = await claim(world, data)
    push = asyncio.create_task(world.push_blob(data))
    await asyncio.sleep(0.1)
    assert not push.done(), "it was acknowledged while its bytes were being deleted"
    await finish(world, removal, claimed_at)
    await push
    assert await world.read(data) == data


async def test_an_upload_of_a_known_digest_waits_before_it_commits(world: World) -> None:
    data = CONTENTS[0]
    removal, claimed_at = await claim(world, data)
    push = asyncio.create_task(world.push_staged(data))
    await asyncio.sleep(0.1)
    assert not push.done()
    await finish(world, removal, claimed_at)
    await push
    assert await world.read(data) == data


async def test_an_upload_whose_bytes_were_deleted_under_it_is_not_acknowledged(world: World) -> None:
    # The digest is not announced, so that the upload cannot look before its bytes become content.
    data = CONTENTS[0]
    removal, claimed_at = await claim(world, data)
    upload = await world.session.uploads.create(None, size=len(data))

    async def body() -> object:
        await world.session.uploads.append(None, upload.id, stream(data))
        return await world.session.uploads.complete(None, upload.id)

    push = asyncio.create_task(body())
    await asyncio.sleep(0.1)
    await finish(world, removal, claimed_at)
    try:
        await push
        raise AssertionError("it was acknowledged without bytes")
    except StoreError as error:
        assert error.kind is ErrorKind.UNAVAILABLE
        assert "push it again" in error.message
    await world.push_blob(data)
    assert await world.read(data) == data


async def test_the_claim_of_a_dead_process_is_void(world: World) -> None:
    data = CONTENTS[0]
    await claim(world, data)
    world.clock.ahead += arrival.CLAIM + SECOND
    await world.push_staged(data)
    assert await world.read(data) == data


async def test_a_collection_goes_on_with_what_a_dead_one_began(world: World) -> None:
    data = CONTENTS[0]
    await claim(world, data)
    assert (await world.collect()).freed == 0
    done = await world.collect(arrival.CLAIM + SECOND)
    assert done.freed_bytes == len(data)
    assert [item async for item in world.dataplane.contents(DEFAULT_DOMAIN)] == []
