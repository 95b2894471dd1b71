"""Content moves where the rules want it, is read from there, and the ledger says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.contract.dataplane import DataPlane, RetrievalTier
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind
from registry.contract.events import LocationChanged, LocationReleased
from registry.contract.names import Repository, Tag
from registry.control import collection
from registry.control.sql import movable
from registry.control.tiers import moving
from registry.control.tiers.policy import TierPolicy, TierRule
from registry.control.work import hold
from tests.control.tiers.world import (
    LARGE,
    PAYLOAD,
    TO_SHELF,
    events_of,
    move,
    move_all,
    open_tiered,
    places_of,
    release,
    robot,
    said_of,
    waiting,
)
from tests.control.world import DAY, DEMO, OTHER, World, blake3, refused, whole
from tests.dataplane.placed import SHELF, TAPE


async def read(world: World, data: bytes) -> bytes:
    return await whole((await world.session.blobs.get(DEMO, blake3(data))).stream())


async def test_old_content_moves_and_reads_the_same(shelved: World) -> None:
    await shelved.push_image("v1", layers=[PAYLOAD, LARGE])
    assert (await move_all(shelved)).bytes == len(PAYLOAD) + len(LARGE) + len(b"{}")
    for data in (PAYLOAD, LARGE):
        assert await places_of(shelved, blake3(data)) == await said_of(shelved, blake3(data)) == {SHELF}
        assert await read(shelved, data) == data
    assert await waiting(shelved) == 0
    assert await events_of(shelved, LocationReleased) != []
    assert (await move(shelved)).contents == 0
    await shelved.check()


async def test_manifests_stay(shelved: World) -> None:
    digest = await shelved.push_image("v1", layers=[PAYLOAD])
    await move_all(shelved)
    stored = await shelved.session.manifests.get(DEMO, digest)
    assert await said_of(shelved, blake3(stored.data)) == {"local"}


async def test_an_event_says_where_it_went_before_one_says_what_it_left(shelved: World) -> None:
    await shelved.push_image("v1", layers=[PAYLOAD])
    await move_all(shelved)
    told = await events_of(shelved, LocationChanged, LocationReleased)
    about = [event for event in told if event.blake3 == blake3(PAYLOAD)]  # type: ignore[union-attr]
    assert [type(event) for event in about] == [LocationChanged, LocationReleased]
    assert about[0].retrieval_tier == "warm"  # type: ignore[union-attr]


async def test_bytes_stay_for_readers_under_way(shelved: World) -> None:
    await shelved.push_image("v1", layers=[LARGE])
    shelved.clock.advance(8 * DAY)
    await move(shelved)
    assert await places_of(shelved, blake3(LARGE)) == {"local", SHELF}
    await moving.release(shelved.store.core)
    assert "local" in await places_of(shelved, blake3(LARGE))
    assert (await release(shelved)).contents == 2
    assert await places_of(shelved, blake3(LARGE)) == {SHELF}


async def test_a_collection_deletes_what_moved(shelved: World) -> None:
    await shelved.push_image("v1", layers=[PAYLOAD])
    shelved.clock.advance(8 * DAY)
    await move(shelved)
    shelved.clock.advance(DAY)
    async with hold(shelved.store.core, collection.WORK) as work:
        await collection.collect(work)
    assert await places_of(shelved, blake3(PAYLOAD)) == {SHELF}


async def test_what_is_away_is_told_from_what_is_gone(taped: World, tmp_path: Path) -> None:
    await taped.push_image("v1", layers=[PAYLOAD])
    await move_all(taped)
    reading = await taped.session.blobs.get(DEMO, blake3(PAYLOAD))
    assert reading.size == len(PAYLOAD)
    async with refused(taped, ErrorKind.RESTORE_REQUIRED):
        await whole(reading.stream())
    checked = await taped.fsck()
    assert (checked.faults, checked.away) == ([], 2)
    await taped.check()
    (tmp_path / TAPE / "vault").rename(tmp_path / TAPE / "lost")
    assert (await taped.session.blobs.get(DEMO, blake3(PAYLOAD))).size == len(PAYLOAD)


async def test_content_of_several_repositories_goes_when_all_let_it(
    database: str | Path, tmp_path: Path
) -> None:
    tiers = TierPolicy(
        (TierRule(SHELF, match=("demo/other",)), TierRule(TAPE, match=(DEMO,), after=30 * DAY))
    )
    async with open_tiered(database, tmp_path, tiers) as world:
        for repository in (DEMO, OTHER):
            await world.push_blob(b"{}", repository)
            await world.push_image("v1", layers=[PAYLOAD], repository=repository)
        await move_all(world)
        assert await said_of(world, blake3(PAYLOAD)) == {"local"}
        world.clock.advance(30 * DAY)
        await move_all(world)
        assert await said_of(world, blake3(PAYLOAD)) == {SHELF}


async def test_a_hundred_repositories_are_all_heard(database: str | Path, tmp_path: Path) -> None:
    """Also where what they say does not fit on one page."""
    tiers = TierPolicy((TierRule("local", match=("r/099",)), TierRule(SHELF)))
    async with open_tiered(database, tmp_path, tiers) as world:
        for number in range(100):
            await world.push_blob(PAYLOAD, Repository(f"r/{number:03}"))
        await world.push_blob(LARGE, Repository("r/000"))
        world.clock.advance(8 * DAY)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("registry.control.tiers.candidates._PAGE", 7)
            plan = await moving.plan(world.store.core)
        assert [(step.source, step.to, step.contents) for step in plan.steps] == [("local", SHELF, 1)]


async def test_a_plan_is_what_then_happens(shelved: World) -> None:
    await shelved.push_image("v1", layers=[PAYLOAD, LARGE])
    assert (await moving.plan(shelved.store.core)).steps == ()
    shelved.clock.advance(8 * DAY)
    (step,) = (await moving.plan(shelved.store.core)).steps
    done = await move(shelved)
    assert (step.source, step.to, step.contents, step.bytes) == ("local", SHELF, done.contents, done.bytes)


async def test_a_pass_goes_on_where_it_stopped(shelved: World) -> None:
    for number in range(6):
        await shelved.push_blob(b"%d" % number * 1000)
    shelved.clock.advance(8 * DAY)
    rounds = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("registry.control.tiers.candidates._PAGE", 2)
        while True:
            async with hold(shelved.store.core, moving.WORK) as work:
                done = await moving.move(work, limit=1)
            assert done.contents <= 2
            rounds += 1
            if done.finished:
                break
    assert rounds >= 3
    usage = await shelved.store.core.database.read(movable.usage)
    assert (usage[SHELF].objects, usage[SHELF].bytes) == (6, 6000)
    assert not await moving.is_due(shelved.store.core, DAY)
    shelved.clock.advance(DAY)
    assert await moving.is_due(shelved.store.core, DAY)


async def test_leased_content_stays(shelved: World) -> None:
    """Somebody was told that it is there, and is about to name it."""
    await shelved.push_blob(PAYLOAD)
    shelved.clock.advance(8 * DAY)
    await shelved.session.blobs.get(DEMO, blake3(PAYLOAD))
    done = await move(shelved)
    assert (done.contents, done.kept) == (0, 1)
    assert await said_of(shelved, blake3(PAYLOAD)) == {"local"}
    await release(shelved)
    assert await places_of(shelved, blake3(PAYLOAD)) == {"local"}
    await move_all(shelved)
    assert await said_of(shelved, blake3(PAYLOAD)) == {SHELF}


async def test_a_full_place_closes_for_this_pass_alone(
    shelved: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from registry.contract.errors import StoreError

    await shelved.push_image("v1", layers=[PAYLOAD, LARGE])
    calls = 0

    async def full(*_: object) -> int:
        nonlocal calls
        calls += 1
        raise StoreError(ErrorKind.STORAGE_FULL, "no room is left")

    with monkeypatch.context() as patch:
        patch.setattr(shelved.dataplane, "copy", full)
        shelved.clock.advance(8 * DAY)
        done = await move(shelved)
    assert (done.contents, done.closed) == (0, {SHELF: "no room is left"})
    assert await said_of(shelved, blake3(LARGE)) == {"local"}
    shelved.clock.advance(10 * 60 * 1_000_000)
    assert await moving.is_due(shelved.store.core, DAY)
    assert (await move(shelved)).contents == 3


async def test_content_comes_back_by_a_rule_that_names_the_first_place(
    database: str | Path, tmp_path: Path
) -> None:
    async with open_tiered(database, tmp_path, TO_SHELF) as world:
        await world.push_image("v1", layers=[PAYLOAD])
        await move_all(world)
        clock = world.clock
    back = TierPolicy((TierRule("local"),))
    async with open_tiered(database, tmp_path, back, clock=clock) as world:
        await move_all(world)
        assert await places_of(world, blake3(PAYLOAD)) == await said_of(world, blake3(PAYLOAD)) == {"local"}
        await world.check()


async def test_what_is_away_moves_once_it_was_restored(database: str | Path, tmp_path: Path) -> None:
    async with open_tiered(database, tmp_path, TierPolicy((TierRule(TAPE),))) as world:
        await world.push_image("v1", layers=[LARGE])
        await move_all(world)
        clock = world.clock
    async with open_tiered(database, tmp_path, TO_SHELF, clock=clock) as world:
        assert (await move_all(world)).contents == 0
        assert await said_of(world, blake3(LARGE)) == {TAPE}
        await world.session.contents.restore(blake3(LARGE))
        robot(tmp_path)
        await world.session.contents.restore(blake3(LARGE))
        await move_all(world)
        assert await said_of(world, blake3(LARGE)) == {SHELF}


async def test_a_place_of_another_tier_by_now_is_told(database: str | Path, tmp_path: Path) -> None:
    from registry.contract.dataplane import Place
    from registry.dataplane import Secondary
    from tests.dataplane.placed import open_placed

    async with open_tiered(database, tmp_path, TO_SHELF) as world:
        await world.push_image("v1", layers=[PAYLOAD])
        await move_all(world)
        clock = world.clock
    faster: DataPlane = open_placed(
        tmp_path, Secondary(Place(SHELF, RetrievalTier.HOT, primary=False), tmp_path / SHELF)
    )
    async with open_tiered(database, tmp_path, TO_SHELF, dataplane=faster, clock=clock) as world:
        await move(world)
        (place,) = await world.session.contents.locations(blake3(PAYLOAD))
        assert place.tier is RetrievalTier.HOT


async def test_collection_takes_content_from_every_place(taped: World) -> None:
    await taped.push_image("v1", layers=[PAYLOAD])
    await move_all(taped)
    digest: Digest = (await taped.session.manifests.get(DEMO, Tag("v1"))).digest
    await taped.session.manifests.delete(DEMO, digest)
    taped.clock.advance(3 * DAY)
    for _ in range(2):
        async with hold(taped.store.core, collection.WORK) as work:
            await collection.collect(work)
        taped.clock.advance(DAY)
    assert [found async for found in taped.dataplane.contents()] == []
    usage = await taped.store.core.database.read(movable.usage)
    assert usage == {}
    await taped.check()


async def test_what_views_are_made_from_stays(taped: World) -> None:
    """A replay reads the canonical manifests of packages, and must not have to ask for a tape."""
    from registry.contract.model import NewFile, NewPackage

    await taped.push_blob(LARGE)
    package = NewPackage(
        variant="demo.kind.v1", metadata={"n": 1}, labels={}, files=(NewFile("a", blake3(LARGE)),)
    )
    await taped.session.packages.put(DEMO, Tag("v1"), package)
    assert (await move_all(taped)).contents == 1
    assert await said_of(taped, blake3(LARGE)) == {TAPE}
    assert (await taped.session.packages.get(DEMO, Tag("v1"))).metadata == {"n": 1}
    await taped.check()
