"""Bodies, stages and stores for the engine's tests."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from registry.contract.dataplane import DEFAULT_DOMAIN, Content, DataPlane, Place, Stage
from registry.contract.digest import Algorithm, Digest
from registry.dataplane import DataPlaneSettings
from registry.dataplane.drivers.guard import Guard
from registry.dataplane.drivers.memory import MemoryDriver
from registry.dataplane.drivers.opening import open_packed
from registry.dataplane.drivers.packed import PackedDriver
from registry.dataplane.drivers.port import Driver
from registry.dataplane.engine import Engine
from registry.dataplane.places.store import PlacedStore
from registry.dataplane.workers import Workers
from tests.dataplane.sealed import keys_in, sealing

KINDS = ("local", "memory", "sealed")

#: Waiting for another append is not what most tests are about.
IMPATIENT = DataPlaneSettings(patience=0.05, threads=4)


def open_driver(kind: str, root: Path, workers: Workers, settings: DataPlaneSettings) -> Driver:
    if kind == "memory":
        return MemoryDriver()
    return open_packed(root, workers, settings, sealing(root) if kind == "sealed" else keys_in(root))


def open_engine(kind: str, root: Path, settings: DataPlaneSettings = IMPATIENT) -> Engine:
    """The engine itself, for tests that look inside."""
    workers = Workers(settings.threads)
    driver = open_driver(kind, root, workers, settings)
    jobs = driver.jobs if isinstance(driver, PackedDriver) else None
    return Engine(Guard(driver, settings.observer, settings.operations), workers, settings, Place(kind), jobs)


def engine_of(store: DataPlane) -> Engine:
    """The engine of a store, or of its primary place, for tests that look inside."""
    if isinstance(store, PlacedStore):
        return store._engine
    assert isinstance(store, Engine)
    return store


def new_stage(announced: Algorithm | None = None) -> Stage:
    return Stage(DEFAULT_DOMAIN, str(uuid.uuid4()), announced)


async def body(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


class Dropped(Exception):  # noqa: N818 - an event, as the server sees it
    """The client's connection went."""


async def dropped(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    """A body whose connection goes after these chunks."""
    for chunk in chunks:
        yield chunk
    raise Dropped


class Held:
    """A body that yields `first` and then waits until it is told to go on."""

    def __init__(self, first: bytes) -> None:
        self._first = first
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._first
        self.reached.set()
        await self.go_on.wait()


async def read_all(store: DataPlane, content: Content | Digest) -> bytes:
    address = content.blake3 if isinstance(content, Content) else content
    return b"".join([piece async for piece in store.read(DEFAULT_DOMAIN, address)])


def content_of(data: bytes, sha512: bool = False) -> Content:
    """What the store must answer for `data`."""
    return Content(
        Digest.of(data, Algorithm.BLAKE3),
        Digest.of(data, Algorithm.SHA256),
        len(data),
        Digest.of(data, Algorithm.SHA512) if sha512 else None,
    )


async def all_stages(store: DataPlane) -> list[tuple[str, int]]:
    return [(stage.id, status.offset) async for stage, status in store.stages()]
