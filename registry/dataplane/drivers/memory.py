"""The memory driver: an honest twin of the others for tests and throw-away stores. Nothing outlives it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from registry.contract.dataplane import DomainId
from registry.contract.digest import blake3_of
from registry.dataplane.drivers.port import (
    Area,
    Busy,
    Hold,
    Missing,
    Moved,
    ObjectKey,
    OpenObject,
    Permanent,
    Pieces,
    Refused,
    StageInfo,
    StageKey,
    Usage,
)


class MemoryObject:
    """An open object: immutable bytes, so there is nothing to hold."""

    fd: int | None = None

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        return len(self._data)

    async def read(self, start: int, length: int) -> bytes:
        return _exactly(self._data, start, length)

    def close(self) -> None:
        """Nothing to let go."""


@dataclass(slots=True)
class _MemoryStage:
    data: bytearray
    touched: int
    writes: int = 0
    held: bool = False

    def info(self) -> StageInfo:
        return StageInfo(len(self.data), self.touched, f"{id(self)}:{self.writes}")


class MemoryHold:
    """The one hold of a stage in memory."""

    def __init__(self, driver: MemoryDriver, key: StageKey, stage: _MemoryStage) -> None:
        self._driver = driver
        self._key = key
        self._stage = stage
        self.found = stage.info()

    async def write(self, pieces: Pieces) -> None:
        for piece in pieces:
            self._stage.data += piece
        self._stage.writes += 1
        self._stage.touched = self._driver.now()

    async def read(self, start: int, length: int) -> bytes:
        return _exactly(self._stage.data, start, length)

    async def settle(self) -> StageInfo:
        return self._stage.info()

    async def commit(self, key: ObjectKey) -> None:
        self._driver.keep(key, bytes(self._stage.data))
        await self.drop()

    async def drop(self) -> None:
        self._driver.forget(self._key)

    async def release(self) -> None:
        self._stage.held = False


class MemoryDriver:
    """Objects and stages in dictionaries. `now` gives microseconds since the epoch."""

    def __init__(self, now: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self.now = now
        self._objects: dict[ObjectKey, bytes] = {}
        self._stages: dict[StageKey, _MemoryStage] = {}
        self._permit: str | None = None

    async def put(self, key: ObjectKey, data: bytes) -> bool:
        if key in self._objects:
            return False
        self._objects[key] = data
        return True

    async def size(self, key: ObjectKey) -> int:
        return len(self._get(key))

    async def open(self, key: ObjectKey) -> OpenObject:
        return MemoryObject(self._get(key))

    async def delete(self, key: ObjectKey, permit: str | None = None) -> int:
        if permit is not None and permit != self._permit:
            raise Refused("another deletes here now")
        size = len(self._get(key))
        del self._objects[key]
        return size

    async def admit(self, permit: str) -> None:
        self._permit = permit

    async def set_aside(self, key: ObjectKey, to: ObjectKey) -> None:
        data = self._get(key)
        if blake3_of(data).hex() != key.hex:
            self._objects[to] = data
            del self._objects[key]

    async def objects(
        self, area: Area, domain: DomainId | None = None
    ) -> AsyncIterator[tuple[ObjectKey, int]]:
        for key, data in list(self._objects.items()):
            if key.area is area and domain in (None, key.domain):
                yield key, len(data)

    async def usage(self) -> Usage:
        sizes = [len(data) for key, data in self._objects.items() if key.area is Area.CONTENT]
        return Usage(sum(sizes), len(sizes))

    async def hold(self, stage: StageKey, offset: int | None = None, first: Pieces = ()) -> Hold:
        state = self._stages.get(stage)
        if state is not None and state.held:
            raise Busy("the stage is held by another append")
        length = 0 if state is None else len(state.data)
        if offset is not None and offset != length:
            raise Moved(length)
        if state is None:
            state = self._stages[stage] = _MemoryStage(bytearray(), self.now())
        state.held = True
        hold = MemoryHold(self, stage, state)
        if first:
            await hold.write(first)
        return hold

    async def stage(self, stage: StageKey) -> StageInfo:
        if stage not in self._stages:
            raise Missing("no such stage")
        return self._stages[stage].info()

    async def stages(self) -> AsyncIterator[tuple[StageKey, StageInfo]]:
        for key, state in list(self._stages.items()):
            yield key, state.info()

    async def free(self) -> int | None:
        return None

    async def probe(self) -> None:
        """Memory can be written."""

    def close(self) -> None:
        self._objects.clear()
        self._stages.clear()

    def keep(self, key: ObjectKey, data: bytes) -> None:
        """For a hold's commit: one of the same size stays."""
        if key not in self._objects or len(self._objects[key]) != len(data):
            self._objects[key] = data

    def forget(self, stage: StageKey) -> None:
        """For the stage's hold."""
        self._stages.pop(stage, None)

    def _get(self, key: ObjectKey) -> bytes:
        try:
            return self._objects[key]
        except KeyError:
            raise Missing("no such object") from None


def _exactly(data: bytes | bytearray, start: int, length: int) -> bytes:
    found = bytes(data[start : start + length])
    if len(found) != length:
        raise Permanent(f"only {len(data)} bytes are held")
    return found
