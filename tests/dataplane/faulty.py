"""A driver that fails where a test says so: faults are injected at the port, below the guard."""

from __future__ import annotations

from collections.abc import AsyncIterator

from registry.contract.dataplane import DomainId, Place
from registry.dataplane import DataPlaneSettings
from registry.dataplane.drivers.guard import Guard
from registry.dataplane.drivers.memory import MemoryDriver
from registry.dataplane.drivers.port import (
    Area,
    Driver,
    Hold,
    ObjectKey,
    OpenObject,
    Pieces,
    StageInfo,
    StageKey,
    Usage,
)
from registry.dataplane.engine import Engine
from registry.dataplane.workers import Workers


class Faults:
    """Which operation fails and how; `after` successful calls of it come first."""

    def __init__(self) -> None:
        self._errors: dict[str, tuple[Exception, int]] = {}

    def inject(self, operation: str, error: Exception, after: int = 0) -> None:
        self._errors[operation] = (error, after)

    def heal(self) -> None:
        self._errors.clear()

    def meet(self, operation: str) -> None:
        if operation in self._errors:
            error, after = self._errors[operation]
            if after == 0:
                raise error
            self._errors[operation] = (error, after - 1)


class FaultyObject:
    def __init__(self, inner: OpenObject, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults
        self.size = inner.size
        self.fd = inner.fd

    async def read(self, start: int, length: int) -> bytes:
        self._faults.meet("read")
        return await self._inner.read(start, length)

    def close(self) -> None:
        self._inner.close()


class FaultyHold:
    def __init__(self, inner: Hold, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults
        self.found = inner.found

    async def write(self, pieces: Pieces) -> None:
        self._faults.meet("write")
        await self._inner.write(pieces)

    async def read(self, start: int, length: int) -> bytes:
        self._faults.meet("read_stage")
        return await self._inner.read(start, length)

    async def settle(self) -> StageInfo:
        self._faults.meet("settle")
        return await self._inner.settle()

    async def commit(self, key: ObjectKey) -> None:
        self._faults.meet("commit")
        await self._inner.commit(key)

    async def drop(self) -> None:
        self._faults.meet("drop")
        await self._inner.drop()

    async def release(self) -> None:
        await self._inner.release()


class FaultyDriver:
    def __init__(self, inner: Driver, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults

    async def put(self, key: ObjectKey, data: bytes) -> bool:
        self._faults.meet("put")
        return await self._inner.put(key, data)

    async def size(self, key: ObjectKey) -> int:
        self._faults.meet("size")
        return await self._inner.size(key)

    async def open(self, key: ObjectKey) -> OpenObject:
        self._faults.meet("open")
        return FaultyObject(await self._inner.open(key), self._faults)

    async def delete(self, key: ObjectKey, permit: str | None = None) -> int:
        self._faults.meet("delete")
        return await self._inner.delete(key, permit)

    async def admit(self, permit: str) -> None:
        self._faults.meet("admit")
        await self._inner.admit(permit)

    async def set_aside(self, key: ObjectKey, to: ObjectKey) -> None:
        self._faults.meet("set_aside")
        await self._inner.set_aside(key, to)

    def objects(self, area: Area, domain: DomainId | None = None) -> AsyncIterator[tuple[ObjectKey, int]]:
        return self._inner.objects(area, domain)

    async def usage(self) -> Usage:
        return await self._inner.usage()

    async def hold(self, stage: StageKey, offset: int | None = None, first: Pieces = ()) -> Hold:
        self._faults.meet("hold")
        return FaultyHold(await self._inner.hold(stage, offset, first), self._faults)

    async def stage(self, stage: StageKey) -> StageInfo:
        self._faults.meet("stage")
        return await self._inner.stage(stage)

    def stages(self) -> AsyncIterator[tuple[StageKey, StageInfo]]:
        return self._inner.stages()

    async def free(self) -> int | None:
        return await self._inner.free()

    async def probe(self) -> None:
        self._faults.meet("probe")
        await self._inner.probe()

    def close(self) -> None:
        self._inner.close()


def faulty_engine(
    faults: Faults,
    settings: DataPlaneSettings,
    place: Place = Place("local"),  # noqa: B008 - a value
) -> Engine:
    """A store in memory that fails as told."""
    workers = Workers(2)
    driver = FaultyDriver(MemoryDriver(), faults)
    return Engine(Guard(driver, settings.observer, 8), workers, settings, place)
