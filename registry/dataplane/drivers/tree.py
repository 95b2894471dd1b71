"""Folders of a local store: walked from an open root, never through a symlink, made durably."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from registry.dataplane.drivers.port import Missing, Permanent
from registry.dataplane.format import NAME as FORMAT_NAME

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Tree:
    """The store's root, held open: what happens to the path above it does not matter any more."""

    def __init__(self, root: Path) -> None:
        self.fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._durable: set[tuple[str, ...]] = set()

    @contextmanager
    def folder(self, path: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
        """The folder `path` below the root as a descriptor; `make` makes it and its parents, durably.

        Raises FileNotFoundError without `make`, NotADirectoryError or ELOOP for a planted file or symlink.
        """
        fd = os.dup(self.fd)
        try:
            for depth, name in enumerate(path, 1):
                child = self._enter(fd, name, make)
                # Another process may have made it and not yet synced it, so its existence proves nothing.
                if make and path[:depth] not in self._durable:
                    os.fsync(fd)
                    self._durable.add(path[:depth])
                os.close(fd)
                fd = child
            yield fd
        finally:
            os.close(fd)

    def _enter(self, parent: int, name: str, make: bool) -> int:
        try:
            return os.open(name, _FOLDER, dir_fd=parent)
        except FileNotFoundError:
            if not make:
                raise
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
        return os.open(name, _FOLDER, dir_fd=parent)

    def absent(self, area: str, what: str) -> Missing | Permanent:
        """The error for an ENOENT below `area`: Missing only while the store itself is visibly there.

        A store whose disk is not mounted, or whose folder was moved away, holds nothing either.
        """
        try:
            os.stat(FORMAT_NAME, dir_fd=self.fd, follow_symlinks=False)
            os.stat(area, dir_fd=self.fd, follow_symlinks=False)
        except OSError:
            return Permanent(
                f"the store lost its folder {area} or its file {FORMAT_NAME}: is its disk mounted?"
            )
        return Missing(what)

    def names(self, path: tuple[str, ...]) -> list[str]:
        """Names in a folder; none when there is no such folder (a planted file or symlink is not one)."""
        try:
            with self.folder(path) as fd:
                return os.listdir(fd)  # noqa: PTH208 - a descriptor has no pathlib twin
        except (FileNotFoundError, NotADirectoryError):
            return []

    def close(self) -> None:
        """Idempotent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
