"""The hold of a stage in the bucket: bytes gather to segments, which are written one after the other.

A segment is written while the next one gathers. It is written only where nothing is yet, so another replica
that goes on with the same stage at the same time is noticed at the first segment: one of the two is Busy.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from registry.dataplane.drivers.port import Busy, ObjectKey, Pieces, StageInfo, StageKey
from registry.dataplane.drivers.s3.bodies import Gathered, body_of
from registry.dataplane.drivers.s3.bucket import Bucket
from registry.dataplane.drivers.s3.buffers import Buffers
from registry.dataplane.drivers.s3.keys import Keys
from registry.dataplane.drivers.s3.reading import ChainReader
from registry.dataplane.drivers.s3.segments import Chain
from registry.dataplane.drivers.s3.trouble import ConditionError
from registry.dataplane.drivers.s3.values import Body
from registry.dataplane.hashing import INLINE
from registry.dataplane.workers import Workers, uninterrupted

T = TypeVar("T")


class S3Hold:
    """One hold. `completed` makes the chain an object, `dropped` deletes the stage, `released` ends it."""

    def __init__(
        self,
        stage: StageKey,
        chain: Chain,
        *,
        bucket: Bucket,
        keys: Keys,
        buffers: Buffers,
        workers: Workers,
        conditional: bool,
        completed: Callable[[Chain, ObjectKey], Coroutine[Any, Any, None]],
        dropped: Callable[[], Coroutine[Any, Any, None]],
        released: Callable[[], None],
    ) -> None:
        self._stage = stage
        self._chain = chain
        self._bucket = bucket
        self._keys = keys
        self._buffers = buffers
        self._workers = workers
        self._conditional = conditional
        self._completed = completed
        self._dropped = dropped
        self._released: Callable[[], None] | None = released
        self._writer = uuid.uuid4().hex
        self._gathering = Gathered()
        self._adding = False
        self._flying = 0
        self._writing: asyncio.Task[None] | None = None
        self._error: Exception | None = None
        self._reader: ChainReader | None = None
        self.found = chain.info()

    # --- writing ---------------------------------------------------------------------------------------

    @property
    def gathered(self) -> int:
        return self._gathering.size

    @property
    def present(self) -> StageInfo:
        """The stage with what this hold has taken so far, written or not."""
        length = self._chain.length + self._flying + self.gathered
        return StageInfo(length, _now(), f"{self._writer}:{length}")

    async def write(self, pieces: Pieces) -> None:
        self._check()
        size = sum(len(piece) for piece in pieces)
        self._buffers.join(self)
        await self._buffers.take(self, size)
        before = self.gathered
        self._adding = True
        try:
            if size <= INLINE:
                self._gathering.add(pieces)
            else:
                await self._workers.run(lambda: self._gathering.add(pieces))
        finally:
            self._adding = False
            # Nothing, unless it failed. It may be long until this upload comes again, and others may wait.
            self._buffers.give(size - (self.gathered - before))
        self._check()
        if self.gathered >= self._buffers.segment:
            await self._landed()
            self.press()

    def press(self) -> None:
        if self._flying or self._adding or self._error is not None or not self.gathered:
            return
        gathered, self._gathering = self._gathering, Gathered()
        self._flying = gathered.size
        self._buffers.fly(gathered.size)
        self._writing = asyncio.create_task(self._send(gathered))

    async def settle(self) -> StageInfo:
        await self._flush()
        if not self._chain.touched:
            await whole(self._bucket.put(self._keys.empty(self._stage), body_of(b"")))
            self._chain.touched = _now()
        return self._chain.info()

    async def _flush(self) -> None:
        await self._landed()
        self.press()
        await self._landed()

    async def _landed(self) -> None:
        if self._writing is not None:
            await uninterrupted(self._writing)
        self._check()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    async def _send(self, gathered: Gathered) -> None:
        key, size = self._keys.segment(self._stage, self._chain.length), gathered.size
        try:
            self._chain.add(key, size, await self._put(key, gathered.body()), _now())
        except Exception as error:
            self._error = error
        finally:
            gathered.release()
            self._flying = 0
            self._buffers.land(size)

    async def _put(self, key: str, body: Body) -> str:
        try:
            return await self._bucket.put(key, body, exclusive=self._conditional, writer=self._writer)
        except ConditionError:
            # Ours, when the answer to the first try was lost.
            head = await self._bucket.head(key)
            if head is None or head.writer != self._writer or head.size != body.size:
                raise Busy("another replica writes to this upload") from None
            return head.etag

    # --- reading, and the end --------------------------------------------------------------------------

    async def read(self, start: int, length: int) -> bytes:
        await self._flush()
        if self._reader is None:
            self._reader = ChainReader(self._bucket, self._chain)
        return await self._reader.read(start, length)

    async def commit(self, key: ObjectKey) -> None:
        await self._flush()
        await whole(self._completed(self._chain, key))

    async def drop(self) -> None:
        if self._writing is not None:
            await uninterrupted(self._writing)
        self._forget()
        await whole(self._dropped())

    async def release(self) -> None:
        released, self._released = self._released, None
        if released is None:
            return
        if self._reader is not None:
            self._reader.close()
        self._forget()
        self._buffers.leave(self)
        if self._writing is None or self._writing.done():
            released()
        else:  # the stage is held until the bucket has answered
            self._writing.add_done_callback(lambda _: released())

    def _forget(self) -> None:
        """What was not settled is nobody's."""
        self._buffers.give(self.gathered)
        self._gathering.release()
        self._gathering = Gathered()


async def whole(work: Coroutine[Any, Any, T]) -> T:
    """Do `work` to its end although the waiting task is cancelled."""
    return await uninterrupted(asyncio.ensure_future(work))


def _now() -> int:
    return time.time_ns() // 1000
