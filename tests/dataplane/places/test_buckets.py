"""Buckets as places: storage classes that have to be restored, and servers that are out of reach."""

from __future__ import annotations

import dataclasses
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN, Place, RestoreStatus, RetrievalTier
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane import S3Settings, Secondary, open_s3, prepare
from registry.dataplane.places.store import PlacedStore
from tests.dataplane.placed import SHELF, held_at, open_placed, shelf
from tests.dataplane.support import body, new_stage, read_all
from tests.objectstore.asking import client, unfinished
from tests.objectstore.moto_server import MotoServer
from tests.ports import free_ports

pytestmark = pytest.mark.slow

SMALL, LARGE = b"a manifest, say", os.urandom(11 << 20)


def bucket(settings: S3Settings, tier: RetrievalTier = RetrievalTier.ARCHIVE) -> Secondary:
    return Secondary(Place("old", tier, primary=False), settings)


@pytest.fixture
def glacier(moto: MotoServer) -> S3Settings:
    """A place in the bucket whose content has to be restored."""
    return moto.settings(uuid.uuid4().hex, storage_class="GLACIER", restore_days=2)


@pytest.fixture
async def store(tmp_path: Path, glacier: S3Settings) -> AsyncIterator[PlacedStore]:
    await prepare(bucket(glacier))
    opened = open_placed(tmp_path, bucket(glacier))
    yield opened
    await opened.close()
    assert await unfinished(glacier) == []


async def moved(store: PlacedStore, data: bytes) -> Digest:
    stage = new_stage()
    await store.append(stage, 0, body(data))
    address = (await store.commit(stage, None)).blake3
    assert await store.copy(DEFAULT_DOMAIN, address, "old") == len(data)
    assert await store.release(DEFAULT_DOMAIN, address, "local") == len(data)
    return address


async def kind_of(work: object) -> ErrorKind:
    with pytest.raises(StoreError) as caught:
        await work  # type: ignore[misc]
    return caught.value.kind


@pytest.mark.parametrize("data", [SMALL, LARGE])
async def test_what_went_to_an_archive_class_is_restored_step_by_step(
    store: PlacedStore, glacier: S3Settings, moto: MotoServer, data: bytes
) -> None:
    address = await moved(store, data)
    async with client(glacier) as asked:
        key = f"{glacier.prefix}content/default/{address.hex[:2]}/{address.hex}"
        assert (await asked.head_object(Bucket=glacier.bucket, Key=key))["StorageClass"] == "GLACIER"
    assert await store.size(DEFAULT_DOMAIN, address) == len(data)
    assert (await store.locations(DEFAULT_DOMAIN, address))[0].restore_status is None
    for work in (
        read_all(store, address),
        store.verify(DEFAULT_DOMAIN, address),
        store.copy(DEFAULT_DOMAIN, address, "local"),
    ):
        assert await kind_of(work) is ErrorKind.RESTORE_REQUIRED
    assert await store.quarantine(DEFAULT_DOMAIN, address)
    moto.restores_take(3)
    try:
        assert await store.restore(DEFAULT_DOMAIN, address) is RestoreStatus.REQUESTED
        seen: list[RestoreStatus | None] = []
        while not seen or seen[-1] is not RestoreStatus.AVAILABLE:
            (location,) = await store.locations(DEFAULT_DOMAIN, address)
            seen.append(location.restore_status)
        assert seen[0] is RestoreStatus.ONGOING
    finally:
        moto.restores_take(0)
    assert location.until is not None
    assert await read_all(store, address) == data
    assert (await store.verify(DEFAULT_DOMAIN, address)).fault is None
    assert await store.restore(DEFAULT_DOMAIN, address) is RestoreStatus.AVAILABLE
    assert await store.copy(DEFAULT_DOMAIN, address, "local") == len(data)
    assert await held_at(store, DEFAULT_DOMAIN, address) == {"local", "old"}
    assert await store.remove(DEFAULT_DOMAIN, address) == 2 * len(data)
    assert [found async for found in store.contents()] == []


async def test_what_was_replaced_there_lets_nothing_go(store: PlacedStore, glacier: S3Settings) -> None:
    stage = new_stage()
    await store.append(stage, 0, body(LARGE))
    address = (await store.commit(stage, None)).blake3
    await store.copy(DEFAULT_DOMAIN, address, "old")
    async with client(glacier) as asked:
        key = f"{glacier.prefix}content/default/{address.hex[:2]}/{address.hex}"
        await asked.put_object(Bucket=glacier.bucket, Key=key, Body=LARGE[:-1], StorageClass="GLACIER")
    assert await kind_of(store.release(DEFAULT_DOMAIN, address, "local")) is ErrorKind.CONFLICT
    assert await read_all(store, address) == LARGE


async def test_a_prefix_that_was_not_prepared_or_is_a_store_is_no_place(
    tmp_path: Path, second_s3: S3Settings, moto: MotoServer
) -> None:
    store = open_placed(tmp_path, bucket(second_s3))
    address = (await store.put(DEFAULT_DOMAIN, SMALL)).blake3
    assert await kind_of(store.copy(DEFAULT_DOMAIN, address, "old")) is ErrorKind.UNAVAILABLE
    assert await read_all(store, address) == SMALL
    await store.close()
    await prepare(bucket(second_s3))
    other = Secondary(Place("other", RetrievalTier.WARM, primary=False), second_s3)
    with pytest.raises(StoreError, match="is not the location other"):
        await prepare(other)


async def test_a_bucket_that_answers_at_once_is_read_without_a_restore(
    tmp_path: Path, s3: S3Settings
) -> None:
    place = bucket(s3, RetrievalTier.WARM)
    await prepare(place)
    store = open_placed(tmp_path, place)
    for data in (SMALL, LARGE):
        address = await moved(store, data)
        assert await read_all(store, address) == data
        assert (await store.locations(DEFAULT_DOMAIN, address))[0].restore_status is None
    await store.close()


async def test_a_server_out_of_reach_keeps_nobody_from_the_primary(
    tmp_path: Path, glacier: S3Settings
) -> None:
    (port,) = free_ports(1)
    lost = dataclasses.replace(glacier, endpoint=f"http://127.0.0.1:{port}", patience=0.1)
    store = open_placed(tmp_path, bucket(lost))
    address = (await store.put(DEFAULT_DOMAIN, SMALL)).blake3
    assert await read_all(store, address) == SMALL
    for work in (
        store.copy(DEFAULT_DOMAIN, address, "old"),
        store.remove(DEFAULT_DOMAIN, address),
        store.size(DEFAULT_DOMAIN, address),
    ):
        assert await kind_of(work) is ErrorKind.UNAVAILABLE
    await store.close()


async def test_a_bucket_can_be_the_primary(tmp_path: Path, s3: S3Settings) -> None:
    await prepare(shelf(tmp_path))
    store = await open_s3(s3, others=[shelf(tmp_path)])
    assert [place.name for place in store.places()] == ["local", SHELF]
    stage = new_stage()
    await store.append(stage, 0, body(LARGE))
    address = (await store.commit(stage, None)).blake3
    await store.admit("mine")
    assert await store.copy(DEFAULT_DOMAIN, address, SHELF) == len(LARGE)
    assert await store.release(DEFAULT_DOMAIN, address, "local", "mine") == len(LARGE)
    assert await held_at(store, DEFAULT_DOMAIN, address) == {SHELF}
    assert await read_all(store, address) == LARGE
    await store.close()
