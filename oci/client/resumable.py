"""The loop of one large upload, whatever the API: send, and after anything that breaks, ask and go on.

After a break the registry is asked where the session stands, and the upload continues from there; the journal
lets a later run do the same. Waits grow while nothing moves, and start again small when something did.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from oci.client.backoff import Backoff
from oci.client.errors import ClientError, NotFoundError, ResponseError
from oci.client.journal import Entry
from oci.client.progress import Progress
from oci.client.source import Source
from oci.client.transport import Body

#: What a break can cost at most, with registries that drop a chunk that did not arrive whole.
_CHUNK = 64 * 1024 * 1024

#: Answers to the last step that say: the bytes I have are not what you announced.
_CONTENT_REFUSED = frozenset({400, 413, 422})

#: The session is lost (404), in use (409) or stands elsewhere (409, 416): worth asking for its state.
_WORTH_ASKING = frozenset({404, 409, 416})


@dataclass(frozen=True, slots=True)
class Place:
    """A session: where it is, how many bytes it has, and the least that a chunk may be (bytes)."""

    location: str
    offset: int = 0
    smallest_chunk: int = 0


class Wire(Protocol):
    """How an API spells the steps of one blob's upload. All raise ClientError."""

    async def begin(self) -> Place:
        """Open a session."""
        ...

    async def status(self, location: str) -> Place:
        """Where the session stands. Raises NotFoundError when it is no more."""
        ...

    async def append(self, location: str, start: int, body: Body) -> str:
        """Send `body` as the bytes from `start`, once; the session's location from now on."""
        ...

    async def finish(self, location: str) -> None:
        """Turn the session into the blob, once."""
        ...

    async def cancel(self, location: str) -> None:
        """Drop the session."""
        ...

    async def is_there(self) -> bool:
        """Has the registry the blob by now?"""
        ...


class ResumableUpload:
    """One blob's upload. `run` once."""

    def __init__(
        self, wire: Wire, source: Source, *, entry: Entry, backoff: Backoff, progress: Progress
    ) -> None:
        self._wire = wire
        self._source = source
        self._entry = entry
        self._backoff = backoff
        self._progress = progress
        self._place = Place("")
        self._sent = 0
        self._fault: ClientError | None = None

    async def run(self) -> None:
        """Bring the blob there. Raises ClientError; the session then stays in the journal for a later run,
        unless the registry refused the content itself."""
        resumed = await self._open()
        failures, furthest = 0, self._place.offset
        while True:
            try:
                await self._send()
                await self._wire.finish(self._place.location)
                break
            except ClientError as error:
                if self._fault is not None:
                    raise self._fault from None
                complete = self._place.offset == self._source.size
                if complete and isinstance(error, ResponseError) and error.status in _CONTENT_REFUSED:
                    await self._abandon()
                    if not resumed:
                        raise
                    # Bytes of an earlier run may be to blame: once more, all of them.
                    resumed = False
                    await self._fresh()
                    continue
                if isinstance(error, ResponseError) and error.status in _WORTH_ASKING:
                    error.transient = True
                failures += 1
                await self._backoff.wait(failures, error)
                if complete and await self._wire.is_there():
                    break  # the last request had arrived, its answer had not
            await self._ask()
            if self._place.offset > furthest:
                failures, furthest = 0, self._place.offset
        self._entry.forget()

    async def _open(self) -> bool:
        """Take up the session of an earlier run where it still lives (True), else a fresh one."""
        if self._entry.location is not None:
            try:
                place = await self._wire.status(self._entry.location)
            except ResponseError as error:
                if error.transient:
                    raise
            else:
                if place.offset <= self._source.size:
                    self._move(place)
                    return True
        await self._fresh()
        return False

    async def _fresh(self) -> None:
        self._move(await self._wire.begin())

    async def _ask(self) -> None:
        try:
            place = await self._wire.status(self._place.location)
        except NotFoundError:
            await self._fresh()
            return
        if place.offset > self._source.size:
            await self._abandon()
            await self._fresh()
            return
        self._move(place)

    def _move(self, place: Place) -> None:
        smallest = max(place.smallest_chunk, self._place.smallest_chunk)
        self._place = Place(place.location, place.offset, smallest)
        self._entry.save(place.location)
        self._count(place.offset)

    def _count(self, position: int) -> None:
        self._progress.advance(position - self._sent)
        self._sent = position

    async def _send(self) -> None:
        while self._place.offset < self._source.size:
            start = self._place.offset
            length = min(max(_CHUNK, self._place.smallest_chunk), self._source.size - start)
            body = Body(lambda: self._pieces(start, length), length)  # noqa: B023 - sent before they change
            location = await self._wire.append(self._place.location, start, body)
            self._move(Place(location, start + length))

    async def _pieces(self, start: int, length: int) -> AsyncIterator[bytes]:
        self._count(start)  # a body starts anew after a challenge
        try:
            async for piece in self._source.read(start, length):
                yield piece
                self._count(self._sent + len(piece))
        except ClientError as error:
            # The transport would take it for a broken connection.
            self._fault = error
            raise

    async def _abandon(self) -> None:
        self._entry.forget()
        try:
            await self._wire.cancel(self._place.location)
        except ClientError:
            return  # it expires by itself
