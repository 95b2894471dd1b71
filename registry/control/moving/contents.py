"""The bytes that a stretch of the ledger names, brought to the target before the ledger itself."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from registry.contract.dataplane import DataPlane, DomainId
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.events import ContentHealed, ContentStored, Entry
from registry.control import copying, healing
from registry.control.cache import ByteCache
from registry.control.core import Core
from registry.control.moving.passing import ROOM, Arrived, Passing
from registry.control.pacing import Pace
from registry.control.sql import lookups
from registry.control.sql.lookups import AWAY, PRESENT, BlobRow

T = TypeVar("T")

#: Seconds between two tries of what a passing trouble has stopped: doubled up to the second.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0

#: Faults that are told one by one; of more there is the number.
_TOLD = 1000

#: What reading says of bytes that are not what their address says, or not there.
_BAD = frozenset({ErrorKind.CONTENT_UNKNOWN, ErrorKind.DIGEST_MISMATCH, ErrorKind.ERASED})

#: States of content that has bytes somewhere.
_TO_BE_HAD = frozenset({PRESENT, AWAY})

#: How often content is tried whose bytes are right when looked at: somebody has healed it just now.
_LOOKS = 3


@dataclass(slots=True)
class Moved:
    """What was done: `contents` with `bytes` brought, `kept` that were there, `events` of the ledger.

    `head` is the last event that the target has. `faulty` contents could not be had from the source, and
    `faults` has a sentence for each of the first. `differing` views are not alike. `uploads` are open
    sessions, which stay behind. `switched` says that the target is the store from now on; for that writers
    waited for `waited` seconds.
    """

    contents: int = 0
    bytes: int = 0
    kept: int = 0
    events: int = 0
    head: int = 0
    faulty: int = 0
    faults: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    uploads: int = 0
    switched: bool = False
    waited: float = 0.0

    def fault(self, message: str) -> None:
        self.faulty += 1
        if len(self.faults) < _TOLD:
            self.faults.append(message)


@dataclass(frozen=True, slots=True)
class Care:
    """How a move is done.

    `parallel` contents are copied at a time, `rate` bytes a second, None for as fast as it goes. A passing
    trouble may last for `patience` seconds, and writers of the source may wait for `wait`, as far as the last
    pass tells.
    """

    parallel: int = 16
    rate: int | None = None
    patience: float = 300.0
    wait: float = 10.0


async def patiently(attempt: Callable[[], Awaitable[T]], patience: float) -> T:
    """Again and again while it is UNAVAILABLE, for `patience` seconds."""
    until, pause = time.monotonic() + patience, _FIRST_PAUSE
    while True:
        try:
            return await attempt()
        except StoreError as error:
            if error.kind is not ErrorKind.UNAVAILABLE or time.monotonic() + pause > until:
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


class Contents:
    """Brings content from the store of `source` to `target`, for the move called `move`.

    What the source cannot give is put down in its ledger as missing, as its scrub would do, so that the
    target comes to know it as well.
    """

    def __init__(
        self,
        source: Core,
        target: DataPlane,
        move: str,
        care: Care,
        done: Moved,
        progress: Callable[[Moved], None],
    ) -> None:
        self._source = source
        self._target = target
        self._move = uuid.UUID(move)
        cache = ByteCache(ROOM)
        self._origin = Passing(source.dataplane, cache)
        #: Reads what has come.
        self.arrived = Arrived(target, cache)
        self._pace = Pace(care.rate) if care.rate else None
        self._turn = asyncio.Semaphore(care.parallel)
        self._done = done
        self._progress = progress
        #: Whether a process before this one may have brought some of what comes next.
        self._again = True
        self._patience = care.patience
        self._hurried = False

    def hurry(self, patience: float) -> None:
        """The source's writers wait from now on: its ledger cannot take what is found missing."""
        self._hurried, self._patience = True, patience

    async def bring(self, entries: Sequence[Entry]) -> None:
        """All that `entries` say has come and that the source still has."""
        named = dict.fromkeys(
            (entry.event.domain, entry.event.blake3)
            for entry in entries
            if isinstance(entry.event, ContentStored | ContentHealed)
        )
        alive = [blob for blob in await self._known(list(named)) if blob.state in _TO_BE_HAD]
        tasks = [asyncio.create_task(self._one(content)) for content in alive]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._again = False

    async def _known(self, named: Sequence[tuple[DomainId, Digest]]) -> list[BlobRow]:
        """Those of them that the source has."""
        read = partial(lookups.find_blobs, keys=named)
        return await patiently(lambda: self._source.database.read(read), self._patience)

    async def _one(self, blob: BlobRow) -> None:
        async with self._turn:
            if self._pace is not None:
                await self._pace.spend(blob.size)
            for _ in range(_LOOKS):
                if await patiently(lambda: self._settle(blob), self._patience):
                    break
            else:
                self._done.fault(f"{blob.address} reads as right and cannot be copied: run fsck there")
            self._progress(self._done)

    async def _settle(self, blob: BlobRow) -> bool:
        """Copy it, or find out why not. False when it is to be tried again."""
        place = blob.domain, blob.address, blob.size
        if self._again and await copying.holds(self._target, *place):
            self._done.kept += 1
            return True
        stage = str(uuid.uuid5(self._move, f"{blob.domain}/{blob.address}"))
        try:
            await copying.copy(self._origin, self._target, *place, stage)
        except StoreError as error:
            if error.kind is ErrorKind.RESTORE_REQUIRED:
                self._done.fault(f"{blob.address} is not at hand: ask for its restore first")
                return True
            if error.kind not in _BAD:
                raise
            return await self._is_lost(blob)
        self._done.contents += 1
        self._done.bytes += blob.size
        return True

    async def _is_lost(self, blob: BlobRow) -> bool:
        """Whether the source cannot give it, which is a fault where it should."""
        now = await self._known([(blob.domain, blob.address)])
        if not now or now[0].id != blob.id or now[0].state not in _TO_BE_HAD:
            return True  # it has let it go meanwhile
        fault = await healing.examine(self._source, blob.domain, blob.address)
        if fault is None:
            return False
        if not self._hurried and await healing.repair(self._source, blob.domain, blob.address, fault):
            return False
        self._done.fault(f"{blob.address}: {fault}")
        return True
