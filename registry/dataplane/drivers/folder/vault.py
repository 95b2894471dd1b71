"""The vault: files that are written once, compared, and fetched by somebody else.

It is opened by its path each time and never held open, so that its medium can be taken away at any time. What
it holds is not looked at to answer a question: that would wait for a tape.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from registry.contract.digest import Algorithm, new_hasher
from registry.dataplane.drivers.folder.layout import VAULT, vault_place
from registry.dataplane.drivers.folder.notes import unlink_older
from registry.dataplane.drivers.port import LARGEST_PIECE, ObjectKey, Permanent, Transient
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.format import NAME, ensure_format
from registry.dataplane.paths import STAGING

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class Vault:
    """The folder `vault` of a location. Blocking, in any thread. Raises OSError, and Transient without it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / VAULT

    def prepare(self) -> None:
        """Make an empty vault, where there is none. Raises StoreError INTERNAL."""
        self._path.mkdir(mode=0o700, exist_ok=True)
        ensure_format(self._path)

    def check(self) -> None:
        """Raises Transient while it is not there."""
        with self._open():
            pass

    def is_there(self) -> bool:
        try:
            self.check()
        except Transient:
            return False
        return True

    def free(self) -> int | None:
        """Bytes that can be written; None while it is not there."""
        try:
            with self._open() as tree:
                status = os.fstatvfs(tree.fd)
        except Transient:
            return None
        return status.f_bavail * status.f_frsize

    def take(self, key: ObjectKey, suffix: str, source: int) -> None:
        """Copy an open file, durably, read it back from the medium, and give it its name.

        `suffix` is that of the file's form. Raises Permanent where other bytes come back, Transient also
        while another process does the same.
        """
        (_, *path), name = vault_place(key, suffix)
        with (
            self._open() as tree,
            tree.folder(tuple(path), make=True) as folder,
            tree.folder((STAGING,), make=True) as staging,
        ):
            beside = f"{key.domain}.{name}"
            fd = _locked(staging, beside)
            try:
                written = _copy(source, fd)
                os.fsync(fd)
                # Else the comparison would meet what is still in memory.
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                if _hash(fd) != written:
                    raise Permanent("the vault gives back other bytes than were written to it")
                os.rename(beside, name, src_dir_fd=staging, dst_dir_fd=folder)
                os.fsync(folder)
            except BaseException:
                with suppress(OSError):
                    os.unlink(beside, dir_fd=staging)
                raise
            finally:
                os.close(fd)

    def reap(self, before: int) -> int:
        """Delete what was not finished, when it began before that moment (microseconds since the epoch)."""
        try:
            with self._open() as tree:
                return unlink_older(tree, (STAGING,), before)
        except Transient:
            return 0

    def path(self, key: ObjectKey, suffix: str) -> Path:
        """Where the file is, seen from the location's folder."""
        path, name = vault_place(key, suffix)
        return Path(*path, name)

    def delete(self, key: ObjectKey, suffix: str) -> bool:
        """Delete the file durably; False where there is none at hand."""
        (_, *path), name = vault_place(key, suffix)
        try:
            with self._open() as tree, tree.folder(tuple(path)) as folder:
                os.unlink(name, dir_fd=folder)
                os.fsync(folder)
        except (FileNotFoundError, Transient):
            return False
        return True

    @contextmanager
    def _open(self) -> Iterator[Tree]:
        try:
            tree = Tree(self._path)
        except FileNotFoundError:
            raise Transient(f"{self._path} is not there; mount it") from None
        with closing(tree):
            try:
                os.stat(NAME, dir_fd=tree.fd, follow_symlinks=False)
            except FileNotFoundError:
                raise Transient(f"{self._path} has no file {NAME}; mount the medium it belongs to") from None
            yield tree


def _locked(folder: int, name: str) -> int:
    """An empty file of that name, which no other process has. Raises Transient."""
    fd = os.open(name, _WRITE, 0o600, dir_fd=folder)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Another may have finished it between our two steps: then this is its file, under the final name.
        if not os.path.samestat(os.stat(name, dir_fd=folder, follow_symlinks=False), os.fstat(fd)):
            raise BlockingIOError
        os.ftruncate(fd, 0)
    except (BlockingIOError, FileNotFoundError):
        os.close(fd)
        raise Transient("another process takes the same content to the vault") from None
    except BaseException:
        os.close(fd)
        raise
    return fd


def _copy(source: int, target: int) -> str:
    """Copy all of `source`, and return the hash of what was read."""
    hasher, at = new_hasher(Algorithm.BLAKE3), 0
    while piece := os.pread(source, LARGEST_PIECE, at):
        hasher.update(piece)
        view = memoryview(piece)
        while view:
            done = os.pwrite(target, view, at)
            view, at = view[done:], at + done
    return hasher.hexdigest()


def _hash(fd: int) -> str:
    hasher, at = new_hasher(Algorithm.BLAKE3), 0
    while piece := os.pread(fd, LARGEST_PIECE, at):
        hasher.update(piece)
        at += len(piece)
    return hasher.hexdigest()
