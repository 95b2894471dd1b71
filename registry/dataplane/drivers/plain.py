"""The plain form: a file is its content, and can leave by sendfile."""

from __future__ import annotations

import os
from collections.abc import Sequence

from registry.contract.dataplane import DomainId
from registry.dataplane.drivers.forms import Form, Source, StageForm, Step, read_exactly
from registry.dataplane.drivers.port import LARGEST_PIECE, ObjectKey, OpenObject, Piece, Pieces
from registry.dataplane.workers import Workers

#: Up to this many bytes are read in the loop's thread where the page cache has them: 37 against 129 µs.
INLINE = 64 << 10


class PlainObject:
    """An open blob."""

    def __init__(self, fd: int, size: int, workers: Workers) -> None:
        self._fd = fd
        self._size = size
        self._workers = workers

    @property
    def fd(self) -> int | None:
        return self._fd

    @property
    def size(self) -> int:
        return self._size

    async def read(self, start: int, length: int) -> bytes:
        if length <= INLINE and (data := self._cached(start, length)) is not None:
            return data
        return await self._workers.run(lambda: read_exactly(self._fd, start, length))

    def _cached(self, start: int, length: int) -> bytes | None:
        """The bytes when the page cache has them all, without ever waiting for the disk."""
        buffer = bytearray(length)
        try:
            done = os.preadv(self._fd, [buffer], start, os.RWF_NOWAIT)
        except OSError:  # EAGAIN: not in the cache; EOPNOTSUPP: the file system cannot say
            return None
        return bytes(buffer) if done == length else None

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class PlainStage:
    """A stage whose file is its content."""

    def __init__(self, fd: int, length: int) -> None:
        self._fd = fd
        self.length = length

    @property
    def firm(self) -> int:
        return self.length

    def extended(self, pieces: Pieces) -> Step:
        length = self.length + sum(len(piece) for piece in pieces)
        return Step(self.length, pieces, length, length)

    def took(self, step: Step) -> None:
        self.length = step.length

    def restored(self) -> Sequence[Piece]:
        return ()

    def cut(self, size: int) -> None:
        self.length = size

    def finished(self, address: bytes) -> Sequence[Step]:
        return ()

    def read(self, start: int, length: int) -> bytes:
        return read_exactly(self._fd, start, length)


class PlainSource:
    """An open plain file. Reads of more than LARGEST_PIECE cost packing a fifth more CPU."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self, length: int) -> bytes:
        return os.read(self._fd, min(length, LARGEST_PIECE))


class PlainForm:
    """Implements `Form`."""

    suffix = ""

    def stored(self, length: int) -> int:
        return length

    def length(self, stored: int) -> int:
        return stored

    def staged(self, fd: int, stored: int) -> int:
        return stored

    def stage(self, domain: DomainId, fd: int, stored: int) -> StageForm:
        return PlainStage(fd, stored)

    def object(self, key: ObjectKey, fd: int, stored: int, workers: Workers) -> OpenObject:
        return PlainObject(fd, stored, workers)

    def source(self, key: ObjectKey, fd: int, stored: int) -> Source:
        return PlainSource(fd)


PLAIN = PlainForm()


class AllPlain:
    """`Forms` of stores without sealing."""

    def of(self, domain: DomainId) -> Sequence[Form]:
        return (PLAIN,)
