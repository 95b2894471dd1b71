"""Packs round a local driver: one `Driver` that keeps tiny objects in the log, others loose until packed.

Of an object that is both loose and in a pack (packing has not yet come to delete the file, or a push healed
what the pack held) either may be read. Deleting takes the loose file first: packing adds an object to the
index only while its file is there, so that nothing comes back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

from registry.contract.dataplane import DomainId
from registry.dataplane.drivers.local import LocalDriver
from registry.dataplane.drivers.port import (
    Area,
    Hold,
    Missing,
    ObjectKey,
    OpenObject,
    Pieces,
    StageInfo,
    StageKey,
    Usage,
)
from registry.dataplane.index.port import Place
from registry.dataplane.packs.jobs import Jobs
from registry.dataplane.packs.store import Packs

#: Objects listed from the index at a time: what is done with them keeps the loop a millisecond or two.
_PAGE = 200


class PackedHold:
    """A hold whose commit knows about packs."""

    def __init__(self, inner: Hold, driver: PackedDriver, first: Pieces) -> None:
        self._inner = inner
        self._driver = driver
        self._length = inner.found.length + sum(len(piece) for piece in first)

    @property
    def found(self) -> StageInfo:
        return self._inner.found

    async def write(self, pieces: Pieces) -> None:
        await self._inner.write(pieces)
        self._length += sum(len(piece) for piece in pieces)

    async def read(self, start: int, length: int) -> bytes:
        return await self._inner.read(start, length)

    async def settle(self) -> StageInfo:
        return await self._inner.settle()

    async def commit(self, key: ObjectKey) -> None:
        if await self._driver.holds(key, self._length):
            await self._inner.drop()
        elif self._driver.is_tiny(key, self._length):
            await self._driver.put(key, await self._inner.read(0, self._length))
            await self._inner.drop()
        else:
            await self._inner.commit(key)

    async def drop(self) -> None:
        await self._inner.drop()

    async def release(self) -> None:
        await self._inner.release()


class PackedDriver:
    """A `Driver`; owns what it is made of and closes it."""

    def __init__(self, inner: LocalDriver, packs: Packs, jobs: Jobs) -> None:
        self._inner = inner
        self._packs = packs
        self.jobs = jobs

    def is_tiny(self, key: ObjectKey, size: int) -> bool:
        """Whether an object of `size` bytes goes to the log."""
        return key.area is Area.CONTENT and size <= self._packs.settings.tiny_bytes

    async def holds(self, key: ObjectKey, size: int) -> bool:
        """Whether a pack holds the object, durably and at this size."""
        if key.area is not Area.CONTENT:
            return False
        place = self._packs.find(key.domain, bytes.fromhex(key.hex))
        return place is not None and place.raw == size

    # --- objects ---------------------------------------------------------------------------------------

    async def put(self, key: ObjectKey, data: bytes) -> bool:
        if self._place(key) is not None:
            return False
        if not self.is_tiny(key, len(data)) or await self._is_loose(key):
            return await self._inner.put(key, data)
        return await self._packs.put(key.domain, bytes.fromhex(key.hex), data)

    async def _is_loose(self, key: ObjectKey) -> bool:
        try:
            await self._inner.size(key)
        except Missing:
            return False
        return True

    async def size(self, key: ObjectKey) -> int:
        place = self._place(key)
        if place is not None:
            return place.raw
        try:
            return await self._inner.size(key)
        except Missing:
            place = self._place(key)  # packed just now?
            if place is None:
                raise
            return place.raw

    async def open(self, key: ObjectKey) -> OpenObject:
        opened = await self._packed(key)
        if opened is not None:
            return opened
        try:
            return await self._inner.open(key)
        except Missing:
            opened = await self._packed(key)  # packed just now?
            if opened is None:
                raise
            return opened

    async def delete(self, key: ObjectKey, permit: str | None = None) -> int:
        with self._inner.taking.by(permit):
            return await self._delete(key)

    async def _delete(self, key: ObjectKey) -> int:
        if key.area is not Area.CONTENT:
            return await self._inner.delete(key)
        loose = absent = None
        try:
            loose = await self._inner.delete(key)
        except Missing as error:
            absent = error
        packed = await self._packs.remove(key.domain, bytes.fromhex(key.hex))
        if absent is not None and packed is None:
            raise absent
        return (loose or 0) + (packed or 0)

    async def admit(self, permit: str) -> None:
        await self._inner.admit(permit)

    async def set_aside(self, key: ObjectKey, to: ObjectKey) -> None:
        remains = await self._packs.give_up(key.domain, bytes.fromhex(key.hex))
        if remains:
            with suppress(Missing):
                await self._inner.delete(to)
            await self._inner.put(to, remains)
        try:
            await self._inner.set_aside(key, to)
        except Missing:
            if remains is None:
                raise

    async def objects(
        self, area: Area, domain: DomainId | None = None
    ) -> AsyncIterator[tuple[ObjectKey, int]]:
        """Loose ones first: what moves to a pack meanwhile is met there again rather than missed."""
        async for key, size in self._inner.objects(area, domain):
            if self._place(key) is None:
                yield key, size
        if area is Area.CONTENT:
            after = None
            while page := await self._packs.objects(domain, after, _PAGE):
                for found in page:
                    yield ObjectKey(area, found.domain, found.address.hex()), found.raw
                after = (page[-1].domain, page[-1].address)

    async def usage(self) -> Usage:
        content = objects = 0
        async for key, size in self._inner.objects(Area.CONTENT):
            content += size
            objects += self._place(key) is None
        packed, live, dead = await self._packs.totals()
        return Usage(content + live, objects + packed, dead)

    # --- all else --------------------------------------------------------------------------------------

    async def hold(self, stage: StageKey, offset: int | None = None, first: Pieces = ()) -> Hold:
        return PackedHold(await self._inner.hold(stage, offset, first), self, first)

    async def stage(self, stage: StageKey) -> StageInfo:
        return await self._inner.stage(stage)

    def stages(self) -> AsyncIterator[tuple[StageKey, StageInfo]]:
        return self._inner.stages()

    async def free(self) -> int | None:
        return await self._inner.free()

    async def probe(self) -> None:
        await self._inner.probe()

    def close(self) -> None:
        self.jobs.close()
        self._packs.close()
        self._inner.close()

    async def _packed(self, key: ObjectKey) -> OpenObject | None:
        if key.area is not Area.CONTENT:
            return None
        return await self._packs.open(key.domain, bytes.fromhex(key.hex))

    def _place(self, key: ObjectKey) -> Place | None:
        return self._packs.find(key.domain, bytes.fromhex(key.hex)) if key.area is Area.CONTENT else None
