"""An archive as files: written beside, synced, and linked or renamed into place, so that none is torn."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from registry.dataplane.archives.names import AREA, checked, checked_prefix
from registry.dataplane.drivers.classify import classify
from registry.dataplane.failures import Translated

T = TypeVar("T")

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class FolderArchive:
    """The folder `ledger` below `root`, made with the first object. Implements `Archive`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / AREA

    async def get(self, name: str) -> bytes | None:
        path = self._folder / checked(name)

        def read() -> bytes | None:
            try:
                return path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                self._root.stat()  # a store whose disk is not mounted holds nothing either
                return None

        return await _in_thread("reading the archive", read)

    async def create(self, name: str, data: bytes) -> bool:
        path = self._folder / checked(name)

        def write() -> bool:
            with self._written(path, data) as new:
                try:
                    path.hardlink_to(new)
                except FileExistsError:
                    return False
            _sync(path.parent)
            return True

        return await _in_thread("writing the archive", write)

    async def replace(self, name: str, data: bytes) -> None:
        path = self._folder / checked(name)

        def write() -> None:
            with self._written(path, data) as new:
                new.replace(path)
            _sync(path.parent)

        await _in_thread("writing the archive", write)

    async def delete(self, name: str) -> None:
        path = self._folder / checked(name)

        def remove() -> None:
            with suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()
            with suppress(OSError):  # it holds more, or is gone
                path.parent.rmdir()

        await _in_thread("deleting from the archive", remove)

    async def names(self, prefix: str) -> AsyncIterator[str]:
        top = self._folder / checked_prefix(prefix)
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            found = await _in_thread("listing the archive", partial(_entries, folder))
            for entry, is_folder in found:
                if is_folder:
                    waiting.append(folder / entry)
                else:
                    yield (folder / entry).relative_to(self._folder).as_posix()

    async def close(self) -> None:
        """Nothing is held open."""

    @contextmanager
    def _written(self, path: Path, data: bytes) -> Iterator[Path]:
        """The bytes, durable in a file beside `path` that is gone afterwards unless it was moved."""
        self._root.stat()
        _make(path.parent, self._root)
        new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        fd = os.open(new, _NEW, 0o600)
        try:
            with open(fd, "wb") as file:  # noqa: PTH123 - a descriptor has no path
                file.write(data)
                file.flush()
                os.fsync(fd)
            yield new
        finally:
            new.unlink(missing_ok=True)


def _make(folder: Path, above: Path) -> None:
    """Make a folder and those between it and `above`, durably."""
    if folder == above or folder.is_dir():
        return
    _make(folder.parent, above)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    _sync(folder.parent)


def _entries(folder: Path) -> list[tuple[str, bool]]:
    """What is in a folder, and which of it are folders; without files that are being written."""
    try:
        with os.scandir(folder) as found:
            return [(entry.name, entry.is_dir()) for entry in found if not entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


async def _in_thread(operation: str, work: Callable[[], T]) -> T:
    with Translated():
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            raise classify(operation, error) from error
