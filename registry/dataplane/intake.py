"""How bodies come in: gathered to batches, written while the next gathers, under one budget for all.

Starvation is ruled out like this. A body may wait only for the budget, the budget is only ever used by bytes
that are gathered or being written, and whoever exceeds it makes *every* intake write what it has gathered.
So a slow client's bytes do not sit in memory while others wait, and waiting ends when those writes end.
Memory is at most the budget and one received chunk for each upload.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from registry.dataplane.drivers.port import Piece
from registry.dataplane.workers import uninterrupted

#: Chunks smaller than this (bytes) are copied together: as objects they would weigh more than their bytes.
SMALL = 4 << 10
#: Size (bytes) at which such a copy counts as one piece.
GATHERED = 64 << 10
#: No batch is made smaller than this (bytes) by many uploads sharing the budget.
LEAST_BATCH = 64 << 10


class Budget:
    """Bytes of bodies held by the process. `high_water` is the most there ever were."""

    def __init__(self, total: int, batch: int) -> None:
        self._total = total
        self._batch = batch
        self._intakes: set[Intake] = set()
        self._room = asyncio.Event()
        self._room.set()
        self.held = 0
        self.high_water = 0

    @property
    def batch(self) -> int:
        """Bytes to gather before a write: all intakes gathering and writing should need half the budget."""
        fair = self._total // (4 * max(1, len(self._intakes)))
        return min(self._batch, max(LEAST_BATCH, fair))

    @property
    def exceeded(self) -> bool:
        return self.held > self._total

    def join(self, intake: Intake) -> None:
        self._intakes.add(intake)

    def leave(self, intake: Intake) -> None:
        self._intakes.discard(intake)

    def take(self, size: int) -> None:
        """Account for bytes that have arrived. Beyond the total, everybody writes what they have."""
        self.held += size
        self.high_water = max(self.high_water, self.held)
        if self.exceeded:
            self._room.clear()
            for intake in self._intakes:
                intake.press()

    def give(self, size: int) -> None:
        self.held -= size
        if not self.exceeded:
            self._room.set()

    async def room(self) -> None:
        """Wait until the budget is no longer exceeded."""
        while self.exceeded:
            await self._room.wait()


class Intake:
    """One body on its way in. `store` writes and hashes a batch; only one call of it runs at a time."""

    def __init__(self, budget: Budget, store: Callable[[list[Piece]], Awaitable[None]]) -> None:
        self._budget = budget
        self._store = store
        self._pieces: list[Piece] = []
        self._tail = bytearray()
        self._gathered = 0
        self._writing: asyncio.Task[None] | None = None
        budget.join(self)

    async def add(self, chunk: Piece) -> None:
        """Take a chunk of any size; waits when medium or budget cannot follow. Raises what `store` raises."""
        self._budget.take(len(chunk))
        view = memoryview(chunk)
        position = 0
        try:
            while position < len(view):
                room = max(1, self._budget.batch - self._gathered)
                piece = chunk if position == 0 and len(view) <= room else view[position : position + room]
                self._gather(piece)
                position += len(piece)
                if self._gathered >= self._budget.batch:
                    await self._turn()
        except BaseException:
            self._budget.give(len(view) - position)
            raise
        if self._budget.exceeded:
            self.press()
            await self._budget.room()

    def press(self) -> None:
        """Begin to write what is gathered, unless a write is under way (which then goes on with it)."""
        if self._gathered and (self._writing is None or (self._writing.done() and not self._failed)):
            self._writing = asyncio.create_task(self._write(*self._batch()))

    async def finish(self) -> None:
        """Write the rest. Raises what `store` raises."""
        try:
            await self._turn()
            await self._turn()
        finally:
            self._budget.give(self._gathered)  # what a failed medium never took
            self._gathered = 0
            self._budget.leave(self)

    @property
    def _failed(self) -> bool:
        task = self._writing
        return task is not None and task.done() and task.exception() is not None

    def _gather(self, piece: Piece) -> None:
        self._gathered += len(piece)
        if len(piece) < SMALL:
            self._tail += piece
            if len(self._tail) < GATHERED:
                return
            piece = b""
        if self._tail:
            self._pieces.append(self._tail)
            self._tail = bytearray()
        if piece:
            self._pieces.append(piece)

    async def _turn(self) -> None:
        """Wait for the write under way, then begin the next."""
        if self._writing is not None:
            await uninterrupted(self._writing)
        self.press()

    def _batch(self) -> tuple[list[Piece], int]:
        """Hand over what is gathered. Done when a write begins, so that gathering goes on from nothing."""
        pieces, size = self._pieces, self._gathered
        if self._tail:
            pieces.append(self._tail)
        self._pieces, self._tail, self._gathered = [], bytearray(), 0
        return pieces, size

    async def _write(self, pieces: list[Piece], size: int) -> None:
        while True:
            try:
                await self._store(pieces)
            finally:
                self._budget.give(size)
            if not (self._gathered and self._budget.exceeded):
                return
            pieces, size = self._batch()
