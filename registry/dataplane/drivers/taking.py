"""Who may delete objects, among all processes of a store.

A process that was stopped goes on where it was when it wakes, between any two instructions: no look at a
clock or at a database comes close enough to an `unlink` to hold it back. So a deletion with a permit takes
place under a lock that it shares with others, after a look at the permit that counts, and whoever names
another has the lock alone: what began before has ended then, and what comes later is refused. The kernel
gives the lock of a dead process back. What the file says need not outlast a power loss: no process does.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from registry.dataplane.drivers.port import Busy, Refused
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.paths import INDEX

_FILE = "permit"
#: Bytes; permits are shorter.
_LONGEST = 256


class Taking:
    """The permit and the lock of one store's folder."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    @contextmanager
    def by(self, permit: str | None) -> Iterator[None]:
        """While `permit` counts, None for who needs none. Raises Refused, Busy."""
        if permit is None:
            yield
            return
        with self._locked(fcntl.LOCK_SH) as fd:
            if os.pread(fd, _LONGEST, 0) != permit.encode():
                raise Refused("another process deletes here now")
            yield

    def admit(self, permit: str) -> None:
        """Let this permit count, and no other. Raises Busy."""
        with self._locked(fcntl.LOCK_EX) as fd:
            os.ftruncate(fd, 0)
            os.pwrite(fd, permit.encode(), 0)

    @contextmanager
    def _locked(self, how: int) -> Iterator[int]:
        """The file, open by itself: a lock belongs to the opening, and closing gives it back."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with self._tree.folder((INDEX,), make=True) as folder:
            fd = os.open(_FILE, flags, 0o600, dir_fd=folder)
        try:
            try:
                fcntl.flock(fd, how | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy("a deletion, or who may delete, is being settled") from None
            yield fd
        finally:
            os.close(fd)
