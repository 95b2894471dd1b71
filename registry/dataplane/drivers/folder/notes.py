"""Small files with one JSON object each: what the catalogue, the requests and the deletions are made of.

They are written in a folder of their own, synced and renamed, so that who reads one reads it whole.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress

from registry.dataplane.drivers.folder.layout import WRITING
from registry.dataplane.drivers.port import Corrupt
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.paths import Place

_LONGEST = 4096
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Note = Mapping[str, str | int]


class Notes:
    """The notes below one root. Blocking, in any thread. Raises OSError."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def write(self, place: Place, note: Note) -> None:
        """Durable on return, in place of one that is there."""
        path, name = place
        data = json.dumps(note).encode() + b"\n"
        with self._tree.folder(path, make=True) as folder, self._tree.folder((WRITING,)) as writing:
            beside = uuid.uuid4().hex
            fd = os.open(beside, _WRITE, 0o600, dir_fd=writing)
            try:
                os.write(fd, data)
                os.fsync(fd)
                os.rename(beside, name, src_dir_fd=writing, dst_dir_fd=folder)
            except BaseException:
                with suppress(OSError):
                    os.unlink(beside, dir_fd=writing)
                raise
            finally:
                os.close(fd)
            os.fsync(folder)

    def reap(self, before: int) -> int:
        """Delete what a crash has left half written before that moment (microseconds since the epoch)."""
        return unlink_older(self._tree, (WRITING,), before)

    def read(self, place: Place) -> Note | None:
        """None where there is none. Raises Corrupt for one that nobody has written like that."""
        path, name = place
        try:
            fd = os.open("/".join((*path, name)), _READ, dir_fd=self._tree.fd)
        except FileNotFoundError:
            return None
        try:
            note = json.loads(os.read(fd, _LONGEST))
        except ValueError:
            note = None
        finally:
            os.close(fd)
        if not isinstance(note, dict):
            raise Corrupt(f"{'/'.join((*path, name))} is damaged; put it back from a backup of the folder")
        return note

    def has(self, place: Place) -> bool:
        path, name = place
        try:
            os.stat("/".join((*path, name)), dir_fd=self._tree.fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def drop(self, place: Place) -> bool:
        """Delete durably; False where there was none."""
        path, name = place
        try:
            with self._tree.folder(path) as folder:
                os.unlink(name, dir_fd=folder)
                os.fsync(folder)
        except FileNotFoundError:
            return False
        return True


def unlink_older(tree: Tree, path: tuple[str, ...], before: int) -> int:
    """Delete the files of a folder that were last written before that moment. Returns how many."""
    count = 0
    for name in tree.names(path):
        with suppress(FileNotFoundError), tree.folder(path) as folder:
            if os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime_ns // 1000 < before:
                os.unlink(name, dir_fd=folder)
                count += 1
    return count
