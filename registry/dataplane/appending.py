"""One append, from the first chunk of the body to the settled stage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable

from registry.contract.digest import ALWAYS, Algorithm, MultiHasher
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.drivers.port import Hold, Piece, StageKey
from registry.dataplane.hashing import INLINE, RunningHashes, absorb
from registry.dataplane.intake import Budget, Intake
from registry.dataplane.workers import Workers, uninterrupted

TakeHold = Callable[[StageKey, int | None, list[Piece]], Awaitable[Hold]]


class Appending:
    """Writes and hashes the batches of one body.

    The hold is taken with the first batch, so that a small body costs one thread hop.
    """

    def __init__(
        self,
        stage: StageKey,
        announced: Algorithm | None,
        offset: int,
        *,
        workers: Workers,
        budget: Budget,
        running: RunningHashes,
        take_hold: TakeHold,
    ) -> None:
        self._stage = stage
        self._algorithms = (*ALWAYS, announced) if announced is not None else ALWAYS
        self._offset = offset
        self._workers = workers
        self._running = running
        self._take_hold = take_hold
        self._intake = Intake(budget, self._store)
        self._hold: Hold | None = None
        self._hasher: MultiHasher | None = None
        self._length = offset

    async def run(self, body: AsyncIterable[bytes], limit: int | None) -> int:
        """Take the whole body and return the stage's new length. What arrived stays, whatever is raised."""
        try:
            await self._receive(body, limit)
            if self._length == self._offset == 0:  # an empty first body makes an empty stage
                self._hold = await self._take_hold(self._stage, 0, [])
        finally:
            await uninterrupted(asyncio.ensure_future(self._end()))
        return self._length

    async def _receive(self, body: AsyncIterable[bytes], limit: int | None) -> None:
        async for chunk in body:
            if limit is not None and self._length + len(chunk) > limit:
                await self._add(chunk[: max(0, limit - self._length)])
                raise StoreError(ErrorKind.TOO_LARGE, f"the upload may not exceed {limit} bytes")
            await self._add(chunk)

    async def _add(self, chunk: bytes) -> None:
        self._length += len(chunk)
        await self._intake.add(chunk)

    async def _end(self) -> None:
        try:
            await self._intake.finish()
        finally:
            await self._settle()

    async def _settle(self) -> None:
        if self._hold is None:
            return
        try:
            settled = await self._hold.settle()
            if self._hasher is not None:
                self._running.keep(self._stage, settled.revision, self._hasher)
        finally:
            await self._hold.release()

    async def _store(self, pieces: list[Piece]) -> None:
        hasher, self._hasher = self._hasher, None  # after an error they no longer say what the stage holds
        if self._hold is None:
            self._hold = await self._take_hold(self._stage, self._offset, pieces)
            hasher = self._running.take(self._stage, self._hold.found.revision)
            if self._offset == 0:
                hasher = MultiHasher(self._algorithms)
            await self._absorb(hasher, pieces)
        elif sum(len(piece) for piece in pieces) <= INLINE:
            await self._hold.write(pieces)
            await self._absorb(hasher, pieces)
        else:
            outcomes = await asyncio.gather(
                self._hold.write(pieces), self._absorb(hasher, pieces), return_exceptions=True
            )
            for outcome in outcomes:
                if outcome is not None:
                    raise outcome
        self._hasher = hasher

    async def _absorb(self, hasher: MultiHasher | None, pieces: list[Piece]) -> None:
        if hasher is not None:
            await absorb(self._workers, hasher, pieces)
