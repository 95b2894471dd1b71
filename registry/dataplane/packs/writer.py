"""A pack being written: made, locked, appended to, and closed by its footer. Blocking."""

from __future__ import annotations

import errno
import fcntl
import os
import time
import uuid
from contextlib import suppress
from typing import NamedTuple

from registry.contract.dataplane import DomainId
from registry.dataplane.drivers.port import LARGEST_PIECE
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.packs.layout import (
    HEAD,
    NO_CHUNKER,
    Chunker,
    Head,
    Role,
    encode_end,
    encode_entry,
    encode_head,
    entry_of,
)
from registry.dataplane.packs.records import HEADER, Kind, Record, encode_header
from registry.dataplane.paths import PackKey, pack_folder, pack_name


def new_key(domain: DomainId) -> PackKey:
    return PackKey(domain, uuid.uuid4().bytes)


class _Kept(NamedTuple):
    """Bytes of the file, of its footer so far, and of payloads."""

    size: int
    footer: int
    payload: int


class PackWriter:
    """Owner of one unfinished pack: an exclusive `flock` on its file says so to every other process.

    Used by one thread at a time. Records gather in memory until `flush`. After an error everything since the
    last `keep` is cut off. A pack of which a sync failed, or which could not be cut, is `broken` and takes no
    more: the kernel may have dropped pages that later syncs and reads of the same file say nothing of.
    """

    def __init__(self, tree: Tree, key: PackKey, role: Role, chunker: Chunker = NO_CHUNKER) -> None:
        """Make the file of a pack that the index knows already, so that no crash leaves an unknown one."""
        self.key = key
        self._tree = tree
        self.broken = False
        self._fd = self._make()
        self._footer = bytearray()
        #: Payload bytes that something may need one day no more: all but those of tombstones.
        self.payload = 0
        self._kept = _Kept(0, 0, 0)
        self._dirty = False
        head = Head(key.id, key.domain, role, time.time_ns() // 1000, chunker)
        self._gathered: list[bytes] = [encode_head(head)]
        self._gathering = HEAD
        self._written = 0
        if role is Role.JOB:
            self._sync_head()

    def _make(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with self._tree.folder(pack_folder(self.key.domain), make=True) as folder:
            fd = os.open(pack_name(self.key.id), flags, 0o600, dir_fd=folder)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.fsync(folder)
            except BaseException:
                os.close(fd)
                with suppress(OSError):
                    os.unlink(pack_name(self.key.id), dir_fd=folder)
                raise
        return fd

    def _sync_head(self) -> None:
        """Say durably that this is a job's pack, before a power loss can leave records that seem a log's."""
        try:
            self.sync()
        except BaseException:
            self.close()
            raise

    @property
    def size(self) -> int:
        """Bytes of head and records, gathered ones included."""
        return self._written + self._gathering

    def add(self, record: Record, payload: bytes) -> int:
        """Gather a record and return its offset; large gatherings are written."""
        offset = self.size
        self._footer += encode_entry(entry_of(record, offset))
        self.payload += 0 if record.kind is Kind.TOMBSTONES else record.stored
        self._gathered += (encode_header(self.key.id, record), payload)
        self._gathering += HEADER + len(payload)
        if self._gathering >= LARGEST_PIECE:
            self.flush()
        return offset

    def flush(self) -> None:
        """Write what is gathered. Raises OSError, and everything since `keep` is gone then."""
        data = memoryview(b"".join(self._gathered))
        self._gathered, self._gathering = [], 0
        self._write(data)

    def _write(self, data: memoryview) -> None:
        done = 0
        self._dirty = True
        try:
            while done < len(data):
                done += os.pwrite(self._fd, data[done : done + LARGEST_PIECE], self._written + done)
        except OSError as error:
            self.broken = error.errno not in (errno.ENOSPC, errno.EDQUOT)
            self.undo()
            raise
        self._written += done

    def sync(self) -> None:
        """Make everything added durable. Raises OSError, and everything since `keep` is gone then."""
        self.flush()
        try:
            os.fdatasync(self._fd)
        except OSError:
            self.broken = True
            self.undo()
            raise

    def keep(self) -> None:
        """All that was synced counts from now on, whatever comes."""
        self._kept = _Kept(self._written, len(self._footer), self.payload)
        self._dirty = False

    @property
    def empty(self) -> bool:
        """Whether nothing was ever kept."""
        return not self._kept.size

    def undo(self) -> None:
        """Cut off what came since `keep`, durably: a record that nobody was promised must not come back when
        the index is made anew."""
        self._gathered, self._gathering = [], 0
        if self._dirty:
            try:
                os.ftruncate(self._fd, self._kept.size)
                if not self.broken:
                    os.fdatasync(self._fd)
            except OSError:
                self.broken = True
        self._written, self.payload = self._kept.size, self._kept.payload
        del self._footer[self._kept.footer :]
        self.broken = self.broken or self.empty  # its head is gone

    def finish(self) -> int:
        """Write footer and trailer durably and return the size of the file. Raises OSError."""
        self.flush()
        self._write(memoryview(encode_end(self.key.id, self._written, bytes(self._footer))))
        self.sync()
        return self._written

    def close(self) -> None:
        """Unlock and close. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
