"""Bytes that are not right make way for a push, and who deletes has the permit.

Nobody takes bytes that lie where others go for those by their size: they are read first, since a push of what
nobody has found corrupt yet must not be acknowledged and thrown away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.drivers.port import Area, Busy, Corrupt, Driver, Missing, ObjectKey, Permanent
from registry.dataplane.hashing import fault_of
from registry.dataplane.workers import Workers

T = TypeVar("T")

#: Seconds between two tries.
_RETRY = 0.02
#: Times that a put finds wrong bytes where its own go, before that is somebody else's fault.
_TRIES = 4


class Righting:
    """Deleting and moving aside, for one engine.

    Raises DriverErrors, and StoreError UNAVAILABLE when others are in the way for `patience` seconds.
    """

    def __init__(self, driver: Driver, workers: Workers, patience: float) -> None:
        self._driver = driver
        self._workers = workers
        self._patience = patience

    async def delete(self, key: ObjectKey, permit: str | None) -> int:
        """As `Driver.delete`."""
        return await self._patiently(lambda: self._driver.delete(key, permit))

    async def admit(self, permit: str) -> None:
        """As `Driver.admit`."""
        await self._patiently(lambda: self._driver.admit(permit))

    async def is_right(self, key: ObjectKey, size: int | None = None) -> bool:
        """Whether the object is there and what its key says, with `size` bytes where that is known."""
        try:
            blob = await self._driver.open(key)
        except (Missing, Corrupt):
            return False
        try:
            if size is not None and blob.size != size:
                return False
            return await fault_of(self._workers, blob, key.hex) is None
        finally:
            blob.close()

    async def put(self, key: ObjectKey, data: bytes) -> None:
        """As `Driver.put`; what lies there already stays only when it is right."""
        for _ in range(_TRIES):
            if await self._driver.put(key, data) or await self.is_right(key, len(data)):
                return
            await self.set_aside(key)
        raise Permanent("what is held corrupt cannot be moved out of the way")

    async def make_room(self, key: ObjectKey, size: int) -> None:
        """Leave right bytes alone, and move others aside, so that those at hand can be stored."""
        try:
            await self._driver.size(key)
        except Missing:
            return
        if not await self.is_right(key, size):
            await self.set_aside(key)

    async def set_aside(self, key: ObjectKey) -> bool:
        """Quarantine what is not right. True when right bytes are there."""
        with suppress(Missing):
            await self._driver.set_aside(key, key._replace(area=Area.QUARANTINE))
        return await self.is_right(key)

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        for _ in range(int(self._patience / _RETRY)):
            try:
                return await work()
            except Busy:
                await asyncio.sleep(_RETRY)
        try:
            return await work()
        except Busy as error:
            raise StoreError(
                ErrorKind.UNAVAILABLE, f"{error}: try again later", detail={"retry_after": 1}
            ) from error
