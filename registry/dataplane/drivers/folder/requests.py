"""Requests for files that have to be fetched, and the programs that answer them where one is set."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from registry.contract.dataplane import RestoreStatus
from registry.dataplane.drivers.folder.layout import FETCHED, ONGOING, REQUESTS, note_place
from registry.dataplane.drivers.folder.notes import Note, Notes
from registry.dataplane.drivers.folder.settings import FolderSettings
from registry.dataplane.drivers.port import DriverError, ObjectKey
from registry.dataplane.drivers.tree import Tree

_LOG = logging.getLogger(__name__)


class Requests:
    """The requests of one location. `arrived` takes what a program has fetched, in a thread."""

    def __init__(
        self,
        settings: FolderSettings,
        tree: Tree,
        notes: Notes,
        run: Callable[[Callable[[], None]], Awaitable[None]],
        arrived: Callable[[ObjectKey, str], None],
    ) -> None:
        """`run` calls something in a thread."""
        self._settings = settings
        self._tree = tree
        self._notes = notes
        self._run = run
        self._arrived = arrived
        self._turn = asyncio.Semaphore(settings.fetches)
        self._fetching: dict[ObjectKey, asyncio.Task[None]] = {}

    def status(self, key: ObjectKey) -> RestoreStatus | None:
        """How far a request is; None where there is none. Raises OSError."""
        path, name = note_place(REQUESTS, key)
        if self._notes.has((path, name + ONGOING)) or self._is_locked(key):
            return RestoreStatus.ONGOING
        return RestoreStatus.REQUESTED if self._notes.has((path, name)) else None

    def write(self, key: ObjectKey, size: int, source: Path, target: Path) -> None:
        """Ask for the file `source` to be put to `target`, unless that is asked already. Raises OSError."""
        if self.status(key) is None:
            note: Note = {
                "address": f"blake3:{key.hex}",
                "domain": key.domain,
                "size": size,
                "from": str(source),
                "to": str(target),
                "asked": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            }
            self._notes.write(note_place(REQUESTS, key), note)

    def drop(self, key: ObjectKey) -> None:
        """The request was answered, or is not wanted any more. Raises OSError."""
        path, name = note_place(REQUESTS, key)
        for place in ((path, name), (path, name + ONGOING), note_place(FETCHED, key)):
            self._notes.drop(place)

    def fetch(self, key: ObjectKey, source: Path, suffix: str) -> None:
        """Run the program that fetches the file `source`, where one is set and none does so already."""
        if self._settings.command and key not in self._fetching:
            task = asyncio.create_task(self._fetch(key, source, suffix))
            self._fetching[key] = task
            task.add_done_callback(lambda _: self._fetching.pop(key, None))

    def close(self) -> None:
        """Programs under way are ended; who asks again begins them anew."""
        for task in self._fetching.values():
            task.cancel()

    async def closed(self) -> None:
        """They have ended."""
        await asyncio.gather(*self._fetching.values(), return_exceptions=True)

    async def _fetch(self, key: ObjectKey, source: Path, suffix: str) -> None:
        async with self._turn:
            try:
                with self._locked(key) as mine:
                    if mine:
                        await self._call(key, source)
                        await self._run(lambda: self._arrived(key, suffix))
            except (OSError, DriverError) as error:
                _LOG.error("the restore of %s failed: %s", key.hex, error)
                with suppress(OSError):
                    self.drop(key)

    async def _call(self, key: ObjectKey, source: Path) -> None:
        """Raises OSError with what the program said."""
        (folder, domain), name = note_place(FETCHED, key)
        with self._tree.folder((folder, domain), make=True):
            pass
        root = self._settings.path.absolute()
        process = await asyncio.create_subprocess_exec(
            *self._settings.command,
            str(root / source),
            str(root / folder / domain / name),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            _, said = await process.communicate()
        except BaseException:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        if process.returncode != 0:
            words = said.decode(errors="replace").strip()[-200:] or "nothing"
            raise OSError(f"{self._settings.command[0]} ended with {process.returncode} and said: {words}")

    @contextmanager
    def _locked(self, key: ObjectKey) -> Iterator[bool]:
        """Hold the request while its program runs: False where another process does, or it is answered."""
        path, name = note_place(REQUESTS, key)
        try:
            fd = os.open("/".join((*path, name)), os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._tree.fd)
        except FileNotFoundError:
            yield False
            return
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(fd)

    def _is_locked(self, key: ObjectKey) -> bool:
        path, name = note_place(REQUESTS, key)
        try:
            fd = os.open("/".join((*path, name)), os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._tree.fd)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False
