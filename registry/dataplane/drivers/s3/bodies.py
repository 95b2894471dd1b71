"""Request bodies with their checksum, in memory that goes back to the system when they are sent.

Segments of some MiB come and go all the time, and from the heap they leave it torn: with 64 uploads at once a
process grew by 196 MiB for 64 MiB of buffers.
"""

from __future__ import annotations

import base64
import io
import mmap
import os
import zlib

from registry.dataplane.drivers.port import LARGEST_PIECE, Pieces
from registry.dataplane.drivers.s3.buffers import MOST_SEGMENT
from registry.dataplane.drivers.s3.values import Body

#: No body that gathers is larger: a full segment, and the piece that made it full. Only what is used of it
#: takes memory.
_MOST = MOST_SEGMENT + LARGEST_PIECE


class MappedBody(io.BytesIO):
    """A map of memory that reads as a file. A BytesIO by name, since the SDK's HTTP client sends those in the
    loop and everything else by a thread for each piece."""

    def __init__(self) -> None:
        super().__init__()
        self._map = mmap.mmap(-1, _MOST)
        self._position = 0
        self.length = 0

    def append(self, piece: bytes | bytearray | memoryview) -> None:
        end = self.length + len(piece)
        self._map[self.length : end] = piece
        self.length = end

    def read(self, size: int | None = -1, /) -> bytes:
        end = self.length if size is None or size < 0 else min(self.length, self._position + size)
        data = self._map[self._position : end]
        self._position = max(self._position, end)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.length}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def getbuffer(self) -> memoryview:
        return memoryview(self._map)[: self.length]

    def release(self) -> None:
        """Give the memory back. Nothing is read afterwards."""
        self._map.close()


class Gathered:
    """A body that grows. Its checksum grows with it, so that it is never read twice."""

    def __init__(self) -> None:
        self._data: MappedBody | None = None
        self._crc = 0

    @property
    def size(self) -> int:
        return 0 if self._data is None else self._data.length

    def add(self, pieces: Pieces) -> None:
        """Append. May be called in any thread, by one at a time."""
        if self._data is None:
            self._data = MappedBody()
        for piece in pieces:
            self._crc = zlib.crc32(piece, self._crc)
            self._data.append(piece)

    def body(self) -> Body:
        return Body(self._data or io.BytesIO(), _text(self._crc))

    def release(self) -> None:
        """Give the memory back. Nothing is done with the body afterwards."""
        if self._data is not None:
            self._data.release()


def body_of(data: bytes) -> Body:
    """A body that is whole already; its bytes are not copied."""
    return Body(io.BytesIO(data), _text(zlib.crc32(data)))


def _text(crc: int) -> str:
    return base64.b64encode(crc.to_bytes(4, "big")).decode()
