"""Stages as files: the lock, the durable mark, and why a stage never holds bytes nobody sent.

Life of a local stage: made by the first hold, grown by `pwritev`, renamed to its content address by commit.

**One at a time.** A hold is an exclusive `flock` on the file. It is tried, never waited for (the engine asks
again), and after it was had the name must still lead to the same file: a commit may have renamed it away.

**Power loss.** Bytes of an append are not synced before its length is reported (commit syncs), so after power
loss a file may be short, or long enough but with zeros where pages never reached the disk. Such a tail must
never become content, not even for a commit without an expected digest. Within one boot of the kernel the page
cache is the truth, whatever processes die. So stages live in a folder named by the boot id, and only files
of this boot are trusted. The first to open the store after a boot *adopts* the older folders (adoption.py):
each stage is cut to its durable mark, an extended attribute that says how many bytes an fdatasync had covered
before it was set, and a stage without one is dropped. Marks are set at the end of an append that leaves
MARK_AT bytes unsynced and every MARK_EVERY bytes within one; small uploads pay for no second sync.

**A failed sync** means that pages are lost although later reads and syncs succeed (the kernel marks them
clean), so the stage is cut to its durable mark at once.

How the file holds the content is its form's business (forms.py). The mark counts bytes of the file, and only
*firm* ones: those that no later write changes.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

from registry.dataplane.drivers.forms import Form, Step
from registry.dataplane.drivers.port import Busy, Moved, ObjectKey, Permanent, Pieces, StageInfo, StageKey
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.paths import object_place, stage_place
from registry.dataplane.workers import Workers

MARK_AT = 16 << 20
MARK_EVERY = 64 << 20
#: Bytes after which the kernel is asked to begin writing out, so that the last fdatasync is short.
WRITE_OUT = 8 << 20

_MARK = "user.artifact-store.durable"
_SYNC_FILE_RANGE_WRITE = 2


def boot_id() -> str:
    """The kernel's name for this boot (random(4)), the same in every process and container of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def write_out(fd: int, start: int, length: int) -> None:
    """Ask the kernel to begin writing these bytes: a hint, whose errors come at the sync."""
    _sync_file_range(fd, start, length, _SYNC_FILE_RANGE_WRITE)


_sync_file_range = ctypes.CDLL(None).sync_file_range
_sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def info(status: os.stat_result, length: int) -> StageInfo:
    """What the file of a stage with `length` bytes says. No write leaves inode, size and mtime the same."""
    revision = f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
    return StageInfo(length, status.st_mtime_ns // 1000, revision)


class StageFile:
    """A stage's file, open and locked. Blocking; every method is called in a worker thread."""

    def __init__(self, tree: Tree, boot: str, stage: StageKey, form: Form) -> None:
        """Open (or make) and lock. Raises Busy."""
        self._tree = tree
        self._form = form
        self._folder, name = stage_place(boot, stage)
        self._name = name + form.suffix
        self.fd = self._take()
        try:
            self._content = form.stage(stage.domain, self.fd, os.fstat(self.fd).st_size)
            self.found = info(os.fstat(self.fd), self.length)
            self._durable = durable_mark(self.fd) if self.length else 0
        except BaseException:
            self.close()
            raise
        self._begun = self._content.firm  # write-out was asked for up to here

    @property
    def length(self) -> int:
        """Bytes of content."""
        return self._content.length

    def _take(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        while True:
            with self._tree.folder(self._folder, make=True) as folder:
                fd = os.open(self._name, flags, 0o600, dir_fd=folder)
                try:
                    if not stat.S_ISREG(os.fstat(fd).st_mode):
                        raise Permanent("a stage in the staging folder is not a file")
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    now = os.stat(self._name, dir_fd=folder, follow_symlinks=False)
                    if os.path.samestat(now, os.fstat(fd)):
                        return fd
                    os.close(fd)
                except FileNotFoundError:
                    os.close(fd)
                except BlockingIOError:
                    os.close(fd)
                    raise Busy("the stage is held by another append") from None
                except BaseException:
                    os.close(fd)
                    raise

    def require(self, offset: int) -> None:
        """Raises Moved unless the stage is `offset` bytes long."""
        if offset != self.length:
            if self.length == 0:  # as good as none, and perhaps only just made
                self.drop()
            raise Moved(self.length)

    def write(self, pieces: Pieces) -> None:
        if not any(map(len, pieces)):  # a write of nothing must not touch what is there
            return
        step = self._content.extended(pieces)
        try:
            self._write_all(step)
        except OSError:
            self._undo()
            raise
        self._content.took(step)
        firm = self._content.firm
        if firm - self._begun >= WRITE_OUT:
            write_out(self.fd, self._begun, firm - self._begun)
            self._begun = firm
        if firm - self._durable >= MARK_EVERY:
            self._set_mark()

    def _write_all(self, step: Step) -> None:
        size = sum(len(buffer) for buffer in step.buffers)
        done = os.pwritev(self.fd, step.buffers, step.offset)
        while done < size:  # a full disk writes what still fits; the next call says why
            rest = memoryview(b"".join(step.buffers))[done:]
            done += os.pwritev(self.fd, [rest], step.offset + done)

    def _undo(self) -> None:
        """Take back what a failed write left behind the firm bytes."""
        firm = self._content.firm
        with suppress(OSError):
            os.ftruncate(self.fd, firm)
        try:
            before = self._content.restored()
            if before:
                self._write_all(Step(firm, before, self.length, firm))
        except OSError:
            self._content.cut(firm)

    def settle(self) -> StageInfo:
        if not self.settles_at_once:
            self._set_mark()
        return info(os.fstat(self.fd), self.length)

    def read(self, start: int, length: int) -> bytes:
        return self._content.read(start, length)

    @property
    def settles_at_once(self) -> bool:
        """Whether `settle` only looks, so that it needs no thread."""
        return self._content.firm - self._durable < MARK_AT

    def commit(self, key: ObjectKey) -> None:
        path, name = object_place(key)
        name += self._form.suffix
        with self._tree.folder(path, make=True) as target:
            if holds(target, name, self._form.stored(self.length)):
                self.drop()
            else:
                for step in self._content.finished(bytes.fromhex(key.hex)):
                    self._write_all(step)
                self._sync()
                with suppress(OSError):
                    os.removexattr(self.fd, _MARK)
                with self._tree.folder(self._folder) as source:
                    os.rename(self._name, name, src_dir_fd=source, dst_dir_fd=target)
            # Also when it was there: whoever renamed it may not have come to this yet. The staging folder
            # needs none: should its old entry reappear, `adopt` sees a second link and drops it.
            os.fsync(target)

    def drop(self) -> None:
        with self._tree.folder(self._folder) as folder:
            os.unlink(self._name, dir_fd=folder)
        os.ftruncate(self.fd, 0)  # frees the bytes here, in a thread, and not at the close

    def close(self) -> None:
        """Unlock and close. Idempotent, quick."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _sync(self) -> None:
        try:
            os.fdatasync(self.fd)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self.fd, self._durable)
            self._content.cut(self._durable)
            self._begun = self._content.firm
            raise

    def _set_mark(self) -> None:
        self._sync()
        try:
            os.setxattr(self.fd, _MARK, str(self._content.firm).encode())
        except OSError as error:  # a file system without attributes, or full: the mark is a gain, not a need
            if error.errno not in (errno.ENOTSUP, errno.ENOSPC, errno.EDQUOT):
                raise
        self._durable = self._content.firm


def durable_mark(fd: int) -> int:
    """How many bytes of a stage surely survive a power loss; 0 where no mark says so."""
    try:
        return min(int(os.getxattr(fd, _MARK)), os.fstat(fd).st_size)
    except (OSError, ValueError):
        return 0


def holds(folder: int, name: str, size: int) -> bool:
    """Whether a folder (a descriptor) has a plain file of that name and size in bytes."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == size


class LocalHold:
    """`StageFile` behind the port: blocking work in threads, the rest at once."""

    def __init__(self, file: StageFile, workers: Workers) -> None:
        self._file = file
        self._workers = workers

    @property
    def found(self) -> StageInfo:
        return self._file.found

    async def write(self, pieces: Pieces) -> None:
        await self._workers.run(lambda: self._file.write(pieces))

    async def read(self, start: int, length: int) -> bytes:
        return await self._workers.run(lambda: self._file.read(start, length))

    async def settle(self) -> StageInfo:
        if self._file.settles_at_once:
            return self._file.settle()
        return await self._workers.run(self._file.settle)

    async def commit(self, key: ObjectKey) -> None:
        await self._workers.run(lambda: self._file.commit(key))

    async def drop(self) -> None:
        await self._workers.run(self._file.drop)

    async def release(self) -> None:
        self._file.close()
