"""Bytes of a domain lie only under the jurisdictions that it names, and in doubt nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.contract.dataplane import DataPlane, DomainId, Place, RetrievalTier
from registry.contract.errors import ErrorKind, StoreError
from registry.control import RepositoryPolicy, open_store
from registry.control.reading import may_be_linked
from registry.control.sql import lookups
from registry.control.tiers import moving
from registry.control.tiers.places import Placement, Places
from registry.control.tiers.policy import TierPolicy, TierRule
from registry.dataplane import open_local
from tests.control.tiers.world import (
    PAYLOAD,
    TO_SHELF,
    move_all,
    open_tiered,
    places_of,
    release,
)
from tests.control.world import DAY, DEMO, blake3
from tests.dataplane.placed import SHELF, TAPE, prepare_places, shelf, tape

SECRET = DomainId("secret")
IN_SECRET = (RepositoryPolicy("demo/*", domain=SECRET),)
GERMAN = Placement({SECRET: frozenset({"de"})})
HERE = Place("local", RetrievalTier.HOT, "de")


async def open_here(root: Path, jurisdiction: str | None) -> DataPlane:
    """The three places; bytes arrive under `jurisdiction`, the shelf is German and the tape French."""
    await prepare_places(root)
    place = Place("local", RetrievalTier.HOT, jurisdiction)
    return open_local(root / "data", place=place, others=[shelf(root), tape(root)])


@pytest.mark.parametrize("jurisdiction", [None, "fr"])
async def test_no_start_where_bytes_would_arrive_outside(
    database: str | Path, tmp_path: Path, jurisdiction: str | None
) -> None:
    dataplane = await open_here(tmp_path, jurisdiction)
    with pytest.raises(StoreError, match=r"storage\.jurisdiction") as caught:
        await open_store(dataplane, database, placement=GERMAN)
    assert caught.value.kind is ErrorKind.INTERNAL
    await dataplane.close()


@pytest.mark.parametrize(
    ("domain", "place", "allowed"),
    [
        (SECRET, HERE, True),
        (SECRET, Place("a", RetrievalTier.HOT, "fr", primary=False), False),
        (SECRET, Place("a", RetrievalTier.HOT, None, primary=False), False),
        (SECRET, None, False),
        (DomainId("default"), None, True),
        (DomainId("default"), Place("a", RetrievalTier.HOT, None, primary=False), True),
    ],
)
def test_a_place_of_which_nobody_said_anything_does_not_count(
    domain: DomainId, place: Place | None, allowed: bool
) -> None:
    refusal = GERMAN.refusal(domain, place)
    assert (refusal is None) is allowed
    if allowed:
        GERMAN.check(domain, place)
    else:
        with pytest.raises(StoreError, match="of the domain secret may lie under de alone") as caught:
            GERMAN.check(domain, place)
        assert caught.value.kind is ErrorKind.DENIED


def test_a_domain_that_names_none_is_not_held_to_any() -> None:
    Placement().check_arrivals(Places((Place("local"),)))
    GERMAN.check_arrivals(Places((HERE,)))


async def test_nothing_is_copied_outside(database: str | Path, tmp_path: Path) -> None:
    tiers = TierPolicy((TierRule(TAPE),))
    async with open_tiered(
        database,
        tmp_path,
        tiers,
        placement=GERMAN,
        policies=IN_SECRET,
        dataplane=await open_here(tmp_path, "de"),
    ) as world:
        await world.push_image("v1", layers=[PAYLOAD])
        done = await move_all(world)
        assert (done.contents, done.outside) == (0, 2)
        assert await places_of(world, blake3(PAYLOAD), SECRET) == {"local"}
        (refusal,) = (await moving.plan(world.store.core)).refusals
        assert refusal == (
            "bytes of the domain secret may lie under de alone, and tape is under fr",
            2,
        )
        await world.check()


async def test_what_is_allowed_moves(database: str | Path, tmp_path: Path) -> None:
    async with open_tiered(
        database,
        tmp_path,
        TO_SHELF,
        placement=GERMAN,
        policies=IN_SECRET,
        dataplane=await open_here(tmp_path, "de"),
    ) as world:
        await world.push_image("v1", layers=[PAYLOAD])
        await move_all(world)
        assert await places_of(world, blake3(PAYLOAD), SECRET) == {SHELF}


async def test_bytes_that_lie_outside_already_are_told_and_never_linked(
    database: str | Path, tmp_path: Path
) -> None:
    """The rule came after they went there."""
    to_tape = TierPolicy((TierRule(TAPE),))
    dataplane = await open_here(tmp_path, "de")
    async with open_tiered(database, tmp_path, to_tape, policies=IN_SECRET, dataplane=dataplane) as world:
        await world.push_image("v1", layers=[PAYLOAD])
        await move_all(world)
        clock = world.clock
    async with open_tiered(
        database,
        tmp_path,
        TO_SHELF,
        placement=GERMAN,
        policies=IN_SECRET,
        dataplane=await open_here(tmp_path, "de"),
        clock=clock,
    ) as world:
        core = world.store.core
        (fault,) = (await world.fsck()).faults
        assert fault.kind == "placement"
        assert fault.message.startswith("2 contents of the domain secret, ")
        assert "lie at tape" in fault.message
        blob = await core.database.read(lambda c: lookups.find_blob(c, SECRET, blake3(PAYLOAD)))
        assert blob is not None
        assert not await may_be_linked(core, SECRET, blob.id)
        await world.push_blob(PAYLOAD)  # there are bytes where they may be, and still some where not
        assert not await may_be_linked(core, SECRET, blob.id)
        clock.advance(8 * DAY)
        await move_all(world)
        await release(world)
        assert await may_be_linked(core, SECRET, blob.id)
        assert await places_of(world, blake3(PAYLOAD), SECRET) == {SHELF}
        assert (await world.session.blobs.get(DEMO, blake3(PAYLOAD))).size == len(PAYLOAD)


async def test_a_place_that_the_settings_forgot_is_told(database: str | Path, tmp_path: Path) -> None:
    async with open_tiered(database, tmp_path, TO_SHELF) as world:
        await world.push_image("v1", layers=[PAYLOAD])
        await move_all(world)
        clock = world.clock
    alone = open_local(tmp_path / "data", others=[tape(tmp_path)])
    async with open_tiered(database, tmp_path, TO_SHELF, dataplane=alone, clock=clock) as world:
        kinds = [fault.kind for fault in (await world.fsck()).faults]
        assert "placement" in kinds
        assert (await moving.plan(world.store.core)).steps == ()
