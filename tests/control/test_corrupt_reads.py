"""Bytes that turn out corrupt when they are read are told at once, not only when the scrub comes by."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.contract.dataplane import Packing
from registry.contract.errors import ErrorKind, StoreError
from registry.control import SystemClock, open_store
from registry.dataplane import DataPlaneSettings, open_local
from tests.control.collection.world import A, MovableClock, World

#: Some chunks, and too large for the log of tiny blobs.
BLOB = os.urandom(1 << 20)


@pytest.fixture(params=[True, False], ids=["verifying", "trusting"])
def verifying(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
async def world(tmp_path: Path, verifying: bool) -> AsyncIterator[World]:
    dataplane = open_local(tmp_path / "content", settings=DataPlaneSettings(verify_reads=verifying))
    database = tmp_path / "ledger.sqlite"
    store = await open_store(dataplane, database, clock=SystemClock())
    session = store.for_principal(await store.principal("tester"))
    yield World(store, session, dataplane, MovableClock(), database)
    await store.close()
    await dataplane.close()


def flip(folder: Path, name: str) -> None:
    """Change one bit in the middle of the only file of more than 512 KiB below `folder` that is named so."""
    (path,) = [path for path in folder.rglob(name) if path.is_file() and path.stat().st_size > 1 << 19]
    with path.open("r+b") as file:
        file.seek(1 << 19)
        byte = file.read(1)[0]
        file.seek(1 << 19)
        file.write(bytes([byte ^ 1]))


async def test_a_whole_blob_is_compared_before_its_first_byte(
    world: World, tmp_path: Path, verifying: bool
) -> None:
    digest = await world.push_blob(BLOB)
    flip(tmp_path / "content", "*")
    reading = await world.session.blobs.get(A, digest)
    if not verifying:
        assert await world.read(BLOB) != BLOB
        return
    for attempt in (reading.open_file(), anext(aiter(reading.stream()))):
        with pytest.raises(StoreError) as refused:
            await attempt
        assert refused.value.kind is ErrorKind.CONTENT_UNKNOWN
    await _heals(world)


async def test_a_right_blob_is_given(world: World) -> None:
    digest = await world.push_blob(BLOB)
    assert await world.read(BLOB) == BLOB
    opened = await (await world.session.blobs.get(A, digest)).open_file()
    assert opened is not None
    assert os.pread(opened.fd, len(BLOB), 0) == BLOB
    opened.close()


async def test_a_corrupt_chunk_is_told_when_it_is_met(world: World, tmp_path: Path) -> None:
    await world.push_blob(BLOB)
    assert [packed.fault async for packed in world.dataplane.pack(Packing())] == [None]
    flip(tmp_path / "content", "*.pack")
    with pytest.raises(StoreError) as refused:
        await world.read(BLOB)
    assert refused.value.kind is ErrorKind.CONTENT_UNKNOWN
    await _heals(world)


async def _heals(world: World) -> None:
    """HEAD answers that it is not there, the ledger says so once, and a push brings it back."""
    assert not await world.has_blob(BLOB)
    assert len(await world.events("content.missing")) == 1
    await world.push_blob(BLOB)
    assert len(await world.events("content.healed")) == 1
    assert await world.read(BLOB) == BLOB
