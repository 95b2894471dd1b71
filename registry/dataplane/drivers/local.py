"""The local driver: a folder on a POSIX file system of Linux (the tree is drawn in paths.py)."""

from __future__ import annotations

import os
import stat
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from registry.contract.dataplane import DomainId
from registry.dataplane.drivers.adoption import adopt
from registry.dataplane.drivers.port import (
    LARGEST_PIECE,
    Area,
    Hold,
    ObjectKey,
    OpenObject,
    Permanent,
    Pieces,
    StageInfo,
    StageKey,
    Usage,
)
from registry.dataplane.drivers.staging import LocalHold, StageFile, boot_id, holds, info, read_exactly
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.format import ensure_format
from registry.dataplane.paths import STAGING, is_address, is_domain, is_stage, object_place, stage_place
from registry.dataplane.workers import Workers

#: Up to this many bytes are read in the loop's thread where the page cache has them: 37 against 129 µs.
INLINE = 64 << 10

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class LocalObject:
    """An open blob."""

    def __init__(self, fd: int, size: int, workers: Workers) -> None:
        self._fd = fd
        self._size = size
        self._workers = workers

    @property
    def fd(self) -> int | None:
        return self._fd

    @property
    def size(self) -> int:
        return self._size

    async def read(self, start: int, length: int) -> bytes:
        if length <= INLINE and (data := self._cached(start, length)) is not None:
            return data
        return await self._workers.run(lambda: read_exactly(self._fd, start, length))

    def _cached(self, start: int, length: int) -> bytes | None:
        """The bytes when the page cache has them all, without ever waiting for the disk."""
        buffer = bytearray(length)
        try:
            done = os.preadv(self._fd, [buffer], start, os.RWF_NOWAIT)
        except OSError:  # EAGAIN: not in the cache; EOPNOTSUPP: the file system cannot say
            return None
        return bytes(buffer) if done == length else None

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class LocalDriver:
    """Objects and stages in files below `root`, which is made when absent."""

    def __init__(self, root: Path, workers: Workers, boot: str | None = None) -> None:
        """Open or make the store; `boot` names this boot of the machine. Raises StoreError, OSError."""
        self._workers = workers
        self.boot = boot or boot_id()
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        ensure_format(root)
        self.tree = Tree(root)
        try:
            for folder in (*(area.value for area in Area), STAGING):
                with self.tree.folder((folder,), make=True):
                    pass
            adopt(self.tree, self.boot)
        except BaseException:
            self.tree.close()
            raise

    # --- objects ---------------------------------------------------------------------------------------

    async def put(self, key: ObjectKey, data: bytes) -> None:
        await self._workers.run(lambda: self._put(key, data))

    def _put(self, key: ObjectKey, data: bytes) -> None:
        path, name = object_place(key)
        with self.tree.folder(path, make=True) as folder:
            if holds(folder, name, len(data)):
                os.fsync(folder)  # whoever put it there may not have come to this yet
                return
        # A stage like any other, so that what a crash leaves behind is listed and reaped like any other.
        file = StageFile(self.tree, self.boot, StageKey(key.domain, str(uuid.uuid4())))
        try:
            view = memoryview(data)
            for start in range(0, len(data), LARGEST_PIECE):
                file.write([view[start : start + LARGEST_PIECE]])
            file.commit(key)
        except BaseException:
            with suppress(OSError):
                file.drop()
            raise
        finally:
            file.close()

    async def size(self, key: ObjectKey) -> int:
        path, name = object_place(key)
        try:
            status = os.stat("/".join((*path, name)), dir_fd=self.tree.fd, follow_symlinks=False)
        except FileNotFoundError:
            raise self.tree.absent(key.area, "no such object") from None
        return _file_size(status)

    async def open(self, key: ObjectKey) -> OpenObject:
        path, name = object_place(key)
        try:
            fd = os.open("/".join((*path, name)), _READ, dir_fd=self.tree.fd)
        except FileNotFoundError:
            raise self.tree.absent(key.area, "no such object") from None
        try:
            return LocalObject(fd, _file_size(os.fstat(fd)), self._workers)
        except BaseException:
            os.close(fd)
            raise

    async def delete(self, key: ObjectKey) -> int:
        return await self._workers.run(lambda: self._delete(key))

    def _delete(self, key: ObjectKey) -> int:
        path, name = object_place(key)
        try:
            with self.tree.folder(path) as folder:
                size = os.stat(name, dir_fd=folder, follow_symlinks=False).st_size
                os.unlink(name, dir_fd=folder)
                os.fsync(folder)
                return size
        except FileNotFoundError:
            raise self.tree.absent(key.area, "no such object") from None

    async def rename(self, key: ObjectKey, to: ObjectKey) -> None:
        await self._workers.run(lambda: self._rename(key, to))

    def _rename(self, key: ObjectKey, to: ObjectKey) -> None:
        path, name = object_place(key)
        new_path, new_name = object_place(to)
        try:
            with self.tree.folder(path) as source, self.tree.folder(new_path, make=True) as target:
                os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)
                os.fsync(target)
                os.fsync(source)
        except FileNotFoundError:
            raise self.tree.absent(key.area, "no such object") from None

    async def objects(
        self, area: Area, domain: DomainId | None = None
    ) -> AsyncIterator[tuple[ObjectKey, int]]:
        domains = [domain] if domain is not None else await self._names((area.value,))
        for name in domains:
            if not is_domain(name):
                continue
            for shard in await self._names((area.value, name)):
                for hexadecimal, status in await self._files((area.value, name, shard)):
                    if is_address(hexadecimal) and hexadecimal.startswith(shard):
                        yield ObjectKey(area, DomainId(name), hexadecimal), status.st_size

    async def usage(self) -> Usage:
        sizes = [size async for _, size in self.objects(Area.CONTENT)]
        return Usage(sum(sizes), len(sizes))

    # --- stages ----------------------------------------------------------------------------------------

    async def hold(self, stage: StageKey, offset: int | None = None, first: Pieces = ()) -> Hold:
        file = await self._workers.run(lambda: self._hold(stage, offset, first), undo=StageFile.close)
        return LocalHold(file, self._workers)

    def _hold(self, stage: StageKey, offset: int | None, first: Pieces) -> StageFile:
        file = StageFile(self.tree, self.boot, stage)
        try:
            if offset is not None:
                file.require(offset)
            if first:
                file.write(first)
            return file
        except BaseException:
            file.close()
            raise

    async def stage(self, stage: StageKey) -> StageInfo:
        path, name = stage_place(self.boot, stage)
        try:
            return info(os.stat("/".join((*path, name)), dir_fd=self.tree.fd, follow_symlinks=False))
        except FileNotFoundError:
            raise self.tree.absent(STAGING, "no such stage") from None

    async def stages(self) -> AsyncIterator[tuple[StageKey, StageInfo]]:
        for domain in await self._names((STAGING, self.boot)):
            if is_domain(domain):
                for name, status in await self._files((STAGING, self.boot, domain)):
                    if is_stage(name):
                        yield StageKey(DomainId(domain), name), info(status)

    # --- the medium ------------------------------------------------------------------------------------

    async def free(self) -> int | None:
        status = await self._workers.run(lambda: os.fstatvfs(self.tree.fd))
        return status.f_bavail * status.f_frsize

    async def probe(self) -> None:
        await self._workers.run(self._probe)

    def _probe(self) -> None:
        file = StageFile(self.tree, self.boot, StageKey(DomainId("probe"), str(uuid.uuid4())))
        try:
            file.write([b"may I?"])
            os.fdatasync(file.fd)
        finally:
            file.drop()
            file.close()

    def close(self) -> None:
        self.tree.close()

    async def _names(self, path: tuple[str, ...]) -> list[str]:
        return await self._workers.run(lambda: self.tree.names(path))

    async def _files(self, path: tuple[str, ...]) -> list[tuple[str, os.stat_result]]:
        return await self._workers.run(lambda: self._scan(path))

    def _scan(self, path: tuple[str, ...]) -> list[tuple[str, os.stat_result]]:
        found: list[tuple[str, os.stat_result]] = []
        with suppress(NotADirectoryError), self.tree.folder(path) as folder, os.scandir(folder) as entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # gone since
                    continue
                if stat.S_ISREG(status.st_mode):
                    found.append((entry.name, status))
        return found


def _file_size(status: os.stat_result) -> int:
    if not stat.S_ISREG(status.st_mode):
        raise Permanent("where an object should be is something that is not a plain file")
    return status.st_size
