"""Where unfinished uploads stand, so that the next run of a push goes on with them.

One small file for each upload, in a folder of the user's:

    <folder>/<sha256 of "registry repository digest">.json    {"location": "...", "digest": "...", ...}

A blob's digest is its identity, so a session may only ever be continued with the same bytes. The file is
locked while a process works on it; another process that pushes the same blob then opens its own session.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from registry.contract.digest import Digest
from registry.contract.names import Repository

#: No registry keeps a session for longer.
_FORGOTTEN_AFTER = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class UploadKey:
    """Which upload: `registry` is its base URL, `api` the face that the session belongs to."""

    registry: str
    repository: Repository
    digest: Digest
    api: str = "oci"


class Entry:
    """One upload's place in the journal. Without a file it remembers for this run only."""

    def __init__(self, key: UploadKey, descriptor: int | None, path: Path | None) -> None:
        self._key = key
        self._descriptor = descriptor
        self._path = path
        self.location = self._load()

    def save(self, location: str) -> None:
        """Remember where the session is; it may move with each answer."""
        if location == self.location:
            return
        self.location = location
        if self._descriptor is not None:
            text = json.dumps(
                {
                    "registry": self._key.registry,
                    "repository": self._key.repository,
                    "digest": str(self._key.digest),
                    "location": location,
                }
            )
            with suppress(OSError):  # a full disk costs the resumption, not the push
                os.ftruncate(self._descriptor, 0)
                os.pwrite(self._descriptor, text.encode(), 0)

    def forget(self) -> None:
        """The session has ended."""
        self.location = None
        if self._path is not None:
            with suppress(FileNotFoundError):
                self._path.unlink()

    def _load(self) -> str | None:
        if self._descriptor is None:
            return None
        try:
            document = json.loads(os.pread(self._descriptor, 64 * 1024, 0) or b"null")
        except ValueError:
            return None  # written by a process that was killed in the middle of it
        if not isinstance(document, dict) or document.get("digest") != str(self._key.digest):
            return None
        location = document.get("location")
        return location if isinstance(location, str) else None


class Journal:
    """The entries in `folder`; None keeps nothing. A folder that cannot be written fails no push."""

    def __init__(self, folder: Path | None, now: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._now = now

    @contextmanager
    def entry(self, key: UploadKey) -> Iterator[Entry]:
        """The entry of `key`, held for this process alone inside the block."""
        descriptor, path = self._lock(key)
        try:
            yield Entry(key, descriptor, path)
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def sweep(self) -> None:
        """Drop entries of sessions that no registry can still have."""
        if self._folder is None or not self._folder.is_dir():
            return
        oldest = self._now() - _FORGOTTEN_AFTER
        with suppress(OSError):
            for path in self._folder.glob("*.json"):
                if path.stat().st_mtime < oldest:
                    path.unlink(missing_ok=True)

    def _lock(self, key: UploadKey) -> tuple[int | None, Path | None]:
        if self._folder is None:
            return None, None
        name = hashlib.sha256(f"{key.api} {key.registry} {key.repository} {key.digest}".encode()).hexdigest()
        path = self._folder / f"{name}.json"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return None, None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None, None
        return descriptor, path
