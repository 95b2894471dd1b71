"""Content in several places: read from the best, copied, verified, let go, and removed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.contract.dataplane import (
    DEFAULT_DOMAIN,
    DomainId,
    Location,
    Place,
    RestoreStatus,
    RetrievalTier,
)
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane import S3Settings, Secondary, prepare
from registry.dataplane.places.store import PlacedStore
from tests.dataplane.placed import (
    SHELF,
    TAPE,
    answer_requests,
    held_at,
    open_placed,
    prepare_places,
    shelf,
    tape,
)
from tests.dataplane.sealed import sealing, traces
from tests.dataplane.support import body, content_of, new_stage, read_all
from tests.drivers.leftovers import open_below, threads

LARGE = os.urandom(3 << 20)
SMALL = b"a manifest, say"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[PlacedStore]:
    """A store with a shelf and a tape."""
    await prepare_places(tmp_path)
    opened = open_placed(tmp_path)
    yield opened
    await opened.close()
    assert open_below(tmp_path) == []
    assert threads() == []


async def kind_of(work: object) -> ErrorKind:
    with pytest.raises(StoreError) as caught:
        await work  # type: ignore[misc]
    return caught.value.kind


async def kept(store: PlacedStore, data: bytes, *places: str) -> Digest:
    """Content that lies in these places and nowhere else."""
    content = await store.put(DEFAULT_DOMAIN, data)
    for place in places:
        await store.copy(DEFAULT_DOMAIN, content.blake3, place)
    if "local" not in places:
        await store.release(DEFAULT_DOMAIN, content.blake3, "local")
    assert await held_at(store, DEFAULT_DOMAIN, content.blake3) == set(places)
    return content.blake3


def stored(folder: Path, address: Digest) -> Path:
    """The one loose file of content below a folder."""
    (found,) = folder.glob(f"content/*/*/{address.hex}*")
    return found


def test_places_are_told_the_primary_first(store: PlacedStore) -> None:
    assert store.places() == (
        Place("local", RetrievalTier.HOT),
        Place(SHELF, RetrievalTier.WARM, "de", primary=False),
        Place(TAPE, RetrievalTier.ARCHIVE, "fr", primary=False),
    )


@pytest.mark.parametrize("data", [b"", SMALL, LARGE])
async def test_what_was_moved_reads_as_before(store: PlacedStore, tmp_path: Path, data: bytes) -> None:
    address = await kept(store, data, SHELF)
    assert await read_all(store, address) == data
    assert await store.size(DEFAULT_DOMAIN, address) == len(data)
    assert [found async for found in store.contents()] == [(DEFAULT_DOMAIN, address, len(data))]
    assert not list((tmp_path / "data" / "content").rglob(address.hex))
    assert (await store.use()).objects == 1


async def test_a_copy_is_repeatable_and_a_place_may_hold_it_long_since(store: PlacedStore) -> None:
    address = await kept(store, LARGE, "local", SHELF)
    assert await store.copy(DEFAULT_DOMAIN, address, SHELF) == len(LARGE)
    assert await store.copy(DEFAULT_DOMAIN, address, "local") == len(LARGE)
    assert await store.release(DEFAULT_DOMAIN, address, TAPE) == 0
    assert await held_at(store, DEFAULT_DOMAIN, address) == {"local", SHELF}


async def test_the_last_place_lets_nothing_go(store: PlacedStore) -> None:
    address = await kept(store, SMALL, SHELF)
    assert await kind_of(store.release(DEFAULT_DOMAIN, address, SHELF)) is ErrorKind.CONFLICT
    assert await read_all(store, address) == SMALL


async def test_what_is_not_there_cannot_be_copied_nor_to_nowhere(store: PlacedStore) -> None:
    address = await kept(store, SMALL, "local")
    absent = content_of(b"absent").blake3
    assert await kind_of(store.copy(DEFAULT_DOMAIN, absent, SHELF)) is ErrorKind.CONTENT_UNKNOWN
    assert await kind_of(store.copy(DEFAULT_DOMAIN, address, "cellar")) is ErrorKind.BAD_REQUEST
    assert await kind_of(store.release(DEFAULT_DOMAIN, address, "cellar")) is ErrorKind.BAD_REQUEST


async def test_what_is_away_has_to_be_restored_first(store: PlacedStore, tmp_path: Path) -> None:
    address = await kept(store, LARGE, TAPE)
    assert await store.size(DEFAULT_DOMAIN, address) == len(LARGE)
    for work in (
        read_all(store, address),
        store.get(DEFAULT_DOMAIN, address, 1 << 30),
        store.open_file(DEFAULT_DOMAIN, address),
        store.verify(DEFAULT_DOMAIN, address),
        store.copy(DEFAULT_DOMAIN, address, "local"),
    ):
        assert await kind_of(work) is ErrorKind.RESTORE_REQUIRED
    away = Location(TAPE, RetrievalTier.ARCHIVE)
    assert await store.locations(DEFAULT_DOMAIN, address) == (away,)
    assert await store.restore(DEFAULT_DOMAIN, address) is RestoreStatus.REQUESTED
    assert answer_requests(tmp_path / TAPE) == 1
    (location,) = await store.locations(DEFAULT_DOMAIN, address)
    assert location.restore_status is RestoreStatus.AVAILABLE
    assert location.until is not None
    assert await read_all(store, address) == LARGE
    assert await store.copy(DEFAULT_DOMAIN, address, "local") == len(LARGE)
    assert [found.name for found in await store.locations(DEFAULT_DOMAIN, address)] == ["local", TAPE]
    assert await store.restore(DEFAULT_DOMAIN, address) is RestoreStatus.AVAILABLE


async def test_what_is_at_hand_somewhere_needs_no_restore(store: PlacedStore, tmp_path: Path) -> None:
    address = await kept(store, SMALL, SHELF, TAPE)
    assert await store.restore(DEFAULT_DOMAIN, address) is RestoreStatus.AVAILABLE
    assert answer_requests(tmp_path / TAPE) == 0


async def test_corrupt_bytes_are_passed_over_told_and_healed(store: PlacedStore, tmp_path: Path) -> None:
    address = await kept(store, LARGE, "local", SHELF)
    stored(tmp_path / "data", address).write_bytes(b"\0" * len(LARGE))
    assert await store.get(DEFAULT_DOMAIN, address, 1 << 30) == LARGE
    assert (await store.verify(DEFAULT_DOMAIN, address)).fault is not None
    assert await store.quarantine(DEFAULT_DOMAIN, address)
    assert (await store.verify(DEFAULT_DOMAIN, address)).fault is None
    assert await held_at(store, DEFAULT_DOMAIN, address) == {"local", SHELF}
    assert stored(tmp_path / "data", address).read_bytes() == LARGE


async def test_nothing_is_let_go_for_a_corrupt_copy(store: PlacedStore, tmp_path: Path) -> None:
    address = await kept(store, LARGE, "local", SHELF)
    stored(tmp_path / SHELF, address).write_bytes(b"\0" * len(LARGE))
    assert await kind_of(store.release(DEFAULT_DOMAIN, address, "local")) is ErrorKind.CONFLICT
    assert await store.copy(DEFAULT_DOMAIN, address, SHELF) == len(LARGE)
    assert await store.release(DEFAULT_DOMAIN, address, "local") == len(LARGE)
    assert await read_all(store, address) == LARGE


async def test_corrupt_bytes_are_not_copied(store: PlacedStore, tmp_path: Path) -> None:
    address = await kept(store, LARGE, "local")
    stored(tmp_path / "data", address).write_bytes(b"\0" * len(LARGE))
    for to in (SHELF, TAPE):
        assert await kind_of(store.copy(DEFAULT_DOMAIN, address, to)) is ErrorKind.CONTENT_UNKNOWN
    assert not await store.quarantine(DEFAULT_DOMAIN, address)
    assert await kind_of(store.locations(DEFAULT_DOMAIN, address)) is ErrorKind.CONTENT_UNKNOWN


async def test_what_is_away_is_taken_to_be_sound(store: PlacedStore, tmp_path: Path) -> None:
    address = await kept(store, LARGE, "local", TAPE)
    stored(tmp_path / "data", address).write_bytes(b"\0" * len(LARGE))
    assert await store.quarantine(DEFAULT_DOMAIN, address)
    assert await kind_of(read_all(store, address)) is ErrorKind.RESTORE_REQUIRED


async def test_a_removal_reaches_every_place(store: PlacedStore) -> None:
    address = await kept(store, LARGE, "local", SHELF, TAPE)
    assert await store.remove(DEFAULT_DOMAIN, address) == 3 * len(LARGE)
    assert await store.remove(DEFAULT_DOMAIN, address) == 0
    assert [found async for found in store.contents()] == []
    assert await kind_of(store.size(DEFAULT_DOMAIN, address)) is ErrorKind.CONTENT_UNKNOWN


async def test_only_who_has_the_permit_deletes_anywhere(store: PlacedStore) -> None:
    address = await kept(store, LARGE, "local", SHELF)
    await store.admit("mine")
    await store.admit("yours")
    assert await kind_of(store.release(DEFAULT_DOMAIN, address, "local", "mine")) is ErrorKind.UNAVAILABLE
    assert await kind_of(store.remove(DEFAULT_DOMAIN, address, "mine")) is ErrorKind.CONFLICT
    assert await held_at(store, DEFAULT_DOMAIN, address) == {"local", SHELF}
    assert await store.release(DEFAULT_DOMAIN, address, "local", "yours") == len(LARGE)
    assert await store.remove(DEFAULT_DOMAIN, address, "yours") == len(LARGE)


async def test_a_process_that_lost_its_permit_deletes_nothing(tmp_path: Path) -> None:
    await prepare_places(tmp_path)
    mine, yours = open_placed(tmp_path), open_placed(tmp_path)
    address = await kept(mine, LARGE, "local", SHELF)
    await mine.admit("mine")
    await yours.admit("yours")
    for name in ("local", SHELF):
        assert await kind_of(mine.release(DEFAULT_DOMAIN, address, name, "mine")) is ErrorKind.CONFLICT
    assert await kind_of(mine.remove(DEFAULT_DOMAIN, address, "mine")) is ErrorKind.CONFLICT
    assert await held_at(yours, DEFAULT_DOMAIN, address) == {"local", SHELF}
    await mine.close()
    await yours.close()


async def test_a_push_of_what_was_moved_comes_to_the_primary_again(store: PlacedStore) -> None:
    address = await kept(store, LARGE, TAPE)
    stage = new_stage()
    await store.append(stage, 0, body(LARGE))
    assert (await store.commit(stage, address)).blake3 == address
    assert await read_all(store, address) == LARGE
    assert await held_at(store, DEFAULT_DOMAIN, address) == {"local", TAPE}


async def test_two_that_let_go_at_once_leave_one(store: PlacedStore) -> None:
    address = await kept(store, LARGE, "local", SHELF)
    answers = await asyncio.gather(
        store.release(DEFAULT_DOMAIN, address, "local"),
        store.release(DEFAULT_DOMAIN, address, SHELF),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["StoreError", "int"]
    assert await read_all(store, address) == LARGE


@pytest.mark.parametrize("steps", range(0, 40, 4))
async def test_a_push_while_it_is_let_go_loses_nothing(store: PlacedStore, steps: int) -> None:
    address = await kept(store, LARGE, "local", SHELF)
    stage = new_stage()
    await store.append(stage, 0, body(LARGE))
    letting_go = asyncio.ensure_future(store.release(DEFAULT_DOMAIN, address, "local"))
    for _ in range(steps):
        await asyncio.sleep(0.0005)
    assert (await store.commit(stage, address)).size == len(LARGE)
    await letting_go
    assert await read_all(store, address) == LARGE
    assert SHELF in await held_at(store, DEFAULT_DOMAIN, address)


async def test_a_removal_while_it_is_copied_leaves_nothing(store: PlacedStore) -> None:
    address = await kept(store, LARGE, "local")
    copying = asyncio.ensure_future(store.copy(DEFAULT_DOMAIN, address, SHELF))
    await asyncio.sleep(0.001)
    await store.remove(DEFAULT_DOMAIN, address)
    assert await copying == len(LARGE)
    assert [found async for found in store.contents()] == []


async def test_domains_stay_apart(store: PlacedStore) -> None:
    other = DomainId("other")
    address = await kept(store, LARGE, "local")
    await store.put(other, LARGE)
    await store.copy(other, address, SHELF)
    assert await held_at(store, DEFAULT_DOMAIN, address) == {"local"}
    assert await kind_of(store.release(DEFAULT_DOMAIN, address, "local")) is ErrorKind.CONFLICT


async def test_what_is_sealed_lies_open_nowhere(tmp_path: Path) -> None:
    await prepare_places(tmp_path)
    (tmp_path / "data").mkdir()
    store = open_placed(tmp_path, keys=sealing(tmp_path / "data"))
    canary = os.urandom(64)
    for data in (canary, canary + LARGE):
        content = await store.put(DEFAULT_DOMAIN, data)
        await store.copy(DEFAULT_DOMAIN, content.blake3, SHELF)
        await store.copy(DEFAULT_DOMAIN, content.blake3, TAPE)
        await store.release(DEFAULT_DOMAIN, content.blake3, "local")
        await store.release(DEFAULT_DOMAIN, content.blake3, SHELF)
        await store.restore(DEFAULT_DOMAIN, content.blake3)
        answer_requests(tmp_path / TAPE)
        assert await read_all(store, content) == data
    assert traces(tmp_path, canary) == []
    sealing(tmp_path / "data").destroy(DEFAULT_DOMAIN)
    assert await kind_of(read_all(store, content)) is ErrorKind.ERASED
    await store.close()


async def test_a_sealed_domain_does_not_go_where_it_would_lie_open(tmp_path: Path) -> None:
    bucket = Secondary(Place("old", RetrievalTier.WARM, primary=False), S3Settings("bucket"))
    (tmp_path / "data").mkdir()
    store = open_placed(tmp_path, bucket, keys=sealing(tmp_path / "data"))
    content = await store.put(DEFAULT_DOMAIN, SMALL)
    assert await kind_of(store.copy(DEFAULT_DOMAIN, content.blake3, "old")) is ErrorKind.CONFLICT
    await store.close()


async def test_a_place_is_used_by_its_own_name_only(tmp_path: Path) -> None:
    await prepare(shelf(tmp_path))
    other = Secondary(Place("cellar", RetrievalTier.WARM, primary=False), tmp_path / SHELF)
    with pytest.raises(StoreError, match="is not the location cellar"):
        await prepare(other)
    store = open_placed(tmp_path, other)
    content = await store.put(DEFAULT_DOMAIN, SMALL)
    assert await kind_of(store.copy(DEFAULT_DOMAIN, content.blake3, "cellar")) is ErrorKind.UNAVAILABLE
    await store.close()


async def test_preparing_again_changes_nothing(tmp_path: Path) -> None:
    await prepare_places(tmp_path)
    store = open_placed(tmp_path)
    address = await kept(store, LARGE, SHELF, TAPE)
    await store.close()
    for place in (shelf(tmp_path), tape(tmp_path)):
        await prepare(place)
    again = open_placed(tmp_path)
    assert await held_at(again, DEFAULT_DOMAIN, address) == {SHELF, TAPE}
    await again.close()
