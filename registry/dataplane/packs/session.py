"""Whether the index belongs to the packs beside it, told without a look at any pack.

Who has the store alone, when opening and when closing it, names a new session: first in a file beside the
packs, then in the index. An index that names another one is not the one that was used last with these packs
(somebody put an older one back, or its WAL is gone), and does not know what they hold.
"""

from __future__ import annotations

import os
import uuid

from registry.dataplane.drivers.tree import Tree
from registry.dataplane.paths import PACKS, SESSION

_LENGTH = 32


def read_session(tree: Tree) -> str:
    """The session that the packs were last used in; empty where none was written yet. Raises OSError."""
    try:
        fd = os.open(f"{PACKS}/{SESSION}", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=tree.fd)
    except FileNotFoundError:
        return ""
    try:
        return os.read(fd, _LENGTH).decode("ascii", errors="replace")
    finally:
        os.close(fd)


def begin_session(tree: Tree) -> str:
    """Name a new one, durably. Torn by a crash it equals none, and index and packs are compared once more."""
    session = uuid.uuid4().hex
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with tree.folder((PACKS,), make=True) as folder:
        fd = os.open(SESSION, flags, 0o600, dir_fd=folder)
        try:
            os.pwrite(fd, session.encode("ascii"), 0)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.fsync(folder)
    return session
