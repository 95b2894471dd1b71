"""What stands in a move's way: bytes that are lost, other stores, another process, a service that is away."""

from __future__ import annotations

import asyncio
import time
import uuid
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN, Stage
from registry.contract.errors import ErrorKind, StoreError
from registry.control import collection
from registry.control.moving import Care, Mover, Side, begin, complete, reason_of, take_back
from registry.control.sql import closing, removals
from registry.control.sql.standstill import standstill
from registry.control.work import hold
from registry.dataplane import S3Settings, open_memory, open_s3
from tests.control.moving.story import BIG, V1
from tests.control.world import ALICE, DAY, DEMO, FakeClock, World, blake3, open_world, sha256, whole
from tests.objectstore.proxy import Answer, before
from tests.objectstore.seaweed import SeaweedServer

CARE = Care(patience=1.0)


async def begun(world: World, source: Side, target: Side, care: Care = CARE) -> Mover:
    return await begin(world.store.core, source, target, care=care)


async def moved(world: World, source: Side, target: Side) -> Mover:
    mover = await begun(world, source, target)
    assert await mover.fill()
    assert await mover.compare(), mover.done.differing
    assert await mover.switch(), mover.done.differing
    return mover


def spoil(folder: Path, data: bytes) -> None:
    """Change a bit of a content that is kept as a file."""
    (path,) = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size == len(data)]
    path.chmod(0o600)
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_lost_bytes_are_told_and_known_as_missing_at_both_and_all_else_moves(
    world: World, source: Side, target: Side, tmp_path: Path
) -> None:
    await world.push_image("v1", (BIG, b"sound"))
    spoil(tmp_path / "data", BIG)
    mover = await moved(world, source, target)
    assert mover.done.faulty == 1
    assert str(blake3(BIG)) in mover.done.faults[0]
    async with open_world(target.database, target.dataplane) as there:
        assert await there.fingerprints() == await world.fingerprints()
        assert await whole((await there.session.blobs.get(DEMO, sha256(b"sound"))).stream()) == b"sound"
        with pytest.raises(StoreError) as caught:
            await there.session.blobs.get(DEMO, sha256(BIG))
        assert caught.value.kind is ErrorKind.BLOB_UNKNOWN
        await there.push_blob(BIG)
        await there.check()


async def test_what_is_deleted_during_a_move_leaves_no_bytes(
    world: World, source: Side, target: Side
) -> None:
    digest = await world.push_image("v1", (BIG,))
    await world.push_image("kept")
    mover = await begun(world, source, target)
    await mover.fill()
    assert await target.dataplane.size(DEFAULT_DOMAIN, blake3(BIG)) == len(BIG)
    await world.session.manifests.delete(DEMO, digest)
    world.clock.advance(3 * DAY)
    async with hold(world.store.core, collection.WORK) as work:
        await collection.collect(work)
    assert await mover.fill()
    assert await mover.compare()
    assert await mover.switch()
    clock = FakeClock(world.clock.now())
    async with open_world(target.database, target.dataplane, clock=clock) as there:
        assert (await there.store.core.database.read(removals.waiting)).objects > 0
        async with hold(there.store.core, collection.WORK) as work:
            await collection.collect(work, orphans=False)
        held = {address async for _, address, _ in target.dataplane.contents()}
        assert blake3(BIG) not in held
        await there.check()


async def test_content_that_comes_back_during_a_move_stays(world: World, source: Side, target: Side) -> None:
    digest = await world.push_image("v1", (BIG,))
    mover = await begun(world, source, target)
    await mover.fill()
    await world.session.manifests.delete(DEMO, digest)
    world.clock.advance(3 * DAY)
    async with hold(world.store.core, collection.WORK) as work:
        await collection.collect(work)
        world.clock.advance(DAY)
        await collection.collect(work)
    await mover.fill()
    await world.push_image("v1", (BIG,))
    assert await mover.fill()
    assert await mover.switch(), mover.done.differing
    async with open_world(target.database, target.dataplane, clock=FakeClock(world.clock.now())) as there:
        async with hold(there.store.core, collection.WORK) as work:
            await collection.collect(work)
        assert await whole((await there.session.blobs.get(DEMO, sha256(BIG))).stream()) == BIG


async def test_a_large_content_goes_on_where_it_was_broken_off(
    world: World, source: Side, target: Side
) -> None:
    await world.push_image("v1", (BIG,))
    mover = await begun(world, source, target)
    move = await reason_of(target)
    assert move is not None
    stage = Stage(DEFAULT_DOMAIN, str(uuid.uuid5(uuid.UUID(move.id), f"{DEFAULT_DOMAIN}/{blake3(BIG)}")))
    await target.dataplane.append(stage, 0, world.dataplane.read(DEFAULT_DOMAIN, blake3(BIG), 0, 2_000_000))
    assert await mover.fill()
    assert await target.dataplane.get(DEFAULT_DOMAIN, blake3(BIG), len(BIG)) == BIG
    assert [stage async for stage in target.dataplane.stages()] == []


async def test_staged_bytes_that_are_others_are_begun_anew(world: World, source: Side, target: Side) -> None:
    await world.push_image("v1", (BIG,))
    mover = await begun(world, source, target)
    move = await reason_of(target)
    assert move is not None
    stage = Stage(DEFAULT_DOMAIN, str(uuid.uuid5(uuid.UUID(move.id), f"{DEFAULT_DOMAIN}/{blake3(BIG)}")))

    async def wrong(size: int):  # type: ignore[no-untyped-def]
        yield b"x" * size

    await target.dataplane.append(stage, 0, wrong(1000))
    assert await mover.fill()
    assert mover.done.faulty == 0
    assert await target.dataplane.get(DEFAULT_DOMAIN, blake3(BIG), len(BIG)) == BIG


async def test_one_process_fills_and_who_is_taken_over_ends(world: World, source: Side, target: Side) -> None:
    await world.push_image("v1")
    first = await begun(world, source, target)
    second = await begun(world, source, target)
    with pytest.raises(StoreError, match="another process") as caught:
        await first.fill()
    assert caught.value.kind is ErrorKind.CONFLICT
    assert await second.fill()
    assert await second.compare()


async def test_a_target_with_anything_of_its_own_is_refused(world: World, source: Side, target: Side) -> None:
    await world.push_image("v1")
    content = await target.dataplane.put(DEFAULT_DOMAIN, b"somebody's")
    with pytest.raises(StoreError, match="does not know"):
        await begun(world, source, target)
    await target.dataplane.remove(DEFAULT_DOMAIN, content.blake3)
    async with open_world(target.database, target.dataplane) as there:
        await there.push_image("v1")
    with pytest.raises(StoreError, match="a store of its own"):
        await begun(world, source, target)
    assert await reason_of(target) is None


async def test_a_target_that_was_filled_from_another_store_is_refused(
    world: World, source: Side, target: Side, tmp_path: Path
) -> None:
    await world.push_image("v1")
    await (await begun(world, source, target)).fill()
    other = open_memory()
    async with open_world(tmp_path / "other.sqlite", other) as stranger:
        await stranger.push_image("v1", (b"another",))
        await stranger.push_image("v2", (b"another one",))
        with pytest.raises(StoreError, match="from another store"):
            await begun(stranger, Side(tmp_path / "other.sqlite", other, "another"), target)
    await other.close()


async def test_a_crash_just_before_the_target_opens_is_completed(
    world: World, source: Side, target: Side
) -> None:
    await world.push_image("v1")
    await moved(world, source, target)
    left = await reason_of(source)
    assert left is not None
    async with standstill(target.database) as there:  # as it was when the source had just been closed
        await there.run(closing.close, closing.Move(closing.Part.TARGET, left.id, source.name, "gone"))
    await complete(source, target)
    await complete(source, target)
    async with open_world(target.database, target.dataplane) as there:
        await there.push_image("v2")
    assert await reason_of(source) == left


async def test_a_move_is_taken_back_and_made_again(world: World, source: Side, target: Side) -> None:
    await world.push_image("v1")
    await moved(world, source, target)
    await take_back(source, target)
    await world.push_image("v2", (BIG,))
    with pytest.raises(StoreError, match="filled from"):
        async with open_world(target.database, target.dataplane):
            pass
    await moved(world, source, target)
    async with open_world(target.database, target.dataplane, clock=FakeClock(world.clock.now())) as there:
        await there.push_image("v3")
        with pytest.raises(StoreError, match="would be lost"):
            await take_back(source, target)
        back = await begin(there.store.core, target, source, care=CARE)
        assert await back.fill()
        assert await back.compare()
        assert await back.switch()
    async with open_world(world.database, world.dataplane, clock=FakeClock(world.clock.now() + DAY)) as again:
        assert (await again.session.manifests.get(DEMO, V1)).data
        await again.check()


async def test_writers_wait_while_it_is_switched_and_none_is_lost(
    world: World, source: Side, target: Side
) -> None:
    await world.push_image("v1")
    mover = await begun(world, source, target)
    assert await mover.fill()
    pushed: list[bytes] = []

    async def push() -> None:
        for number in range(10_000):
            data = b"%d" % number
            await world.push_blob(data)
            pushed.append(data)

    pushing = asyncio.create_task(push())
    await asyncio.sleep(0.2)
    assert await mover.switch(), mover.done.differing
    with pytest.raises(StoreError, match="has moved to"):
        await pushing
    assert pushed
    async with open_world(target.database, target.dataplane) as there:
        for data in pushed:
            assert await whole((await there.session.blobs.get(DEMO, sha256(data))).stream()) == data


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_it_takes_no_more_of_a_disk_than_it_was_granted(
    world: World, source: Side, target: Side
) -> None:
    await world.push_image("v1", (BIG, BIG[1:]))
    mover = await begun(world, source, target, Care(rate=len(BIG)))
    begin_at = time.monotonic()
    assert await mover.fill()
    assert time.monotonic() - begin_at > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_a_bucket_that_is_away_for_seconds_delays_it(
    world: World, source: Side, target: Side, seaweed: SeaweedServer, s3: S3Settings
) -> None:
    await world.push_image("v1", (BIG, *(b"%d" % number for number in range(30))))
    async with before(s3, seaweed.port) as (proxy, through):
        bucket = await open_s3(through)
        mover = await begun(
            world, source, Side(target.database, bucket, "a bucket"), Care(patience=60.0, parallel=4)
        )
        proxy.plan = lambda _: Answer(503, "SlowDown")
        filling = asyncio.create_task(mover.fill())
        await asyncio.sleep(8)
        assert not filling.done()
        proxy.heal()
        assert await filling
        assert await mover.compare()
        assert await mover.switch()
        assert mover.done.faulty == 0
        async with open_world(target.database, bucket) as there:
            reading = await there.store.for_principal(ALICE).blobs.get(DEMO, sha256(BIG))
            assert await whole(reading.stream()) == BIG
        await bucket.close()
