"""Wrapped data keys as files of the store, and the tombstones of domains whose keys were destroyed.

FORMAT.md, "Keys", has their bytes. A file appears and changes whole or not at all, durably; nobody holds one
open. Whoever changes a domain's folder locks it, so that nothing is written behind a tombstone.
"""

from __future__ import annotations

import base64
import binascii
import errno
import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.contract.dataplane import DomainId
from registry.dataplane.drivers.port import Missing, Permanent
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.paths import KEYS, is_domain
from registry.dataplane.sealing.providers import LONGEST, KeyName

_NAME = re.compile(r"([0-9a-f]{32})\.key")
_TOMBSTONE = "destroyed"
_FORMAT = 1
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class Destroyed(Exception):  # noqa: N818 - what happened to the key
    """The domain's keys were destroyed, for good."""


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key as it is stored: `provider` is the id of what wrapped it, `created` are microseconds."""

    name: KeyName
    created: int
    provider: str
    wrapped: bytes


class KeyFiles:
    """The folder `keys` of the store in `root`, which may not be there yet. Blocking, in any thread."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: dict[DomainId, tuple[Path, str]] = {}

    def _of(self, domain: DomainId) -> tuple[Path, str]:
        """The domain's folder, and where its tombstone would be: looked for at each use of a key."""
        if domain not in self._folders:
            folder = self._root / KEYS / domain
            self._folders[domain] = folder, str(folder / _TOMBSTONE)
        return self._folders[domain]

    def domains(self) -> list[DomainId]:
        """Domains that have or had keys."""
        try:
            names = os.listdir(self._root / KEYS)  # noqa: PTH208 - names alone
        except FileNotFoundError:
            return []
        return sorted(DomainId(name) for name in names if is_domain(name))

    def known(self, domain: DomainId) -> bool:
        """Whether the domain has or had keys."""
        return self._of(domain)[0].is_dir()

    def destroyed(self, domain: DomainId) -> bool:
        return os.path.lexists(self._of(domain)[1])

    def remains(self, domain: DomainId) -> bool:
        """Whether a destroyed domain has more than its tombstone."""
        return any(path.name != _TOMBSTONE for path in self._of(domain)[0].iterdir())

    def changed(self, domain: DomainId) -> int:
        """A number that is another when the domain's keys are others; -1 without any."""
        try:
            return self._of(domain)[0].stat().st_mtime_ns
        except FileNotFoundError:
            return -1

    def keys(self, domain: DomainId) -> list[WrappedKey]:
        """The domain's keys, the one for new data last; none where they were destroyed.

        Raises Permanent for a damaged one.
        """
        folder, _ = self._of(domain)
        if self.destroyed(domain):
            return []
        try:
            names = os.listdir(folder)  # noqa: PTH208 - names alone
        except FileNotFoundError:
            return []
        found = []
        for name in names:
            known = _NAME.fullmatch(name)
            if known is not None:
                with suppress(FileNotFoundError):  # destroyed just now
                    found.append(_read(folder / name, KeyName(domain, bytes.fromhex(known[1]))))
        return sorted(found, key=lambda key: (key.created, key.name.id))

    def write(self, name: KeyName, provider: str, wrapped: bytes, created: int | None = None) -> None:
        """Keep a wrapped key durably: a new one, the domain's newest; with `created`, instead of the one of
        the same name, which must be there. Raises Destroyed, Missing, Permanent, OSError."""
        file = f"{name.id.hex()}.key"
        with self._changing(name.domain) as folder:
            if created is None:
                # The clock may have gone back since the last was made.
                created = max([time.time_ns() // 1000, *(key.created + 1 for key in self.keys(name.domain))])
            elif not _has(folder, file):
                raise Missing(f"the key {name} is gone")
            fields = {
                "format": _FORMAT,
                "domain": name.domain,
                "key": name.id.hex(),
                "created": created,
                "provider": provider,
                "wrapped": base64.b64encode(wrapped).decode("ascii"),
            }
            _write(folder, file, fields)

    def destroy(self, domain: DomainId) -> int:
        """Delete all keys of the domain durably and for good; returns how many there were.

        The tombstone comes first, so that a crash in between destroys no less. Idempotent. Raises OSError.
        """
        with suppress(Destroyed), self._changing(domain) as folder:
            _write(
                folder,
                _TOMBSTONE,
                {"format": _FORMAT, "domain": domain, "destroyed": time.time_ns() // 1000},
            )
        with self._folder(domain) as folder:
            gone = [name for name in os.listdir(folder) if name != _TOMBSTONE]  # noqa: PTH208
            for name in gone:
                _erase(folder, name)
            os.fsync(folder)
        return sum(_NAME.fullmatch(name) is not None for name in gone)

    @contextmanager
    def _folder(self, domain: DomainId) -> Iterator[int]:
        tree = Tree(self._root)
        try:
            with tree.folder((KEYS, domain), make=True) as folder:
                yield folder
        finally:
            tree.close()

    @contextmanager
    def _changing(self, domain: DomainId) -> Iterator[int]:
        with self._folder(domain) as folder:
            fcntl.flock(folder, fcntl.LOCK_EX)  # let go with the descriptor
            if _has(folder, _TOMBSTONE):
                raise Destroyed
            yield folder


def _has(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _write(folder: int, name: str, fields: dict[str, Any]) -> None:
    temporary = ".new"  # under the folder's lock: what a crash left here is overwritten
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    data = json.dumps(fields, indent=1).encode("ascii") + b"\n"
    fd = os.open(temporary, flags, 0o600, dir_fd=folder)
    try:
        if os.write(fd, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)


def _erase(folder: int, name: str) -> None:
    """Overwrite a file, which on many media leaves no older copy, and unlink it."""
    fd = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.write(fd, bytes(os.fstat(fd).st_size))
        os.fsync(fd)
    finally:
        os.close(fd)
    os.unlink(name, dir_fd=folder)


def _read(path: Path, name: KeyName) -> WrappedKey:
    fd = os.open(path, _READ)
    try:
        text = os.read(fd, 4 * LONGEST)
    finally:
        os.close(fd)
    try:
        fields = json.loads(text)
        if (fields["format"], fields["domain"], fields["key"]) != (_FORMAT, name.domain, name.id.hex()):
            raise ValueError
        wrapped = base64.b64decode(fields["wrapped"], validate=True)
        return WrappedKey(name, int(fields["created"]), str(fields["provider"]), wrapped)
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise Permanent(f"the key file {path} is damaged; put it back from a backup of the store") from None
