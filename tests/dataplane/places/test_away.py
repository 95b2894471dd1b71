"""Places that are out of reach, full or sick: what lies elsewhere is served, nothing is called absent."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN, Place, RestoreStatus, RetrievalTier
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.drivers.port import Locked
from registry.dataplane.engine import Engine
from registry.dataplane.places.site import Site
from registry.dataplane.places.store import PlacedStore
from registry.dataplane.sealing.keyring import nothing
from tests.dataplane.faulty import Faults, faulty_engine
from tests.dataplane.placed import SHELF, TAPE, held_at, open_placed, prepare_places, tape
from tests.dataplane.support import IMPATIENT, all_stages, body, content_of, new_stage, read_all

DATA = os.urandom(2 << 20)
ABSENT = content_of(b"absent").blake3
#: Everything that asks the medium of a place.
ALL = ("put", "size", "open", "read", "delete", "admit", "set_aside", "hold", "write", "commit", "settle")

_SHELF = Place(SHELF, RetrievalTier.WARM, primary=False)


@dataclass
class World:
    """A store in memory with a shelf; each place fails as told."""

    primary: Faults = field(default_factory=Faults)
    shelf: Faults = field(default_factory=Faults)
    #: Why the shelf cannot be opened.
    missing: str | None = None

    def __post_init__(self) -> None:
        self.now = 0.0
        self.opened = 0
        self.ready = asyncio.Event()
        self.ready.set()
        site = Site(_SHELF, self._open, seals=True, clock=lambda: self.now)
        self.store = PlacedStore(faulty_engine(self.primary, IMPATIENT), [site], nothing)

    async def _open(self) -> Engine:
        self.opened += 1
        await self.ready.wait()
        if self.missing is not None:
            raise StoreError(ErrorKind.UNAVAILABLE, self.missing)
        return faulty_engine(self.shelf, IMPATIENT, _SHELF)

    def down(self, faults: Faults) -> None:
        for operation in ALL:
            faults.inject(operation, OSError(errno.EIO, "injected"))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    world.primary.heal()
    world.shelf.heal()
    await world.store.close()


async def kind_of(work: object) -> ErrorKind:
    with pytest.raises(StoreError) as caught:
        await work  # type: ignore[misc]
    return caught.value.kind


async def at(world: World, *places: str, data: bytes = DATA) -> Digest:
    address = (await world.store.put(DEFAULT_DOMAIN, data)).blake3
    for place in places:
        await world.store.copy(DEFAULT_DOMAIN, address, place)
    if "local" not in places:
        await world.store.release(DEFAULT_DOMAIN, address, "local")
    return address


async def test_the_primary_serves_while_another_place_is_down(world: World) -> None:
    world.missing = "it is not mounted"
    stage = new_stage()
    await world.store.append(stage, 0, body(DATA))
    address = (await world.store.commit(stage, None)).blake3
    assert await read_all(world.store, address) == DATA
    assert await world.store.get(DEFAULT_DOMAIN, address, 1 << 30) == DATA
    assert await world.store.size(DEFAULT_DOMAIN, address) == len(DATA)
    assert (await world.store.verify(DEFAULT_DOMAIN, address)).fault is None
    assert await world.store.quarantine(DEFAULT_DOMAIN, address)
    assert await world.store.restore(DEFAULT_DOMAIN, address) is RestoreStatus.AVAILABLE
    await world.store.check_writable()
    assert (await world.store.use()).objects == 1
    await world.store.admit("mine")
    assert [fault async for fault in world.store.faults()] == [
        "the location shelf cannot be used now: it is not mounted"
    ]


async def test_what_no_place_at_hand_holds_is_not_absent_while_one_is_down(world: World) -> None:
    world.missing = "it is not mounted"
    for work in (
        world.store.size(DEFAULT_DOMAIN, ABSENT),
        read_all(world.store, ABSENT),
        world.store.get(DEFAULT_DOMAIN, ABSENT, 1 << 30),
        world.store.open_file(DEFAULT_DOMAIN, ABSENT),
        world.store.verify(DEFAULT_DOMAIN, ABSENT),
        world.store.quarantine(DEFAULT_DOMAIN, ABSENT),
        world.store.locations(DEFAULT_DOMAIN, ABSENT),
        world.store.restore(DEFAULT_DOMAIN, ABSENT),
        world.store.copy(DEFAULT_DOMAIN, ABSENT, "local"),
        world.store.copy(DEFAULT_DOMAIN, ABSENT, SHELF),
        world.store.remove(DEFAULT_DOMAIN, ABSENT),
    ):
        assert await kind_of(work) is ErrorKind.UNAVAILABLE


async def test_who_walks_all_content_hears_that_a_place_is_missing(world: World) -> None:
    address = (await world.store.put(DEFAULT_DOMAIN, DATA)).blake3
    world.missing = "it is not mounted"
    found = []
    with pytest.raises(StoreError, match="not mounted"):
        async for _, one, _ in world.store.contents():
            found.append(one)
    assert found == [address]


async def test_a_place_that_is_back_is_used_again(world: World) -> None:
    world.missing = "it is not mounted"
    address = (await world.store.put(DEFAULT_DOMAIN, DATA)).blake3
    for _ in range(3):
        assert await kind_of(world.store.copy(DEFAULT_DOMAIN, address, SHELF)) is ErrorKind.UNAVAILABLE
    assert world.opened == 1  # nobody waits for it again and again
    world.missing = None
    world.now += 60
    assert await world.store.copy(DEFAULT_DOMAIN, address, SHELF) == len(DATA)


async def test_who_gives_up_waiting_for_a_place_takes_it_from_nobody(world: World) -> None:
    address = (await world.store.put(DEFAULT_DOMAIN, DATA)).blake3
    world.ready.clear()
    first = asyncio.ensure_future(world.store.copy(DEFAULT_DOMAIN, address, SHELF))
    second = asyncio.ensure_future(held_at(world.store, DEFAULT_DOMAIN, address))
    await asyncio.sleep(0.01)
    assert await world.store.dead() == 0  # a scrape waits for no place
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    world.ready.set()
    assert await second == {"local"}
    assert await world.store.copy(DEFAULT_DOMAIN, address, SHELF) == len(DATA)
    assert world.opened == 1


async def test_a_sick_primary_is_passed_over_where_another_place_has_the_bytes(world: World) -> None:
    address = await at(world, "local", SHELF)
    only = (await world.store.put(DEFAULT_DOMAIN, b"here only")).blake3
    world.down(world.primary)
    assert await read_all(world.store, address) == DATA
    assert await kind_of(read_all(world.store, only)) is ErrorKind.UNAVAILABLE
    assert await kind_of(world.store.put(DEFAULT_DOMAIN, b"new")) is ErrorKind.UNAVAILABLE


async def test_once_bytes_are_out_no_other_place_goes_on(world: World) -> None:
    address = await at(world, "local", SHELF)
    stream = world.store.read(DEFAULT_DOMAIN, address)
    assert await anext(stream) == DATA[: 1 << 20]
    world.down(world.primary)
    with pytest.raises(StoreError):
        await anext(stream)


async def test_a_removal_is_not_done_while_a_place_is_down(world: World) -> None:
    address = await at(world, "local", SHELF)
    world.down(world.shelf)
    assert await kind_of(world.store.remove(DEFAULT_DOMAIN, address)) is ErrorKind.UNAVAILABLE
    world.shelf.heal()
    assert await world.store.remove(DEFAULT_DOMAIN, address) == len(DATA)
    assert await kind_of(world.store.size(DEFAULT_DOMAIN, address)) is ErrorKind.CONTENT_UNKNOWN


async def test_what_a_place_keeps_by_its_own_lock_is_told(world: World) -> None:
    address = await at(world, "local", SHELF)
    world.shelf.inject("delete", Locked("until next year"))
    assert await kind_of(world.store.release(DEFAULT_DOMAIN, address, SHELF)) is ErrorKind.HELD
    assert await kind_of(world.store.remove(DEFAULT_DOMAIN, address)) is ErrorKind.HELD
    assert await read_all(world.store, address) == DATA


async def test_nothing_is_let_go_while_the_other_place_is_down(world: World) -> None:
    address = await at(world, "local", SHELF)
    world.down(world.shelf)
    assert await kind_of(world.store.release(DEFAULT_DOMAIN, address, "local")) is ErrorKind.UNAVAILABLE
    assert await read_all(world.store, address) == DATA
    world.shelf.heal()
    assert await world.store.release(DEFAULT_DOMAIN, address, "local") == len(DATA)


@pytest.mark.parametrize("operation", ["hold", "write", "settle", "read_stage", "commit"])
@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, ErrorKind.STORAGE_FULL), (errno.EIO, ErrorKind.UNAVAILABLE)]
)
async def test_a_copy_that_fails_leaves_nothing_at_its_target(
    world: World, operation: str, number: int, kind: ErrorKind
) -> None:
    address = await at(world, "local")
    world.shelf.inject(operation, OSError(number, "injected"))
    assert await kind_of(world.store.copy(DEFAULT_DOMAIN, address, SHELF)) is kind
    world.shelf.heal()
    assert await held_at(world.store, DEFAULT_DOMAIN, address) == {"local"}
    for site in world.store._others:
        assert await all_stages(await site.engine()) == []
    assert await world.store.copy(DEFAULT_DOMAIN, address, SHELF) == len(DATA)


async def test_a_source_that_fails_midway_is_not_the_targets_fault(world: World) -> None:
    address = await at(world, "local")
    world.primary.inject("read", OSError(errno.EIO, "injected"), after=1)
    assert await kind_of(world.store.copy(DEFAULT_DOMAIN, address, SHELF)) is ErrorKind.UNAVAILABLE
    world.primary.heal()
    assert await held_at(world.store, DEFAULT_DOMAIN, address) == {"local"}


async def test_a_place_that_did_not_hear_who_may_delete_deletes_nothing(world: World) -> None:
    address = await at(world, "local", SHELF)
    world.down(world.shelf)
    await world.store.admit("mine")
    world.shelf.heal()
    for work in (
        world.store.release(DEFAULT_DOMAIN, address, "local", "mine"),
        world.store.release(DEFAULT_DOMAIN, address, SHELF, "mine"),
        world.store.remove(DEFAULT_DOMAIN, address, "mine"),
    ):
        assert await kind_of(work) is ErrorKind.UNAVAILABLE
    assert SHELF in await held_at(world.store, DEFAULT_DOMAIN, address)
    await world.store.admit("mine again")
    await world.store.remove(DEFAULT_DOMAIN, address, "mine again")
    assert await kind_of(world.store.size(DEFAULT_DOMAIN, address)) is ErrorKind.CONTENT_UNKNOWN


async def test_a_copy_that_was_broken_off_is_reaped(world: World) -> None:
    address = await at(world, "local")
    copying = asyncio.ensure_future(world.store.copy(DEFAULT_DOMAIN, address, SHELF))
    await asyncio.sleep(0)
    copying.cancel()
    await asyncio.gather(copying, return_exceptions=True)
    (site,) = world.store._others
    engine = await site.engine()
    await engine.append(new_stage(), 0, body(b"left by a process that was killed"))
    assert await world.store.reap(1 << 62) == 1
    assert await all_stages(engine) == []


async def test_a_vault_that_is_not_mounted_takes_nothing_and_loses_nothing(tmp_path: Path) -> None:
    await prepare_places(tmp_path)
    vault, away = tmp_path / TAPE / "vault", tmp_path / "taken out"
    store = open_placed(tmp_path, tape(tmp_path))
    old = (await store.put(DEFAULT_DOMAIN, DATA)).blake3
    await store.copy(DEFAULT_DOMAIN, old, TAPE)
    await store.release(DEFAULT_DOMAIN, old, "local")
    new = (await store.put(DEFAULT_DOMAIN, b"new" + DATA)).blake3
    vault.rename(away)
    vault.mkdir()  # where a medium would be mounted
    assert await kind_of(store.copy(DEFAULT_DOMAIN, new, TAPE)) is ErrorKind.UNAVAILABLE
    assert list(vault.iterdir()) == []
    assert await read_all(store, new) == b"new" + DATA
    assert await store.size(DEFAULT_DOMAIN, old) == len(DATA)
    assert await store.restore(DEFAULT_DOMAIN, old) is RestoreStatus.REQUESTED
    assert await store.remove(DEFAULT_DOMAIN, old) == len(DATA)
    assert await kind_of(store.size(DEFAULT_DOMAIN, old)) is ErrorKind.CONTENT_UNKNOWN
    assert list(away.rglob(old.hex)) != []
    vault.rmdir()
    away.rename(vault)
    await store.reap(0)
    assert [path for path in (tmp_path / TAPE).rglob("*") if old.hex in path.name] == []
    await store.close()
