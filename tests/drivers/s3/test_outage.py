"""The service killed and started again under load: nothing acknowledged is lost, nobody hangs."""

from __future__ import annotations

import asyncio
import dataclasses
import signal

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN, Content
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane import S3Settings
from registry.dataplane.engine import Engine
from tests.dataplane.support import content_of, new_stage, read_all
from tests.drivers.s3.stores import MIB, opened, pieces, some
from tests.objectstore.seaweed import SeaweedServer

pytestmark = pytest.mark.slow

SIZES = (100, 70_000, 3 * MIB, 12 * MIB)


class Load:
    """Pushes and reads until it is told to end. `kept` is what was acknowledged."""

    def __init__(self, store: Engine) -> None:
        self._store = store
        self.kept: list[Content] = []
        self.refused: list[ErrorKind] = []
        self.reads = 0
        self.ended = False

    async def push(self, size: int) -> None:
        while not self.ended:
            data, stage = some(size), new_stage()
            try:
                if size < 1000:
                    content = await self._store.put(DEFAULT_DOMAIN, data)
                else:
                    await self._store.append(stage, 0, pieces(data))
                    content = await self._store.commit(stage, None)
                assert content == content_of(data)
                self.kept.append(content)
            except StoreError as error:
                self.refused.append(error.kind)
            await asyncio.sleep(0.05)

    async def read(self) -> None:
        while not self.ended:
            for content in self.kept[-3:]:
                try:
                    data = await read_all(self._store, content)
                    assert content_of(data) == content
                    self.reads += 1
                except StoreError as error:
                    self.refused.append(error.kind)
            await asyncio.sleep(0.05)


async def through(store: Engine, seaweed: SeaweedServer) -> Load:
    load = Load(store)
    async with asyncio.TaskGroup() as group:
        for size in SIZES:
            group.create_task(load.push(size))
        group.create_task(load.read())
        await asyncio.sleep(2)
        seaweed.kill()
        await asyncio.sleep(3)
        await asyncio.to_thread(seaweed.start)
        before = len(load.kept)
        async with asyncio.timeout(60):  # it goes on by itself
            while len(load.kept) < before + 3 * len(SIZES):
                await asyncio.sleep(0.1)
        load.ended = True
    return load


@pytest.mark.parametrize("patience", [0.5, 30.0])
async def test_killed_and_started_again(s3: S3Settings, seaweed: SeaweedServer, patience: float) -> None:
    """With little patience pushes are refused meanwhile; with enough they only take longer."""
    async with opened(dataclasses.replace(s3, patience=patience)) as store:
        async with asyncio.timeout(150):
            load = await through(store, seaweed)
        assert set(load.refused) <= {ErrorKind.UNAVAILABLE}
        if patience > 10:
            assert load.refused == []
        else:
            assert load.refused != []
        for content in load.kept:
            assert (await store.verify(DEFAULT_DOMAIN, content.blake3)).fault is None
        print(f"{len(load.kept)} pushes kept, 0 lost, {load.reads} reads, {len(load.refused)} refused")


async def test_stopped_and_going_on(s3: S3Settings, seaweed: SeaweedServer) -> None:
    """A service that accepts connections and says nothing: requests wait, and end when it goes on."""
    data, stage = some(6 * MIB), new_stage()
    async with opened(s3) as store:
        await store.append(stage, 0, pieces(data[:100]))
        seaweed.signal(signal.SIGSTOP)
        try:
            pushing = asyncio.create_task(store.append(stage, 100, pieces(data[100:])))
            await asyncio.sleep(2)
            assert not pushing.done()
        finally:
            seaweed.signal(signal.SIGCONT)
        async with asyncio.timeout(60):
            assert await pushing == len(data)
        assert await store.commit(stage, None) == content_of(data)
