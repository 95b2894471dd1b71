"""The local driver: a folder on a POSIX file system of Linux (the tree is drawn in paths.py)."""

from __future__ import annotations

import fcntl
import os
import stat
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from registry.contract.dataplane import DomainId
from registry.dataplane.drivers.adoption import adopt
from registry.dataplane.drivers.forms import Forms
from registry.dataplane.drivers.loose import FileId, LooseFiles
from registry.dataplane.drivers.plain import PLAIN, AllPlain
from registry.dataplane.drivers.port import (
    LARGEST_PIECE,
    Area,
    Corrupt,
    Hold,
    Missing,
    ObjectKey,
    OpenObject,
    Pieces,
    StageInfo,
    StageKey,
    Usage,
)
from registry.dataplane.drivers.staging import LocalHold, StageFile, boot_id, info
from registry.dataplane.drivers.taking import Taking
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.format import ensure_format
from registry.dataplane.hashing import fault_of
from registry.dataplane.paths import STAGING, is_domain, is_stage, object_place, stage_place
from registry.dataplane.workers import Workers


class LocalDriver:
    """Objects and stages in files below `root`, which is made when absent."""

    def __init__(
        self, root: Path, workers: Workers, boot: str | None = None, forms: Forms | None = None
    ) -> None:
        """Open or make the store; `boot` names this boot of the machine, `forms` say how files hold content,
        by default as it is. Raises StoreError, OSError."""
        self._workers = workers
        self._forms = forms or AllPlain()
        self.boot = boot or boot_id()
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        ensure_format(root)
        self.tree = Tree(root)
        self.loose = LooseFiles(self.tree, self._forms)
        try:
            for folder in (*(area.value for area in Area), STAGING):
                with self.tree.folder((folder,), make=True):
                    pass
            adopt(self.tree, self.boot)
            self._drop_former_stages()
            self.taking = Taking(self.tree)
        except BaseException:
            self.tree.close()
            raise

    def _drop_former_stages(self) -> None:
        """Drop uploads begun in a form that their domain has no more: they begin anew."""
        for domain in filter(is_domain, self.tree.names((STAGING, self.boot))):
            former = self._forms.of(DomainId(domain))[1:]
            path = (STAGING, self.boot, domain)
            for name in self.tree.names(path) if former else ():
                if any(is_stage(name.removesuffix(form.suffix)) for form in former):
                    with self.tree.folder(path) as folder:
                        os.unlink(name, dir_fd=folder)

    # --- objects ---------------------------------------------------------------------------------------

    async def put(self, key: ObjectKey, data: bytes) -> bool:
        return await self._workers.run(lambda: self._put(key, data))

    def _put(self, key: ObjectKey, data: bytes) -> bool:
        path, name = object_place(key)
        form = self._forms.of(key.domain)[0]
        with self.tree.folder(path, make=True) as folder:
            if _is_file(folder, name + form.suffix):
                os.fsync(folder)  # whoever put it there may not have come to this yet
                return False
        # A stage like any other, so that what a crash leaves behind is listed and reaped like any other.
        file = StageFile(self.tree, self.boot, StageKey(key.domain, str(uuid.uuid4())), form)
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
        return True

    async def size(self, key: ObjectKey) -> int:
        try:
            return self.loose.size(key)
        except FileNotFoundError:
            raise self.tree.absent(key.area, "no such object") from None

    async def open(self, key: ObjectKey) -> OpenObject:
        if self._forms.of(key.domain)[0] is PLAIN:
            return self._open(key)
        return await self._workers.run(lambda: self._open(key), undo=close)

    def _open(self, key: ObjectKey) -> OpenObject:
        try:
            file = self.loose.open(key)
        except FileNotFoundError:
            raise self.tree.absent(key.area, "no such object") from None
        try:
            return file.form.object(key, file.fd, file.status.st_size, self._workers)
        except BaseException:
            os.close(file.fd)
            raise

    async def delete(self, key: ObjectKey, permit: str | None = None) -> int:
        with self.taking.by(permit):
            return await self._workers.run(lambda: self._delete(key))

    async def admit(self, permit: str) -> None:
        await self._workers.run(lambda: self.taking.admit(permit))

    def _delete(self, key: ObjectKey) -> int:
        try:
            return self.loose.delete(key)
        except FileNotFoundError:
            raise self.tree.absent(key.area, "no such object") from None

    async def set_aside(self, key: ObjectKey, to: ObjectKey) -> None:
        looked_at = self._file_of(key)
        try:
            found = await self.open(key)
        except Corrupt:
            pass
        else:
            try:
                if await fault_of(self._workers, found, key.hex) is None:
                    return
            finally:
                found.close()
        await self._workers.run(lambda: self._set_aside(key, to, looked_at))

    def _set_aside(self, key: ObjectKey, to: ObjectKey, looked_at: FileId) -> None:
        path, name = object_place(key)
        new_path, new_name = object_place(to)
        suffix = looked_at.form.suffix
        with self.tree.folder((to.area.value,), make=True) as area:
            # With this lock, no other can move the file away between our look at it and our rename, so that
            # a push has no time to bring another.
            fcntl.flock(area, fcntl.LOCK_EX)
            try:
                if self._file_of(key) != looked_at:
                    return
            except Missing:
                return
            with self.tree.folder(path) as source, self.tree.folder(new_path, make=True) as target:
                # A power loss within an earlier rename may have left both names, and a rename from one name
                # of a file to another does nothing.
                with suppress(FileNotFoundError):
                    os.unlink(new_name + suffix, dir_fd=target)
                os.rename(name + suffix, new_name + suffix, src_dir_fd=source, dst_dir_fd=target)
                os.fsync(target)
                os.fsync(source)

    def _file_of(self, key: ObjectKey) -> FileId:
        """The file that `open` opens. Raises Missing."""
        try:
            return self.loose.id(key)
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
                files = await self._files((area.value, name, shard))
                for hexadecimal, size in self.loose.among(DomainId(name), files):
                    if hexadecimal.startswith(shard):
                        yield ObjectKey(area, DomainId(name), hexadecimal), size

    async def usage(self) -> Usage:
        sizes = [size async for _, size in self.objects(Area.CONTENT)]
        return Usage(sum(sizes), len(sizes))

    # --- stages ----------------------------------------------------------------------------------------

    async def hold(self, stage: StageKey, offset: int | None = None, first: Pieces = ()) -> Hold:
        file = await self._workers.run(lambda: self._hold(stage, offset, first), undo=StageFile.close)
        return LocalHold(file, self._workers)

    def _hold(self, stage: StageKey, offset: int | None, first: Pieces) -> StageFile:
        file = StageFile(self.tree, self.boot, stage, self._forms.of(stage.domain)[0])
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
        try:
            return self._stage(stage)
        except FileNotFoundError:
            raise self.tree.absent(STAGING, "no such stage") from None

    def _stage(self, stage: StageKey) -> StageInfo:
        path, name = stage_place(self.boot, stage)
        form = self._forms.of(stage.domain)[0]
        file = "/".join((*path, name + form.suffix))
        if form is PLAIN:
            status = os.stat(file, dir_fd=self.tree.fd, follow_symlinks=False)
            return info(status, status.st_size)
        fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.tree.fd)
        try:
            status = os.fstat(fd)
            return info(status, form.staged(fd, status.st_size))
        finally:
            os.close(fd)

    async def stages(self) -> AsyncIterator[tuple[StageKey, StageInfo]]:
        for domain in filter(is_domain, await self._names((STAGING, self.boot))):
            suffix = self._forms.of(DomainId(domain))[0].suffix
            for name, _ in await self._files((STAGING, self.boot, domain)):
                stage = StageKey(DomainId(domain), name.removesuffix(suffix))
                if is_stage(stage.id) and stage.id + suffix == name:
                    with suppress(FileNotFoundError):  # gone since
                        yield stage, self._stage(stage)

    # --- the medium ------------------------------------------------------------------------------------

    async def free(self) -> int | None:
        status = await self._workers.run(lambda: os.fstatvfs(self.tree.fd))
        return status.f_bavail * status.f_frsize

    async def probe(self) -> None:
        await self._workers.run(self._probe)

    def _probe(self) -> None:
        file = StageFile(self.tree, self.boot, StageKey(DomainId("probe"), str(uuid.uuid4())), PLAIN)
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


def _is_file(folder: int, name: str) -> bool:
    """Whether a folder (a descriptor) has a plain file of that name."""
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def close(opened: OpenObject) -> None:
    opened.close()
