"""Objects read in windows: one request for many pieces, begun again where a connection broke."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Awaitable, Callable
from itertools import accumulate

from registry.dataplane.drivers.port import LARGEST_PIECE, Busy, Corrupt, Missing, Permanent, Transient
from registry.dataplane.drivers.s3.bucket import Bucket, Stream
from registry.dataplane.drivers.s3.segments import Chain
from registry.dataplane.drivers.s3.trouble import ConditionError, EmptyRangeError, NotThereError
from registry.dataplane.drivers.s3.values import Head

Renew = Callable[[], Awaitable[Head]]

#: Bytes that one request asks for when the reader seems to go on; what is not read of it was sent in vain.
WINDOW = 16 << 20

#: How often a connection may break without a byte having come since.
_TRIES = 5


class S3Object:
    """An object of known size and etag. Without open files a reader depends on the key staying: once it is
    deleted, what was not yet asked for is Missing."""

    fd: int | None = None

    def __init__(self, bucket: Bucket, key: str, size: int, etag: str, renew: Renew | None = None) -> None:
        """`renew` looks again at an object that is named by its content; others must keep their etag."""
        self._bucket = bucket
        self._renew = renew
        self._key = key
        self._etag = etag
        self._stream: Stream | None = None
        self._position = 0
        self._left = 0  # bytes that the stream has not yet given
        self.size = size

    async def read(self, start: int, length: int) -> bytes:
        if start + length > self.size:
            raise Permanent(f"only {self.size} bytes are held")
        if not length:
            return b""
        for attempt in range(1, _TRIES + 1):
            try:
                stream = await self._at(start, length)
                data = await stream.read(length)
            except Transient:
                self.close()
                if attempt == _TRIES:
                    raise
            except BaseException:
                self.close()  # a read that was cut short has moved on in the stream
                raise
            else:
                self._position += length
                self._left -= length
                if not self._left:
                    self.close()
                return data
        raise AssertionError("unreachable")

    async def _at(self, start: int, length: int) -> Stream:
        """A stream that goes on at `start` for `length` bytes at least."""
        if self._stream is not None and self._position == start and self._left >= length:
            return self._stream
        self.close()
        wanted = WINDOW if length == LARGEST_PIECE else length
        end = min(self.size, start + wanted)
        try:
            self._stream = await self._bucket.get(self._key, start, end, self._etag)
        except (NotThereError, ConditionError, EmptyRangeError) as error:
            await self._look_again(error)
            raise Transient("the object was replaced while it was read") from None
        if self._stream.size != end - start:
            self.close()
            raise Permanent("the object store answered with another range than the one asked for")
        self._position, self._left = start, end - start
        return self._stream

    async def _look_again(self, error: Exception) -> None:
        """Take the object's new etag; raises Missing or Corrupt when there is nothing to go on with."""
        if self._renew is None:
            gone = isinstance(error, NotThereError)
            raise Missing("no such object") if gone else Corrupt("the object was replaced")
        head = await self._renew()
        if head.size == self.size:
            self._etag = head.etag

    def close(self) -> None:
        """Let go. Idempotent."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None


class ChainReader:
    """The segments of a stage as one run of bytes."""

    def __init__(self, bucket: Bucket, chain: Chain) -> None:
        self._bucket = bucket
        self._chain = chain
        self._starts = [0, *accumulate(segment.size for segment in chain.segments)]
        self._open: tuple[int, S3Object] | None = None

    async def read(self, start: int, length: int) -> bytes:
        """Exactly `length` bytes from `start`. Raises Permanent when fewer are held, Busy when they went."""
        if start + length > self._chain.length:
            raise Permanent(f"only {self._chain.length} bytes are held")
        pieces = []
        while length:
            number = bisect_right(self._starts, start) - 1
            within = start - self._starts[number]
            step = min(length, self._chain.segments[number].size - within)
            try:
                pieces.append(await self._segment(number).read(within, step))
            except (Missing, Corrupt):
                raise Busy("another request has changed or completed this upload") from None
            start, length = start + step, length - step
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _segment(self, number: int) -> S3Object:
        if self._open is None or self._open[0] != number:
            self.close()
            segment = self._chain.segments[number]
            self._open = number, S3Object(self._bucket, segment.key, segment.size, segment.etag)
        return self._open[1]

    def close(self) -> None:
        """Let go. Idempotent."""
        if self._open is not None:
            self._open[1].close()
            self._open = None
