"""A move that ends at any of its steps leaves content that can be read, and the next one completes it."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN, DataPlane
from registry.control import collection
from registry.control.tiers import releasing
from registry.control.work import hold
from registry.dataplane import open_s3
from tests.control.tiers.world import (
    LARGE,
    PAYLOAD,
    TO_SHELF,
    move,
    open_tiered,
    places_of,
    release,
    said_of,
    waiting,
)
from tests.control.world import DAY, DEMO, FakeClock, World, blake3, whole
from tests.dataplane.placed import SHELF, open_placed, prepare_places, shelf
from tests.objectstore.seaweed import SeaweedServer


class KilledError(BaseException):
    """The process ends here. Nothing that catches errors catches it."""


class Doomed:
    """A data plane whose process is killed before or after one call of `method`."""

    def __init__(self, inner: DataPlane, method: str, *, after: bool) -> None:
        self._inner = inner
        self._method = method
        self._after = after

    def __getattr__(self, name: str) -> object:
        found = getattr(self._inner, name)
        if name != self._method:
            return found

        async def doomed(*arguments: object) -> object:
            if self._after:
                await found(*arguments)
            raise KilledError

        return doomed


async def is_readable(world: World) -> None:
    for data in (LARGE, PAYLOAD):
        reading = await world.session.blobs.get(DEMO, blake3(data))
        assert await whole(reading.stream()) == data


async def is_complete(world: World) -> None:
    for data in (LARGE, PAYLOAD):
        assert await places_of(world, blake3(data)) == await said_of(world, blake3(data)) == {SHELF}
    assert await waiting(world) == 0
    await is_readable(world)
    await world.check()


@pytest.mark.parametrize(
    ("method", "after"),
    [("copy", False), ("copy", True), ("release", False), ("release", True)],
)
async def test_killed_at_a_step(database: str | Path, tmp_path: Path, method: str, after: bool) -> None:
    clock = FakeClock()
    await prepare_places(tmp_path)
    doomed = Doomed(open_placed(tmp_path), method, after=after)
    dataplane: DataPlane = doomed  # type: ignore[assignment]
    async with open_tiered(database, tmp_path, TO_SHELF, dataplane=dataplane, clock=clock) as world:
        await world.push_image("v1", layers=[PAYLOAD, LARGE])
        clock.advance(8 * DAY)
        with pytest.raises(KilledError):
            await move(world)
            await release(world)
    clock.advance(DAY)
    async with open_tiered(database, tmp_path, TO_SHELF, clock=clock) as world:
        await is_readable(world)
        await move(world)
        await release(world)
        await release(world)
        await is_complete(world)


async def test_killed_between_the_event_and_the_deletion(database: str | Path, tmp_path: Path) -> None:
    clock = FakeClock()
    async with open_tiered(database, tmp_path, TO_SHELF, clock=clock) as world:
        await world.push_image("v1", layers=[PAYLOAD, LARGE])
        clock.advance(8 * DAY)
        await move(world)
        assert await said_of(world, blake3(LARGE)) == {SHELF}
    clock.advance(DAY)
    async with open_tiered(database, tmp_path, TO_SHELF, clock=clock) as world:
        await is_readable(world)
        async with hold(world.store.core, collection.WORK) as work:
            await collection.collect(work)
        await is_complete(world)


async def test_a_copy_that_nobody_wrote_down_is_told_and_mended(database: str | Path, tmp_path: Path) -> None:
    """As a lost database leaves it: its ledger comes back, and notes of what was to be deleted do not."""
    from registry.control.fsck_repair import repair

    async with open_tiered(database, tmp_path, TO_SHELF) as world:
        await world.push_image("v1", layers=[PAYLOAD])
        await world.dataplane.copy(DEFAULT_DOMAIN, blake3(PAYLOAD), SHELF)
        checked = await world.fsck()
        assert [fault.kind for fault in checked.faults] == ["location"]
        steps = await repair(world.store.core, checked)
        assert all(step.mended for step in steps)
        world.clock.advance(DAY)
        async with hold(world.store.core, collection.WORK) as work:
            await collection.take_over(work)
            await releasing.release(work, releasing.Released())
        assert await places_of(world, blake3(PAYLOAD)) == {"local"}
        assert (await world.fsck()).faults == []


async def test_a_corrupt_copy_is_never_relied_on(shelved: World, tmp_path: Path) -> None:
    await shelved.push_image("v1", layers=[LARGE])
    shelved.clock.advance(8 * DAY)
    await move(shelved)
    (copy,) = (tmp_path / SHELF / "content").rglob(f"{blake3(LARGE).hex}*")
    copy.chmod(0o600)
    copy.write_bytes(b"?" + LARGE[1:])
    done = await release(shelved)
    assert done.kept == 1
    assert "local" in await places_of(shelved, blake3(LARGE))
    reading = await shelved.session.blobs.get(DEMO, blake3(LARGE))
    assert await whole(reading.stream()) == LARGE


@pytest.mark.slow
@pytest.mark.parametrize(("method", "after"), [("copy", True), ("release", False), ("release", True)])
async def test_killed_at_a_step_beside_a_real_bucket(
    tmp_path: Path, seaweed: SeaweedServer, method: str, after: bool
) -> None:
    bucket, clock = seaweed.settings(uuid.uuid4().hex), FakeClock()
    await prepare_places(tmp_path)
    database = tmp_path / "ledger.sqlite"
    inner = await open_s3(bucket, others=[shelf(tmp_path)])
    doomed: DataPlane = Doomed(inner, method, after=after)  # type: ignore[assignment]
    async with open_tiered(database, tmp_path, TO_SHELF, dataplane=doomed, clock=clock) as world:
        await world.push_image("v1", layers=[PAYLOAD, LARGE])
        clock.advance(8 * DAY)
        with pytest.raises(KilledError):
            await move(world)
            await release(world)
    clock.advance(DAY)
    again = await open_s3(bucket, others=[shelf(tmp_path)])
    async with open_tiered(database, tmp_path, TO_SHELF, dataplane=again, clock=clock) as world:
        await is_readable(world)
        await move(world)
        await release(world)
        await release(world)
        await is_complete(world)
