"""The driver of folders for media that have to be fetched (layout.py draws the tree).

It is a local store, the *desk*, with a vault behind it. What is committed goes to the desk, then to the
vault, then into the catalogue, and leaves the desk. What somebody fetches comes to the desk, where it is read
like anything in a local store, until its time is over.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from registry.contract.dataplane import DomainId, RestoreStatus
from registry.dataplane.drivers.classify import classify
from registry.dataplane.drivers.folder.catalogue import Catalogue, Entry
from registry.dataplane.drivers.folder.layout import DELETIONS, FETCHED, FOLDERS, UNSETTLED, note_place
from registry.dataplane.drivers.folder.notes import Note, Notes
from registry.dataplane.drivers.folder.requests import Requests
from registry.dataplane.drivers.folder.settings import FolderSettings
from registry.dataplane.drivers.folder.tidying import Tidying
from registry.dataplane.drivers.folder.vault import Vault
from registry.dataplane.drivers.forms import Forms
from registry.dataplane.drivers.local import LocalDriver
from registry.dataplane.drivers.port import (
    Area,
    Away,
    Hold,
    ObjectKey,
    OpenObject,
    Pieces,
    StageInfo,
    StageKey,
    Standing,
    Usage,
)
from registry.dataplane.paths import object_place
from registry.dataplane.workers import Workers

T = TypeVar("T")

_DAY = 86_400 * 1_000_000


class FolderHold:
    """A hold whose commit goes to the vault; else the desk's."""

    def __init__(self, inner: Hold, driver: FolderDriver) -> None:
        self._inner = inner
        self._driver = driver

    @property
    def found(self) -> StageInfo:
        return self._inner.found

    async def write(self, pieces: Pieces) -> None:
        await self._inner.write(pieces)

    async def read(self, start: int, length: int) -> bytes:
        return await self._inner.read(start, length)

    async def settle(self) -> StageInfo:
        return await self._inner.settle()

    async def commit(self, key: ObjectKey) -> None:
        await self._inner.commit(key)
        await self._driver.keep(key)

    async def drop(self) -> None:
        await self._inner.drop()

    async def release(self) -> None:
        await self._inner.release()


class FolderDriver:
    """A `Driver`, and the engine's `Remote` and `Restoring`."""

    def __init__(
        self,
        settings: FolderSettings,
        workers: Workers,
        forms: Forms,
        now: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        """Open a folder that was prepared. `now` gives microseconds since the epoch.

        Raises as `LocalDriver`."""
        self._settings = settings
        self._workers = workers
        self._now = now
        self._desk = LocalDriver(settings.path, workers, forms=forms)
        try:
            self._tree = self._desk.tree
            self._notes = Notes(self._tree)
            self._catalogue = Catalogue(self._tree, self._notes)
            self._vault = Vault(settings.path)
            self._tidying = Tidying(
                self._desk, self._catalogue, self._notes, self._vault, until=self._until, now=now
            )
            self._requests = Requests(settings, self._tree, self._notes, workers.run, self._arrived)
            for folder in FOLDERS:
                with self._tree.folder((folder,), make=True):
                    pass
        except BaseException:
            self._desk.close()
            raise

    # --- objects ---------------------------------------------------------------------------------------

    async def put(self, key: ObjectKey, data: bytes) -> bool:
        if await self._workers.run(lambda: self._catalogue.find(key)) is not None:
            return False
        await self._desk.put(key, data)
        await self.keep(key)
        return True

    async def keep(self, key: ObjectKey) -> None:
        """Take what lies on the desk to the vault."""
        await self._workers.run(lambda: self._keep(key))

    def _keep(self, key: ObjectKey) -> None:
        try:
            file = self._desk.loose.open(key)
        except FileNotFoundError:  # another has just done it
            self._held(key)
            return
        try:
            suffix, unsettled = file.form.suffix, note_place(UNSETTLED, key)
            # Else nobody would find a file whose entry was never written.
            self._notes.write(unsettled, {"suffix": suffix, "begun": self._now()})
            self._notes.drop(note_place(DELETIONS, key))
            self._vault.take(key, suffix, file.fd)
            self._catalogue.add(key, Entry(file.size, suffix))
            self._notes.drop(unsettled)
        finally:
            os.close(file.fd)
            with suppress(FileNotFoundError):
                self._desk.loose.delete(key)

    async def size(self, key: ObjectKey) -> int:
        return await self._workers.run(lambda: self._held(key))

    async def open(self, key: ObjectKey) -> OpenObject:
        if key.area is not Area.CONTENT:
            return await self._desk.open(key)
        standing = await self.standing(key)
        if standing.status is not RestoreStatus.AVAILABLE:
            raise Away("it lies in the vault")
        return await self._desk.open(key)

    async def delete(self, key: ObjectKey, permit: str | None = None) -> int:
        with self._desk.taking.by(permit):
            return await self._workers.run(lambda: self._delete(key))

    def _delete(self, key: ObjectKey) -> int:
        if key.area is not Area.CONTENT:
            try:
                return self._desk.loose.delete(key)
            except FileNotFoundError:
                raise self._tree.absent(key.area, "no such object") from None
        entry, unsettled = self._entry(key), note_place(UNSETTLED, key)
        note: Note = {"suffix": entry.suffix, "size": entry.size, "begun": self._now()}
        self._notes.write(unsettled, note)
        # First: what is in the catalogue is relied on, and has to be in the vault.
        self._catalogue.remove(key)
        self._requests.drop(key)
        with suppress(FileNotFoundError):
            self._desk.loose.delete(key)
        self._tidying.leave(key, entry)
        self._notes.drop(unsettled)
        return entry.size

    async def admit(self, permit: str) -> None:
        await self._desk.admit(permit)

    async def set_aside(self, key: ObjectKey, to: ObjectKey) -> None:
        """What was fetched and is not right goes; the vault's stays for the next request."""
        if key.area is Area.CONTENT and (await self.standing(key)).status is not RestoreStatus.AVAILABLE:
            raise Away("it lies in the vault")
        await self._desk.set_aside(key, to)

    async def objects(
        self, area: Area, domain: DomainId | None = None
    ) -> AsyncIterator[tuple[ObjectKey, int]]:
        if area is not Area.CONTENT:
            async for found in self._desk.objects(area, domain):
                yield found
            return
        domains = [domain] if domain is not None else await self._workers.run(self._catalogue.domains)
        for one in domains:
            for shard in await self._workers.run(partial(self._catalogue.shards, one)):
                for entry in await self._workers.run(partial(self._among, one, shard)):
                    yield entry

    def _among(self, domain: DomainId, shard: str) -> list[tuple[ObjectKey, int]]:
        return list(self._catalogue.among(domain, shard))

    async def usage(self) -> Usage:
        sizes = [size async for _, size in self.objects(Area.CONTENT)]
        return Usage(sum(sizes), len(sizes))

    # --- stages and the medium ---------------------------------------------------------------------------

    async def hold(self, stage: StageKey, offset: int | None = None, first: Pieces = ()) -> Hold:
        return FolderHold(await self._desk.hold(stage, offset, first), self)

    async def stage(self, stage: StageKey) -> StageInfo:
        return await self._desk.stage(stage)

    def stages(self) -> AsyncIterator[tuple[StageKey, StageInfo]]:
        return self._desk.stages()

    async def free(self) -> int | None:
        return await self._workers.run(self._vault.free)

    async def probe(self) -> None:
        await self._desk.probe()
        await self._workers.run(self._vault.check)

    def close(self) -> None:
        self._requests.close()
        self._desk.close()

    # --- what has to be fetched --------------------------------------------------------------------------

    async def standing(self, key: ObjectKey) -> Standing:
        return await self._classified("standing", lambda: self._standing(key))

    def _standing(self, key: ObjectKey) -> Standing:
        self._held(key)
        until = self._at_hand(key)
        if until is not None:
            self._requests.drop(key)
            return Standing(RestoreStatus.AVAILABLE, until)
        return Standing(self._requests.status(key))

    def _at_hand(self, key: ObjectKey) -> int | None:
        """Until when what is on the desk counts; None for nothing."""
        try:
            until = self._until(self._desk.loose.id(key).changed // 1000)
        except FileNotFoundError:
            return None
        return until if until > self._now() else None

    def _until(self, since: int) -> int:
        return since + self._settings.restore_days * _DAY

    async def restore(self, key: ObjectKey) -> RestoreStatus:
        status, suffix = await self._classified("restore", lambda: self._ask(key))
        if status is not RestoreStatus.AVAILABLE:
            self._requests.fetch(key, self._vault.path(key, suffix), suffix)
        return status

    def _ask(self, key: ObjectKey) -> tuple[RestoreStatus, str]:
        size, suffix = self._entry(key)
        try:
            self._renew(key)
        except FileNotFoundError:
            path, name = object_place(key)
            target = Path(*path, name + suffix)
            with self._tree.folder(path, make=True):  # who answers finds the folder
                pass
            self._requests.write(key, size, self._vault.path(key, suffix), target)
            return self._requests.status(key) or RestoreStatus.REQUESTED, suffix
        return RestoreStatus.AVAILABLE, suffix

    def _renew(self, key: ObjectKey) -> None:
        """Count the time of what is on the desk from now. Raises FileNotFoundError."""
        file = self._desk.loose.open(key)
        try:
            os.utime(file.fd)
        finally:
            os.close(file.fd)

    def _arrived(self, key: ObjectKey, suffix: str) -> None:
        """A program has fetched the file: it is synced and moved to the desk."""
        fetched, name = note_place(FETCHED, key)
        path, final = object_place(key)
        with self._tree.folder(fetched) as source, self._tree.folder(path, make=True) as target:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
            os.rename(name, final + suffix, src_dir_fd=source, dst_dir_fd=target)
            os.fsync(target)
        self._requests.drop(key)

    async def link(self, key: ObjectKey) -> str | None:
        await self.size(key)
        return None

    async def reap(self, before: int) -> int:
        """Take from the desk what nobody will read any more, and delete what the vault has at hand again."""

        return await self._classified("reap", lambda: self._tidying.all(before))

    async def aclose(self) -> None:
        """Wait for programs to end."""
        await self._requests.closed()

    # --- within ------------------------------------------------------------------------------------------

    def _held(self, key: ObjectKey) -> int:
        """The size in bytes of content. Raises Missing, Corrupt."""
        if key.area is not Area.CONTENT:
            try:
                return self._desk.loose.size(key)
            except FileNotFoundError:
                raise self._tree.absent(key.area, "no such object") from None
        return self._entry(key).size

    def _entry(self, key: ObjectKey) -> Entry:
        entry = self._catalogue.find(key)
        if entry is None:
            raise self._tree.absent(Area.CONTENT, "no such object")
        return entry

    async def _classified(self, operation: str, work: Callable[[], T]) -> T:
        """For what no guard stands round."""
        try:
            return await self._workers.run(work)
        except OSError as error:
            raise classify(operation, error) from error
