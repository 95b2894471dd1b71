"""What is pushed: bytes in memory, or a file that must stay as it is meanwhile."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Protocol

from oci.client.errors import ContentError
from oci.client.hashing import hash_file
from registry.contract.digest import Algorithm, Digest, MultiHasher

#: Large enough that a thread's hop costs little, small enough for the page cache to stay warm.
PIECE = 1024 * 1024


class Source(Protocol):
    """Bytes of a known size that can be read from anywhere, again and again."""

    @property
    def size(self) -> int: ...

    def read(self, start: int, length: int) -> AsyncIterator[bytes]:
        """Exactly `length` bytes from `start`, in pieces. Raises ContentError when they have gone."""
        ...


class BytesSource:
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        return len(self._data)

    async def read(self, start: int, length: int) -> AsyncIterator[bytes]:
        yield self._data[start : start + length]


class FileSource:
    """An open regular file. A context manager; its size is taken once, when it is opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise ContentError(f"cannot read {path}: {error.strerror}") from None
        self.size = os.fstat(self._descriptor).st_size

    def __enter__(self) -> FileSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    async def read(self, start: int, length: int) -> AsyncIterator[bytes]:
        end = start + length
        while start < end:
            piece = await asyncio.to_thread(self._piece, start, min(PIECE, end - start))
            start += len(piece)
            yield piece

    async def digests(self, algorithms: tuple[Algorithm, ...]) -> dict[Algorithm, Digest]:
        """Hash the whole file. Raises ContentError when it cannot be read to the end."""
        hasher = MultiHasher(algorithms)
        try:
            reached = await hash_file(self._descriptor, self.size, hasher)
        except OSError as error:
            raise ContentError(f"cannot read {self._path}: {error.strerror}") from None
        if reached < self.size:
            raise self._shortened()
        return hasher.digests()

    def _piece(self, start: int, length: int) -> bytes:
        try:
            piece = os.pread(self._descriptor, length, start)
        except OSError as error:
            raise ContentError(f"cannot read {self._path}: {error.strerror}") from None
        if not piece:
            raise self._shortened()
        return piece

    def _shortened(self) -> ContentError:
        return ContentError(f"{self._path} became shorter while it was being pushed; push it again")
