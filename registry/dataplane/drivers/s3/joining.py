"""From segments to one object: parts are copied inside the store where its rules allow, else sent again.

S3 takes parts of 5 MiB and more, the last may be smaller. Segments that large are copied whole. A smaller one
(the end of a PATCH, or memory was short) is read and sent together with the beginning of what follows, and
what remains of that is copied. So an odd PATCH costs at most some 10 MiB through this process.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import pairwise

from registry.dataplane.drivers.port import LARGEST_PIECE, Busy, Corrupt, DriverError, Missing, Transient
from registry.dataplane.drivers.s3.bodies import Gathered, body_of
from registry.dataplane.drivers.s3.bucket import Bucket
from registry.dataplane.drivers.s3.buffers import Buffers
from registry.dataplane.drivers.s3.reading import S3Object
from registry.dataplane.drivers.s3.trouble import ConditionError, NotThereError, UploadGoneError
from registry.dataplane.drivers.s3.values import Source
from registry.dataplane.workers import Workers


@dataclass(frozen=True, slots=True)
class Rules:
    """What the store takes. `parts` is how many parts an object may have; sizes are in bytes."""

    least_part: int = 5 << 20
    parts: int = 10_000
    copied: int = 256 << 20
    """Most that one request copies: services that answer only when they are done must not seem dead."""

    at_once: int = 8
    """Parts that one completion has under way."""


RULES = Rules()


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an object: `copied` inside the store from its one piece, else sent from its pieces."""

    pieces: tuple[Source, ...]
    copied: bool

    @property
    def length(self) -> int:
        return sum(piece.length for piece in self.pieces)


def plan(sources: Sequence[Source], rules: Rules = RULES) -> list[Part]:
    """The parts that make one object of `sources`; all but the last have `least_part` bytes at least."""
    parts: list[Part] = []
    small: list[Source] = []
    for whole in sources:
        source = whole
        held = sum(piece.length for piece in small)
        if small:
            needed = rules.least_part - held
            taken = needed if source.length - needed >= rules.least_part else source.length
            small.append(source._replace(end=source.start + taken))
            if held + taken >= rules.least_part:
                parts.append(Part(tuple(small), copied=False))
                small = []
            source = source._replace(start=source.start + taken)
        if source.length >= rules.least_part:
            parts += _copies(source, rules)
        elif source.length:
            small.append(source)
    if len(small) == 1:
        parts.append(Part(tuple(small), copied=True))
    elif small:
        parts.append(Part(tuple(small), copied=False))
    return parts


def _copies(source: Source, rules: Rules) -> list[Part]:
    count = -(-source.length // rules.copied)
    bounds = [source.start + source.length * n // count for n in range(count + 1)]
    return [Part((source._replace(start=start, end=end),), copied=True) for start, end in pairwise(bounds)]


class Joiner:
    """Makes objects of segments, in memory that `buffers` grants."""

    def __init__(self, bucket: Bucket, buffers: Buffers, workers: Workers, rules: Rules = RULES) -> None:
        self._bucket = bucket
        self._buffers = buffers
        self._workers = workers
        self._rules = rules

    async def join(
        self, sources: Sequence[Source], key: str, between: Callable[[int], str], *, exclusive: bool
    ) -> None:
        """Make the object `key` of `sources`. `between` names objects that are only made on the way.

        `exclusive` leaves an object that somebody made meanwhile, when it has that size. Raises Busy when a
        source is no longer what it was.
        """
        size = sum(source.length for source in sources)
        try:
            parts = plan(sources, self._rules)
            if len(parts) > self._rules.parts:
                parts = plan(await self._fewer(parts, between), self._rules)
            await self._make(parts, key, exclusive=exclusive)
        except ConditionError:
            if await self._is_there(key, size):
                return
            if not exclusive:
                raise Busy("the upload was changed while it was completed") from None
            await self.join(sources, key, between, exclusive=False)
            return
        except (NotThereError, Missing, Corrupt):
            if not await self._is_there(key, size):
                raise Busy("the upload was completed or dropped by another request") from None
            return
        if not await self._is_there(key, size):
            raise Transient("the object store does not show what it has just put together")

    async def _fewer(self, parts: list[Part], between: Callable[[int], str]) -> list[Source]:
        """Objects that hold what the parts do, each made of as many parts as the store takes."""
        made = []
        for number, first in enumerate(range(0, len(parts), self._rules.parts)):
            group = parts[first : first + self._rules.parts]
            await self._make(group, between(number), exclusive=False)
            head = await self._bucket.head(between(number))
            if head is None:
                raise Transient("the object store does not show what it has just put together")
            made.append(Source(between(number), head.etag, head.size, 0, head.size))
        return made

    async def _make(self, parts: list[Part], key: str, *, exclusive: bool) -> None:
        if not parts:
            await self._bucket.put(key, body_of(b""), exclusive=exclusive, kept=True)
        elif len(parts) == 1 and not parts[0].copied:
            await self._send_whole(parts[0], key, exclusive=exclusive)
        elif len(parts) == 1 and parts[0].length == parts[0].pieces[0].size:
            await self._bucket.copy(parts[0].pieces[0], key, exclusive=exclusive)
        else:
            await self._make_of_many(parts, key, exclusive=exclusive)

    async def _make_of_many(self, parts: list[Part], key: str, *, exclusive: bool) -> None:
        upload = await self._bucket.begin(key)
        turn = asyncio.Semaphore(self._rules.at_once)

        async def one(number: int, part: Part) -> str:
            async with turn:
                if part.copied:
                    return await self._bucket.copy_part(key, upload, number, part.pieces[0])
                return await self._send_part(part, key, upload, number)

        try:
            async with asyncio.TaskGroup() as group:
                made = [group.create_task(one(number, part)) for number, part in enumerate(parts, 1)]
            with suppress(UploadGoneError):  # an answer was lost, and the next try found it complete
                await self._bucket.complete(
                    key, upload, [task.result() for task in made], exclusive=exclusive
                )
        except BaseException as error:
            with suppress(UploadGoneError, DriverError):  # what stays is reaped
                await self._bucket.abort(key, upload)
            if isinstance(error, ExceptionGroup):
                raise error.exceptions[0] from error
            raise

    async def _send_whole(self, part: Part, key: str, *, exclusive: bool) -> None:
        async with self._gathered(part) as gathered:
            await self._bucket.put(key, gathered.body(), exclusive=exclusive, kept=True)

    async def _send_part(self, part: Part, key: str, upload: str, number: int) -> str:
        async with self._gathered(part) as gathered:
            body = gathered.body()
            md5 = await self._workers.run(lambda: _md5(body.data))
            return await self._bucket.upload_part(key, upload, number, body, md5)

    @asynccontextmanager
    async def _gathered(self, part: Part) -> AsyncIterator[Gathered]:
        """The bytes of a part, in memory while they are used."""
        await self._buffers.take(None, part.length)
        gathered = Gathered()
        try:
            for piece in part.pieces:
                await self._read(piece, gathered)
            yield gathered
        finally:
            gathered.release()
            self._buffers.give(part.length)

    async def _read(self, piece: Source, gathered: Gathered) -> None:
        source = S3Object(self._bucket, piece.key, piece.size, piece.etag)
        try:
            for start in range(piece.start, piece.end, LARGEST_PIECE):
                data = await source.read(start, min(LARGEST_PIECE, piece.end - start))
                await self._workers.run(partial(gathered.add, [data]))
        finally:
            source.close()

    async def _is_there(self, key: str, size: int) -> bool:
        head = await self._bucket.head(key)
        return head is not None and head.size == size


def _md5(data: BytesIO) -> str:
    with data.getbuffer() as buffer:
        return base64.b64encode(hashlib.md5(buffer, usedforsecurity=False).digest()).decode()
