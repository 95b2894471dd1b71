"""Open pack files, shared by readers and kept for the next one, up to a number of descriptors."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from types import TracebackType

from registry.dataplane.drivers.forms import read_exactly
from registry.dataplane.drivers.port import Corrupt, Permanent
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.packs.records import HEADER, Record, parse_header
from registry.dataplane.paths import PACKS, PackKey, pack_folder, pack_name

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class PackFile:
    """A pack open for reading. Stays readable when the pack is deleted; `close` says one user is done."""

    def __init__(self, key: PackKey, fd: int, files: PackFiles) -> None:
        self.key = key
        self.fd = fd
        self.users = 0
        self._files = files

    def record(self, offset: int, stored: int) -> tuple[Record, bytes]:
        """The record at `offset` with its payload, as stored and unchecked but for the header.

        Raises Corrupt, OSError.
        """
        try:
            data = read_exactly(self.fd, offset, HEADER + stored)
        except Permanent:
            raise Corrupt(f"pack {self.key.id.hex()} ends before a record that was in it") from None
        return self.parse(data, stored)

    def cached(self, offset: int, stored: int) -> tuple[Record, bytes] | None:
        """The same when the page cache has it, without ever waiting for the disk."""
        buffer = bytearray(HEADER + stored)
        try:
            done = os.preadv(self.fd, [buffer], offset, os.RWF_NOWAIT)
        except OSError:  # EAGAIN: not in the cache; EOPNOTSUPP: the file system cannot say
            return None
        return self.parse(bytes(buffer), stored) if done == len(buffer) else None

    def parse(self, data: bytes, stored: int) -> tuple[Record, bytes]:
        record = parse_header(self.key.id, data)
        if record is None or record.stored != stored:
            raise Corrupt(f"pack {self.key.id.hex()} holds no such record where one was")
        return record, data[HEADER:]

    def close(self) -> None:
        self._files.give(self)

    def __enter__(self) -> PackFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class PackFiles:
    """The cache. A descriptor is closed when it is not kept any more and its last user is done."""

    def __init__(self, tree: Tree, most: int) -> None:
        self._tree = tree
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, PackFile] = OrderedDict()

    def take(self, key: PackKey) -> PackFile:
        """The pack, to be closed by the caller. Raises FileNotFoundError, OSError."""
        with self._lock:
            file = self._kept.get(key.id)
            if file is None:
                self._make_room()
                path = "/".join((*pack_folder(key.domain), pack_name(key.id)))
                file = PackFile(key, os.open(path, _READ, dir_fd=self._tree.fd), self)
                self._kept[key.id] = file
            self._kept.move_to_end(key.id)
            file.users += 1
            return file

    def give(self, file: PackFile) -> None:
        with self._lock:
            file.users -= 1
            if not file.users and self._kept.get(file.key.id) is not file:
                os.close(file.fd)

    def drop(self, key: PackKey) -> None:
        """Keep a pack no longer: it is deleted."""
        with self._lock:
            self._drop(key.id)

    def tidy(self) -> bool:
        """Let go of packs that were deleted, whose bytes only we hold. Whether any pack is kept still."""
        with self._lock:
            self._drop_deleted()
            return bool(self._kept)

    def lost(self, key: PackKey) -> Exception:
        """The error for a pack that is not where it should be: corrupt content, or a disk not mounted."""
        reason = self._tree.absent(PACKS, "")
        return Corrupt(f"pack {key.id.hex()} is gone") if not reason.args[0] else reason

    def close(self) -> None:
        with self._lock:
            for pack in list(self._kept):
                self._drop(pack)

    def _make_room(self) -> None:
        """Let go of packs that were deleted, and of the one unused longest."""
        self._drop_deleted()
        while len(self._kept) >= self._most:
            self._drop(next(iter(self._kept)))

    def _drop_deleted(self) -> None:
        for pack, file in list(self._kept.items()):
            if os.fstat(file.fd).st_nlink == 0:
                self._drop(pack)

    def _drop(self, pack: bytes) -> None:
        file = self._kept.pop(pack, None)
        if file is not None and not file.users:
            os.close(file.fd)
