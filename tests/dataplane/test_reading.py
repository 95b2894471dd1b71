"""Read, get, open_file, size; and care: verify, quarantine, remove, contents, use, locations, restore."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.contract.dataplane import DEFAULT_DOMAIN, DataPlane, DomainId, Location, RestoreStatus
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.drivers.port import Area
from registry.dataplane.paths import object_key
from tests.dataplane.sealed import SEAL
from tests.dataplane.support import all_stages, body, content_of, engine_of, new_stage, open_engine, read_all

ABSENT = Digest.of(b"absent", Algorithm.BLAKE3)
OTHER = DomainId("other")


async def corrupt(store: DataPlane, data: bytes, wrong: bytes) -> Digest:
    """Hold `wrong` under the address of `data`."""
    address = Digest.of(data, Algorithm.BLAKE3)
    await engine_of(store)._driver.put(object_key(DEFAULT_DOMAIN, address), wrong)
    return address


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.sampled_from([0, 1, 10, 70_000, 2_500_000]),
    start=st.integers(0, 3_000_000),
    length=st.none() | st.integers(0, 3_000_000),
)
async def test_any_range(store: DataPlane, size: int, start: int, length: int | None) -> None:
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    content = await store.put(DEFAULT_DOMAIN, data)
    pieces = store.read(DEFAULT_DOMAIN, content.blake3, start, length)
    if start > size:
        with pytest.raises(StoreError) as refused:
            await anext(pieces)
        assert refused.value.kind is ErrorKind.RANGE_UNSATISFIABLE
        assert refused.value.detail == {"size": size}
        return
    read = [piece async for piece in pieces]
    assert all(0 < len(piece) <= 1 << 20 for piece in read)
    assert b"".join(read) == data[start:][:length]


async def test_a_reading_left_halfway_leaves_nothing_open(store: DataPlane) -> None:
    content = await store.put(DEFAULT_DOMAIN, bytes(3 << 20))
    pieces = store.read(DEFAULT_DOMAIN, content.blake3)
    assert len(await anext(pieces)) == 1 << 20
    await pieces.aclose()  # type: ignore[attr-defined]


async def test_what_is_absent_is_unknown_to_every_call(store: DataPlane) -> None:
    await store.put(OTHER, b"absent")
    for work in (
        store.size(DEFAULT_DOMAIN, ABSENT),
        anext(store.read(DEFAULT_DOMAIN, ABSENT)),
        store.get(DEFAULT_DOMAIN, ABSENT, 100),
        store.open_file(DEFAULT_DOMAIN, ABSENT),
        store.digest(DEFAULT_DOMAIN, ABSENT, Algorithm.SHA512),
        store.verify(DEFAULT_DOMAIN, ABSENT),
        store.locations(DEFAULT_DOMAIN, ABSENT),
        store.restore(DEFAULT_DOMAIN, ABSENT),
    ):
        with pytest.raises(StoreError) as refused:
            await work
        assert refused.value.kind is ErrorKind.CONTENT_UNKNOWN
    assert await store.remove(DEFAULT_DOMAIN, ABSENT) == 0
    await store.quarantine(DEFAULT_DOMAIN, ABSENT)


async def test_only_a_blake3_address_becomes_a_path(store: DataPlane) -> None:
    for address in (Digest.of(b"", Algorithm.SHA256), Digest(Algorithm.BLAKE3, "../" * 21 + "x")):
        with pytest.raises(StoreError) as refused:
            await store.size(DEFAULT_DOMAIN, address)
        assert refused.value.kind is ErrorKind.DIGEST_INVALID


@pytest.mark.parametrize("size", [0, 100, 100_000, 2_500_000])
async def test_get_is_whole_and_limited(store: DataPlane, size: int) -> None:
    data = os.urandom(size)
    content = await store.put(DEFAULT_DOMAIN, data, Algorithm.SHA512)
    assert content == content_of(data, sha512=True)
    assert await store.get(DEFAULT_DOMAIN, content.blake3, size) == data
    if size:
        with pytest.raises(StoreError) as refused:
            await store.get(DEFAULT_DOMAIN, content.blake3, size - 1)
        assert refused.value.kind is ErrorKind.TOO_LARGE


async def test_get_never_returns_corrupt_bytes(store: DataPlane) -> None:
    address = await corrupt(store, b"right", b"wrong")
    with pytest.raises(StoreError, match="corrupt") as refused:
        await store.get(DEFAULT_DOMAIN, address, 100)
    assert refused.value.kind is ErrorKind.CONTENT_UNKNOWN


async def test_verify_names_the_fault_and_quarantine_lets_a_push_heal(store: DataPlane) -> None:
    address = await corrupt(store, b"right", b"wrong")
    found = await store.verify(DEFAULT_DOMAIN, address)
    assert (found.size, found.address) == (5, address)
    assert (found.fault or "").endswith(f"the bytes held are {Digest.of(b'wrong', Algorithm.BLAKE3)}")
    await store.quarantine(DEFAULT_DOMAIN, address)
    with pytest.raises(StoreError) as refused:
        await store.size(DEFAULT_DOMAIN, address)
    assert refused.value.kind is ErrorKind.CONTENT_UNKNOWN
    assert [key.hex async for key, _ in engine_of(store)._driver.objects(Area.QUARANTINE)] == [address.hex]
    await store.put(DEFAULT_DOMAIN, b"right")
    assert (await store.verify(DEFAULT_DOMAIN, address)).fault is None


async def test_a_push_heals_what_nobody_has_found_corrupt_yet(store: DataPlane) -> None:
    for data, wrong in (
        (b"right", b"wrong"),
        (b"right again", b"short"),
        (bytes(100_000), bytes(99_999) + b"x"),
    ):
        address = await corrupt(store, data, wrong)
        await store.put(DEFAULT_DOMAIN, data)
        assert await read_all(store, address) == data
        await store.remove(DEFAULT_DOMAIN, address)
        await corrupt(store, data, wrong)
        stage = new_stage()
        await store.append(stage, 0, body(data))
        await store.commit(stage, None)
        assert await read_all(store, address) == data


async def test_quarantine_leaves_what_a_push_has_healed_meanwhile(store: DataPlane) -> None:
    address = await corrupt(store, b"right", b"wrong")
    assert (await store.verify(DEFAULT_DOMAIN, address)).fault is not None
    await store.put(DEFAULT_DOMAIN, b"right")
    assert await store.quarantine(DEFAULT_DOMAIN, address)
    assert await read_all(store, address) == b"right"


async def test_quarantine_says_whether_right_bytes_are_left(store: DataPlane) -> None:
    address = await corrupt(store, b"right", b"wrong")
    assert not await store.quarantine(DEFAULT_DOMAIN, address)
    assert not await store.quarantine(DEFAULT_DOMAIN, address)


async def test_a_removal_whose_permit_no_longer_counts_deletes_nothing(store: DataPlane) -> None:
    content = await store.put(DEFAULT_DOMAIN, b"precious")
    await store.admit("one")
    await store.admit("another")
    with pytest.raises(StoreError) as refused:
        await store.remove(DEFAULT_DOMAIN, content.blake3, "one")
    assert refused.value.kind is ErrorKind.CONFLICT
    assert await read_all(store, content) == b"precious"
    assert await store.remove(DEFAULT_DOMAIN, content.blake3, "another") > 0


async def test_an_upload_tells_its_digests_before_it_is_committed(store: DataPlane) -> None:
    stage = new_stage()
    await store.append(stage, 0, body(b"some bytes"))
    told = await store.identify(stage, None)
    assert [found async for found in store.contents()] == []
    with pytest.raises(StoreError) as refused:
        await store.identify(stage, ABSENT)
    assert refused.value.kind is ErrorKind.DIGEST_MISMATCH
    assert told == content_of(b"some bytes") == await store.commit(stage, None)
    assert (await store.identify(new_stage(), None)).size == 0
    assert await all_stages(store) == []


async def test_one_more_digest(store: DataPlane) -> None:
    data = os.urandom(1_500_000)
    content = await store.put(DEFAULT_DOMAIN, data)
    for algorithm in Algorithm:
        assert await store.digest(DEFAULT_DOMAIN, content.blake3, algorithm) == Digest.of(data, algorithm)


async def test_domains_are_apart(store: DataPlane) -> None:
    here = await store.put(DEFAULT_DOMAIN, b"same")
    await store.put(OTHER, b"same")
    assert await store.remove(OTHER, here.blake3) in (4, 4 + SEAL)
    assert await read_all(store, here) == b"same"
    assert [found async for found in store.contents(OTHER)] == []
    assert [found async for found in store.contents()] == [(DEFAULT_DOMAIN, here.blake3, 4)]


async def test_use_counts_content_and_stages(store: DataPlane) -> None:
    await store.put(DEFAULT_DOMAIN, b"12345")
    await store.put(OTHER, b"123")
    stage = new_stage()
    await store.append(stage, 0, body(b"12"))
    used = await store.use()
    assert used.content in (8, 8 + 2 * SEAL)
    assert (used.objects, used.staged) == (2, 2)
    status = await store.staged(stage)
    assert [found async for found in store.stages()] == [(stage, status)]
    assert status.touched > 1_700_000_000_000_000


async def test_what_is_here_is_hot_and_available(tmp_path: Path) -> None:
    store = open_engine("local", tmp_path)
    content = await store.put(DEFAULT_DOMAIN, b"x")
    assert await store.locations(DEFAULT_DOMAIN, content.blake3) == (Location("local"),)
    assert await store.restore(DEFAULT_DOMAIN, content.blake3) is RestoreStatus.AVAILABLE
    await store.check_writable()
    assert await all_stages(store) == []
    await store.close()


async def test_a_store_of_one_place_holds_all_it_has_there(tmp_path: Path) -> None:
    store = open_engine("local", tmp_path)
    content = await store.put(DEFAULT_DOMAIN, b"here")
    (place,) = store.places()
    assert place.primary
    assert await store.copy(DEFAULT_DOMAIN, content.blake3, place.name) == 4
    for work, kind in (
        (store.release(DEFAULT_DOMAIN, content.blake3, place.name), ErrorKind.CONFLICT),
        (store.copy(DEFAULT_DOMAIN, content.blake3, "elsewhere"), ErrorKind.BAD_REQUEST),
        (store.release(DEFAULT_DOMAIN, content.blake3, "elsewhere"), ErrorKind.BAD_REQUEST),
        (store.copy(DEFAULT_DOMAIN, ABSENT, place.name), ErrorKind.CONTENT_UNKNOWN),
    ):
        with pytest.raises(StoreError) as caught:
            await work
        assert caught.value.kind is kind
    assert await read_all(store, content) == b"here"
    await store.close()


async def test_open_file_is_for_sendfile(tmp_path: Path) -> None:
    data = os.urandom(100_000)
    for kind in ("local", "memory"):
        store = open_engine(kind, tmp_path / kind)
        content = await store.put(DEFAULT_DOMAIN, data)
        opened = await store.open_file(DEFAULT_DOMAIN, content.blake3)
        if kind == "memory":
            assert opened is None
        else:
            assert opened is not None
            await store.remove(DEFAULT_DOMAIN, content.blake3)
            assert opened.size == len(data)
            assert os.pread(opened.fd, len(data), 0) == data
            opened.close()
            opened.close()
        await store.close()
