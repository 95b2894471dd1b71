"""The guard round every driver: foreign exceptions classified, operations counted, timed and limited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TypeVar

from registry.contract.dataplane import DomainId
from registry.contract.errors import StoreError
from registry.dataplane.drivers.classify import classify
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
from registry.dataplane.settings import Observer

T = TypeVar("T")


class _Watch:
    """One operation: times it, tells the observer, and turns what it raises into a DriverError."""

    __slots__ = ("_begun", "_guard", "_operation")

    def __init__(self, guard: Guard, operation: str) -> None:
        self._guard = guard
        self._operation = operation

    def __enter__(self) -> None:
        self._begun = self._guard.timer()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = self._guard.timer() - self._begun
        if error is None:
            self._guard.observer(self._operation, seconds, "ok")
            return
        # StoreError comes from below only when the store is closed; it is already what the engine raises.
        if isinstance(error, Exception) and not isinstance(error, StoreError | StopAsyncIteration):
            known = classify(self._operation, error)
            self._guard.observer(self._operation, seconds, type(known).__name__)
            if known is not error:
                raise known from error
            return
        self._guard.observer(self._operation, seconds, type(error).__name__)


class GuardedObject:
    """An open object under guard."""

    def __init__(self, inner: OpenObject, guard: Guard) -> None:
        self._inner = inner
        self._guard = guard

    @property
    def size(self) -> int:
        return self._inner.size

    @property
    def fd(self) -> int | None:
        return self._inner.fd

    async def read(self, start: int, length: int) -> bytes:
        async with self._guard.turn:
            with self._guard.watch("read"):
                return await self._inner.read(start, length)

    def close(self) -> None:
        self._inner.close()


class GuardedHold:
    """A hold under guard."""

    def __init__(self, inner: Hold, guard: Guard) -> None:
        self._inner = inner
        self._guard = guard

    @property
    def found(self) -> StageInfo:
        return self._inner.found

    async def write(self, pieces: Pieces) -> None:
        async with self._guard.turn:
            with self._guard.watch("write"):
                await self._inner.write(pieces)

    async def read(self, start: int, length: int) -> bytes:
        async with self._guard.turn:
            with self._guard.watch("read_stage"):
                return await self._inner.read(start, length)

    async def settle(self) -> StageInfo:
        with self._guard.watch("settle"):
            return await self._inner.settle()

    async def commit(self, key: ObjectKey) -> None:
        async with self._guard.turn:
            with self._guard.watch("commit"):
                await self._inner.commit(key)

    async def drop(self) -> None:
        with self._guard.watch("drop"):
            await self._inner.drop()

    async def release(self) -> None:
        await self._inner.release()


class Guard:
    """A `Driver` round a driver. At most `operations` calls that move bytes run at once."""

    def __init__(
        self,
        inner: Driver,
        observer: Observer,
        operations: int,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._inner = inner
        self.observer = observer
        self.timer = timer
        self.turn = asyncio.Semaphore(operations)

    def watch(self, operation: str) -> _Watch:
        return _Watch(self, operation)

    async def put(self, key: ObjectKey, data: bytes) -> bool:
        async with self.turn:
            with self.watch("put"):
                return await self._inner.put(key, data)

    async def size(self, key: ObjectKey) -> int:
        with self.watch("size"):
            return await self._inner.size(key)

    async def open(self, key: ObjectKey) -> OpenObject:
        with self.watch("open"):
            return GuardedObject(await self._inner.open(key), self)

    async def delete(self, key: ObjectKey, permit: str | None = None) -> int:
        async with self.turn:
            with self.watch("delete"):
                return await self._inner.delete(key, permit)

    async def admit(self, permit: str) -> None:
        with self.watch("admit"):
            await self._inner.admit(permit)

    async def set_aside(self, key: ObjectKey, to: ObjectKey) -> None:
        async with self.turn:
            with self.watch("set_aside"):
                await self._inner.set_aside(key, to)

    def objects(self, area: Area, domain: DomainId | None = None) -> AsyncIterator[tuple[ObjectKey, int]]:
        return self._each("objects", self._inner.objects(area, domain))

    async def usage(self) -> Usage:
        with self.watch("usage"):
            return await self._inner.usage()

    async def hold(self, stage: StageKey, offset: int | None = None, first: Pieces = ()) -> Hold:
        async with self.turn:
            with self.watch("hold"):
                return GuardedHold(await self._inner.hold(stage, offset, first), self)

    async def stage(self, stage: StageKey) -> StageInfo:
        with self.watch("stage"):
            return await self._inner.stage(stage)

    def stages(self) -> AsyncIterator[tuple[StageKey, StageInfo]]:
        return self._each("stages", self._inner.stages())

    async def free(self) -> int | None:
        with self.watch("free"):
            return await self._inner.free()

    async def probe(self) -> None:
        with self.watch("probe"):
            await self._inner.probe()

    def close(self) -> None:
        self._inner.close()

    async def _each(self, operation: str, items: AsyncIterator[T]) -> AsyncIterator[T]:
        while True:
            with self.watch(operation):
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    return
            yield item
