"""Locks between the processes of one store: `flock` on empty files, let go with their process."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from registry.dataplane.drivers.tree import Tree
from registry.dataplane.paths import INDEX


class LockFile:
    """A file to lock. Threads of this process queue on a lock of their own before they ask the kernel."""

    def __init__(self, tree: Tree, name: str) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with tree.folder((INDEX,), make=True) as folder:
            self._fd = os.open(name, flags, 0o600, dir_fd=folder)
        self._threads = threading.Lock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for the lock and have it alone."""
        with self._threads:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    @contextmanager
    def tried(self) -> Iterator[bool]:
        """Have it alone if that is possible at once; whether it was."""
        if not self._threads.acquire(blocking=False):
            yield False
            return
        try:
            taken = self.take()
            try:
                yield taken
            finally:
                if taken and self._fd >= 0:
                    fcntl.flock(self._fd, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def take(self) -> bool:
        """Have it alone if that is possible at once. Given back by `share`, `close`."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def share(self) -> None:
        """Wait until nobody has it alone, and have it with others."""
        fcntl.flock(self._fd, fcntl.LOCK_SH)

    def close(self) -> None:
        """Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
