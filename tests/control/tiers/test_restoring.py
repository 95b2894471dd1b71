"""What is away is asked for, watched, and told: who asked, when it is there, when it has gone again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from registry.contract.dataplane import RestoreStatus, RetrievalTier
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.events import LocationChanged
from registry.control.sql import movable
from registry.control.tiers import restoring
from tests.control.tiers.world import (
    LARGE,
    PAYLOAD,
    TO_TAPE,
    events_of,
    move_all,
    open_tiered,
    robot,
    said_of,
)
from tests.control.world import DAY, DEMO, World, blake3, whole
from tests.dataplane.placed import TAPE


async def status(world: World) -> RestoreStatus | None:
    (place,) = await world.session.contents.locations(blake3(LARGE))
    assert (place.name, place.tier) == (TAPE, RetrievalTier.ARCHIVE)
    return place.restore_status


async def read(world: World) -> bytes:
    return await whole((await world.session.blobs.get(DEMO, blake3(LARGE))).stream())


async def test_a_restore_is_followed_from_the_request_to_its_end(taped: World, tmp_path: Path) -> None:
    await taped.push_image("v1", layers=[LARGE])
    await move_all(taped)
    assert await status(taped) is None
    assert await taped.session.contents.restore(blake3(LARGE)) is RestoreStatus.REQUESTED
    assert await status(taped) is RestoreStatus.REQUESTED
    assert await restoring.watch(taped.store.core) == 0
    assert robot(tmp_path) == 1
    assert await restoring.watch(taped.store.core) == 1
    (place,) = await taped.session.contents.locations(blake3(LARGE))
    assert place.restore_status is RestoreStatus.AVAILABLE
    assert place.until is not None
    assert place.until > taped.clock.time - 9 * DAY
    assert await read(taped) == LARGE
    told = [
        event.restore_status
        for event in await events_of(taped, LocationChanged)
        if isinstance(event, LocationChanged) and event.blake3 == blake3(LARGE)
    ]
    assert told == [None, "requested", "available"]
    await taped.check()


async def test_restored_bytes_that_went_again_are_away_again(taped: World, tmp_path: Path) -> None:
    await taped.push_image("v1", layers=[LARGE])
    await move_all(taped)
    await taped.session.contents.restore(blake3(LARGE))
    robot(tmp_path)
    await taped.session.contents.restore(blake3(LARGE))
    reading = await taped.session.blobs.get(DEMO, blake3(LARGE))
    for fetched in (tmp_path / TAPE / "content").rglob("*"):
        if fetched.is_file():
            fetched.unlink()
    with pytest.raises(StoreError) as caught:
        await whole(reading.stream())
    assert caught.value.kind is ErrorKind.RESTORE_REQUIRED
    assert await status(taped) is not RestoreStatus.AVAILABLE
    assert (await taped.session.blobs.get(DEMO, blake3(LARGE))).size == len(LARGE)
    assert (await taped.fsck()).faults == []


async def test_only_restores_under_way_are_looked_at(taped: World) -> None:
    await taped.push_image("v1", layers=[PAYLOAD, LARGE])
    await move_all(taped)
    await taped.session.contents.restore(blake3(LARGE))
    found = await taped.store.core.database.read(lambda c: movable.restoring(c, (0, ""), 10))
    assert [one.address for one in found] == [blake3(LARGE)]
    assert await taped.store.core.database.read(movable.restores) == [(TAPE, "requested", 1)]


@pytest.mark.parametrize("asks", [True, False])
async def test_a_read_asks_where_the_settings_say_so(
    database: str | Path, tmp_path: Path, asks: bool
) -> None:
    async with open_tiered(database, tmp_path, replace(TO_TAPE, restore_on_read=asks)) as world:
        await world.push_image("v1", layers=[LARGE])
        await move_all(world)
        reading = await world.session.blobs.get(DEMO, blake3(LARGE))
        assert await status(world) is None  # a look at its size alone asks for nothing
        for _ in range(2):
            with pytest.raises(StoreError) as caught:
                await whole(reading.stream())
            assert caught.value.kind is ErrorKind.RESTORE_REQUIRED
            assert caught.value.detail["retry_after"] > 0
        assert await status(world) is (RestoreStatus.REQUESTED if asks else None)
        assert robot(tmp_path) == asks


async def test_a_place_that_lost_its_copy_is_released(shelved: World) -> None:
    """Another has it, so that nothing is missing: it is only said where it is."""
    await shelved.push_image("v1", layers=[LARGE])
    shelved.clock.advance(8 * DAY)
    core = shelved.store.core
    from tests.control.tiers.world import move

    await move(shelved)
    await shelved.push_blob(LARGE)  # both have it now
    assert await said_of(shelved, blake3(LARGE)) == {"local", "shelf"}
    await core.dataplane.release("default", blake3(LARGE), "local")  # type: ignore[arg-type]
    checked = await shelved.fsck()
    assert [fault.kind for fault in checked.faults] == ["location"]
    assert await restoring.learn(core, "system", checked.faults[0].content[0], blake3(LARGE))  # type: ignore[index]
    assert await said_of(shelved, blake3(LARGE)) == {"shelf"}
    assert (await shelved.fsck()).faults == []
