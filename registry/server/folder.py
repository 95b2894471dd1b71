"""The data folder: made on first use, and locked against commands that need it alone.

    DATA/lock             flock: shared by every process that serves, exclusive for `rebuild` and the like
    DATA/ledger.sqlite    the database, unless a server has it
    DATA/ledger           what the ledger is exported to, unless content is in a bucket
    DATA/checkpoint.key   what signs that, unless the database is a server
    DATA/artifact-store.toml
                          settings, where somebody has put them
    DATA/FORMAT, content, packs, index, keys, staging, quarantine
                          the data plane's, see registry/dataplane/paths.py

A replica, whose database and content are both elsewhere, has none of this and needs no folder.

The kernel drops the lock with its last holder, so a crash leaves nothing to clean up.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from registry.server.settings import Settings

_NAME = "lock"
_DATABASE = "ledger.sqlite"


class FolderBusyError(Exception):
    """Somebody holds the folder in a way that excludes us; the message says who and what to do."""


class FolderUnusableError(Exception):
    """The folder cannot be made or written to; the message says why."""


class FolderLock:
    """A lock held until `close`, or until the last process that inherited it has ended."""

    def __init__(self, fd: int) -> None:
        self._fd: int | None = fd

    def close(self) -> None:
        """Let go. Idempotent."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def has_folder(settings: Settings) -> bool:
    """Whether anything of the store lives in the data folder."""
    return settings.database.url is None or settings.storage.url is None


def database_of(settings: Settings) -> str | Path:
    """Where the ledger is, as `registry.control.open_store` takes it: a URL, or a file of the data folder."""
    return settings.database.url or database_in(settings.server.data)


def database_in(data: Path) -> Path:
    """The database file of a data folder."""
    return data / _DATABASE


def set_log_aside(settings: Settings) -> None:
    """Move away what SQLite left beside a database file that is lost: it would be played into a new one."""
    if settings.database.url is not None or (database := database_in(settings.server.data)).exists():
        return
    for suffix in ("-wal", "-shm", "-journal"):
        left = database.with_name(database.name + suffix)
        if left.exists():
            left.rename(left.with_name(f"{left.name}.lost"))


def create_folder(data: Path) -> None:
    """Make the data folder, for its owner only, where there is none. Raises FolderUnusableError."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise FolderUnusableError(f"{data} is not a folder, or would be inside a file") from None
    except OSError as error:
        raise FolderUnusableError(f"cannot make the folder {data}: {error.strerror}") from None


def lock_shared(data: Path) -> FolderLock:
    """The lock of a process that serves.

    Raises FolderBusyError while an offline command works, FolderUnusableError.
    """
    fd = _open(data)
    if not _try(fd, fcntl.LOCK_SH):
        holder = os.pread(fd, 200, 0).decode("utf-8", "replace").strip() or "an offline command"
        os.close(fd)
        raise FolderBusyError(f"{data} is being worked on by {holder}; start again when it has ended")
    return FolderLock(fd)


def lock_exclusive(data: Path, purpose: str) -> FolderLock:
    """The lock of an offline command such as `rebuild`; `purpose` is its name, for those who are kept out.

    Raises FolderBusyError while a server or another such command has the folder, FolderUnusableError.
    """
    fd = _open(data)
    if not _try(fd, fcntl.LOCK_EX):
        os.close(fd)
        raise FolderBusyError(
            f"{data} is in use by a server or another command; stop that first, since {purpose} needs the "
            "folder for itself"
        )
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"artifact-store {purpose} (process {os.getpid()})\n".encode(), 0)
    return FolderLock(fd)


def _open(data: Path) -> int:
    try:
        return os.open(data / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FolderUnusableError(f"cannot write to {data}: {error.strerror} ({_NAME})") from None


def _try(fd: int, mode: int) -> bool:
    try:
        fcntl.flock(fd, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
