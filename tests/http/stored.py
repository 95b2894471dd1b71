"""Readings for tests: a plain file, and pieces that may fail on their way."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

from registry.contract.dataplane import OpenFile
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError


class _Opened:
    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY)

    @property
    def fd(self) -> int:
        return self._fd

    @property
    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def close(self) -> None:
        os.close(self._fd)


class PieceReading:
    """`data` in pieces of 64 KiB, failing at byte `fail_at`; `size` is what the record says."""

    def __init__(self, data: bytes, *, fail_at: int | None = None, size: int | None = None) -> None:
        self._data = data
        self._fail_at = fail_at
        self.digest = Digest.of(data, Algorithm.SHA256)
        self.size = len(data) if size is None else size

    async def open_file(self) -> OpenFile | None:
        return None

    async def link(self) -> str | None:
        return None

    async def stream(self, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        stop = len(self._data) if length is None or start + length >= self.size else start + length
        for position in range(start, stop, 65536):
            if self._fail_at is not None and position + 65536 > self._fail_at:
                raise StoreError(ErrorKind.CONTENT_UNKNOWN, "the bytes are gone")
            yield self._data[position : min(position + 65536, stop)]


class FileReading(PieceReading):
    """`data` that also lies in the file `path`."""

    def __init__(self, path: Path, data: bytes) -> None:
        super().__init__(data)
        self._path = path

    async def open_file(self) -> OpenFile | None:
        return _Opened(self._path)
