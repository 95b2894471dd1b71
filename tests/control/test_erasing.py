"""A domain whose keys were destroyed: the ledger says so, everywhere and for good; other domains go on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN, DomainId
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.events import DomainErased
from registry.contract.model import NewFile, NewPackage, Search
from registry.contract.names import Repository, Tag
from registry.control import Limits, RepositoryPolicy, collection, scrubbing
from registry.control.erasing import note_erased
from registry.control.explaining import explain
from registry.control.work import hold
from registry.dataplane import KeyRing, LocalProvider, open_local
from tests.control.world import ALICE, DAY, DEMO, World, blake3, open_world, sha256, whole

SECRET = DomainId("secret")
LEGAL = Repository("legal/case")
CANARY = "canary-4711"
LAYER = b"the same layer everywhere" * 4000
POLICIES = (RepositoryPolicy(match="legal/*", domain=SECRET),)


@pytest.fixture
async def world(tmp_path: Path, database: str | Path) -> AsyncIterator[World]:
    """Over either database."""
    dataplane = open_local(tmp_path / "data")
    limits = Limits(removal_delay=0, orphan_grace=0)
    async with open_world(database, dataplane, policies=POLICIES, limits=limits) as opened:
        yield opened
    await dataplane.close()


async def fill(world: World) -> None:
    """The same layer in both domains; an image, a package with labels, and a referrer in the secret one."""
    await world.push_image("v1", (LAYER,), DEMO)
    image = await world.push_image("v1", (LAYER,), LEGAL, annotations={"note": CANARY})
    await world.push_image(
        "about", (b"x",), LEGAL, subject={"mediaType": "a/b", "digest": str(image), "size": 1}
    )
    files = (NewFile(f"{CANARY}.txt", blake3(LAYER), "text/plain"),)
    package = NewPackage(metadata={"who": CANARY}, labels={"team": CANARY}, files=files)
    await world.session.packages.put(LEGAL, Tag("p1"), package)


async def kind_of(reading: object) -> ErrorKind:
    with pytest.raises(StoreError) as refused:
        await reading  # type: ignore[misc]
    return refused.value.kind


async def test_what_was_erased_says_so_and_the_other_domain_is_untouched(world: World) -> None:
    await fill(world)
    image = (await world.session.manifests.get(LEGAL, Tag("v1"))).digest
    by_label = Search(fields=(("label.team", CANARY),))
    assert len((await world.session.packages.search(by_label, after=None, limit=9)).items) == 1
    assert await note_erased(world.store.core, ALICE.id, SECRET)
    assert not await note_erased(world.store.core, ALICE.id, SECRET)
    session = world.session
    assert await kind_of(session.manifests.get(LEGAL, Tag("v1"))) is ErrorKind.ERASED
    assert await kind_of(session.manifests.get(LEGAL, image)) is ErrorKind.ERASED
    assert await kind_of(session.packages.get(LEGAL, Tag("p1"))) is ErrorKind.ERASED
    assert await kind_of(session.blobs.get(LEGAL, sha256(LAYER))) is ErrorKind.ERASED
    assert (await session.manifests.tags(LEGAL, after=None, limit=9)).items == ("about", "p1", "v1")
    referrers = await session.manifests.referrers(LEGAL, image, artifact_type=None, after=None, limit=9)
    assert referrers.items == ()
    assert (await session.packages.search(by_label, after=None, limit=9)).items == ()
    assert await session.blobs.mount(Repository("legal/other"), sha256(LAYER), LEGAL) is False

    assert (await session.manifests.get(DEMO, Tag("v1"))).data
    assert await whole((await session.blobs.get(DEMO, sha256(LAYER))).stream()) == LAYER
    assert await whole((await session.contents.get(sha256(LAYER))).stream()) == LAYER
    assert [line async for line in _erased(world)] == [SECRET]


async def _erased(world: World) -> AsyncIterator[DomainId]:
    for event in (await world.session.ledger.page(after=0, limit=1000)).items:
        if event.kind == DomainErased.KIND:
            assert event.subject is not None
            yield DomainId(event.subject)


async def test_a_replay_comes_to_the_same_and_nothing_is_a_fault(world: World) -> None:
    await fill(world)
    await note_erased(world.store.core, ALICE.id, SECRET)
    checked = await world.fsck()
    assert checked.faults == []
    assert checked.erased > 3
    await world.check()


async def test_labels_metadata_and_file_names_are_in_no_file_of_the_database(
    world: World, tmp_path: Path
) -> None:
    if not isinstance(world.database, Path):
        pytest.skip("a server's files are its administrator's (optional)")
    await fill(world)
    assert any(CANARY.encode() in path.read_bytes() for path in tmp_path.glob("ledger.sqlite*"))
    await note_erased(world.store.core, ALICE.id, SECRET)
    assert not [path for path in tmp_path.glob("ledger.sqlite*") if CANARY.encode() in path.read_bytes()]


async def test_collection_frees_the_bytes_and_keeps_the_rows(world: World) -> None:
    await fill(world)
    await note_erased(world.store.core, ALICE.id, SECRET)
    world.clock.advance(3 * DAY)
    async with hold(world.store.core, collection.WORK) as work:
        done = await collection.collect(work, wait=True)
    assert done.unlinked == done.removed == 0
    assert done.freed_bytes > len(LAYER)
    assert [entry async for entry in world.dataplane.contents(SECRET)] == []
    assert [entry async for entry in world.dataplane.contents(DEFAULT_DOMAIN)] != []
    assert await kind_of(world.session.blobs.get(LEGAL, sha256(LAYER))) is ErrorKind.ERASED
    told = await explain(world.store.core, sha256(LAYER))
    assert "erased" in " ".join(told.lines)
    await world.check()


async def test_schemas_go_with_the_default_domain(world: World) -> None:
    await world.session.schemas.put("guide.run.v1", {"type": "object"})
    await note_erased(world.store.core, ALICE.id, DEFAULT_DOMAIN)
    assert await kind_of(world.session.schemas.get("guide.run.v1")) is ErrorKind.SCHEMA_UNKNOWN
    await world.check()


async def test_a_destruction_that_stopped_halfway_is_told_and_noted_by_the_scrub(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    ring = KeyRing(folder, LocalProvider(bytes(range(32))), sealed=lambda domain: domain == SECRET)
    dataplane = open_local(folder, keys=ring)
    async with open_world(tmp_path / "ledger.sqlite", dataplane, policies=POLICIES) as world:
        await fill(world)
        KeyRing(folder).destroy(SECRET)  # another process, killed before it wrote the event
        assert await kind_of(world.bob.blobs.get(LEGAL, sha256(b"x"))) is ErrorKind.ERASED
        (fault,) = [fault for fault in (await world.fsck()).faults if fault.kind == "erased"]
        assert "keys destroy secret --yes" in fault.message
        world.clock.advance(31 * DAY)
        async with hold(world.store.core, scrubbing.WORK) as work:
            done = await scrubbing.scrub(work, rate=2**30, every=30 * DAY)
        assert (done.faults, done.unreadable) == (0, 0)
        assert [line async for line in _erased(world)] == [SECRET]
        assert await whole((await world.session.blobs.get(DEMO, sha256(LAYER))).stream()) == LAYER
        await world.check()
    await dataplane.close()
