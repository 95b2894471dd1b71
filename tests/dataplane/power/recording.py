"""A recorder of every change that this process makes to a folder, in the order in which they were made.

It stands between the data plane and the operating system by replacing functions of `os`; the content index,
whose file SQLite writes by itself, is recorded commit by commit.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from registry.dataplane.index.locks import LockFile
from registry.dataplane.index.sqlite import SqliteIndex
from registry.dataplane.packs import store as packs_store
from tests.dataplane.power.disk import (
    ROOT,
    Attribute,
    Change,
    Committed,
    Delete,
    Make,
    Move,
    Sync,
    Truncate,
    Write,
)
from tests.dataplane.power.expected import Said


class Recorder:
    """Changes below one folder, and between them what the test says it knows."""

    def __init__(self, root: Path) -> None:
        self.trace: list[Change | Said] = []
        #: Where in the trace the recording begins: what stands before was there.
        self.first = 0
        self._lock = threading.RLock()
        self._nodes: dict[tuple[int, int], int] = {}
        #: Every node stays open, so that its inode's number is given to no other: by an opening of its own,
        #: since a duplicate would share the locks of the one it was made from.
        self._held: list[int] = []
        self._real = {name: getattr(os, name) for name in ("open", "fstat", "stat", "lseek")}
        self._know(self._real["open"](root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), ROOT)
        self._take_in(root, ROOT)

    def say(self, said: Said) -> None:
        with self._lock:
            self.trace.append(said)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record while the block runs."""
        self.first = len(self.trace)
        with pytest.MonkeyPatch.context() as patch:
            for name in _CHANGES:
                patch.setattr(os, name, self._recorded(name))
            patch.setattr(packs_store, "SqliteIndex", self._recorded_index())
            yield

    def node_at(self, path: Path) -> int:
        """The number of a file that was recorded."""
        status = self._real["stat"](path)
        return self._nodes[status.st_dev, status.st_ino]

    def close(self) -> None:
        for fd in self._held:
            os.close(fd)
        self._held.clear()

    # --- nodes -----------------------------------------------------------------------------------------

    def _know(self, fd: int, node: int) -> None:
        status = self._real["fstat"](fd)
        self._held.append(fd)
        self._nodes[status.st_dev, status.st_ino] = node

    def _new(self, fd: int) -> int:
        node = len(self._nodes)
        self._know(fd, node)
        return node

    def _node(self, fd: int) -> int | None:
        status = self._real["fstat"](fd)
        return self._nodes.get((status.st_dev, status.st_ino))

    def _place(self, path: Any, folder: int | None) -> tuple[int | None, str]:
        """The node of the folder that `path` ends in, and the name there."""
        parent, name = os.path.split(os.fspath(path))
        status = self._real["stat"](parent or ".", dir_fd=folder)
        return self._nodes.get((status.st_dev, status.st_ino)), name

    def _take_in(self, folder: Path, node: int) -> None:
        """What was there before is sure."""
        for path in sorted(folder.iterdir()):
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            child = self._new(self._real["open"](path, flags))
            self.trace.append(Make(node, path.name, child, path.is_dir()))
            if path.is_dir():
                self._take_in(path, child)
            else:
                self.trace += [Write(child, 0, path.read_bytes()), Sync(child)]
        self.trace.append(Sync(node))

    # --- calls -----------------------------------------------------------------------------------------

    def _recorded(self, name: str) -> Callable[..., Any]:
        real, record = getattr(os, name), _CHANGES[name]

        def call(*args: Any, **options: Any) -> Any:
            with self._lock:
                before = self._real["lseek"](args[0], 0, os.SEEK_CUR) if name == "write" else 0
                result = real(*args, **options)
                record(self, result, before, *args, **options)
                return result

        return call

    def _opened(
        self, fd: int, _: int, path: Any, flags: int, mode: int = 0, dir_fd: int | None = None
    ) -> None:
        if flags & os.O_CREAT:
            folder, name = self._place(path, dir_fd)
            node = self._node(fd)
            if folder is not None and node is None:
                held = self._real["open"](path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=dir_fd)
                self.trace.append(Make(folder, name, self._new(held)))
            elif node is not None and flags & os.O_TRUNC:
                self.trace.append(Truncate(node, 0))

    def _made(self, _: None, __: int, path: Any, mode: int = 0, dir_fd: int | None = None) -> None:
        folder, name = self._place(path, dir_fd)
        if folder is not None:
            fd = self._real["open"](path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=dir_fd)
            self.trace.append(Make(folder, name, self._new(fd), True))

    def _written(self, done: int, before: int, fd: int, data: Any, offset: int | None = None) -> None:
        node = self._node(fd)
        if node is not None:
            parts = data if isinstance(data, list | tuple) else [data]
            whole = b"".join(bytes(part) for part in parts)
            self.trace.append(Write(node, before if offset is None else offset, whole[:done]))

    def _cut(self, _: None, __: int, fd: int, size: int) -> None:
        node = self._node(fd)
        if node is not None:
            self.trace.append(Truncate(node, size))

    def _synced(self, _: None, __: int, fd: int) -> None:
        node = self._node(fd)
        if node is not None:
            self.trace.append(Sync(node))

    def _data_synced(self, _: None, __: int, fd: int) -> None:
        node = self._node(fd)
        if node is not None:
            self.trace.append(Sync(node, data_only=True))

    def _moved(
        self,
        _: None,
        __: int,
        path: Any,
        to: Any,
        *,
        src_dir_fd: int | None = None,
        dst_dir_fd: int | None = None,
    ) -> None:
        folder, name = self._place(path, src_dir_fd)
        to_folder, to_name = self._place(to, dst_dir_fd)
        if folder is not None and to_folder is not None:
            self.trace.append(Move(folder, name, to_folder, to_name))

    def _deleted(self, _: None, __: int, path: Any, *, dir_fd: int | None = None) -> None:
        folder, name = self._place(path, dir_fd)
        if folder is not None:
            self.trace.append(Delete(folder, name))

    def _marked(self, _: None, __: int, fd: int, name: str, value: bytes | None = None) -> None:
        node = self._node(fd)
        if node is not None:
            self.trace.append(Attribute(node, name, value))

    # --- the content index -----------------------------------------------------------------------------

    def _recorded_index(self) -> type[SqliteIndex]:
        recorder = self

        class RecordedIndex(SqliteIndex):
            def __init__(self, path: Path, change_lock: LockFile) -> None:
                super().__init__(path, change_lock)
                recorder._committed(path, durable=False)

            @contextmanager
            def change(self) -> Iterator[Any]:
                with super().change() as change:
                    yield change
                recorder._committed(self._path, durable=False)

            def set_note(self, *note: Any) -> None:
                super().set_note(*note)
                recorder._committed(self._path, durable=True)

            def sync(self) -> None:
                super().sync()
                recorder._committed(self._path, durable=True)

        return RecordedIndex

    def _committed(self, path: Path, *, durable: bool) -> None:
        with self._lock, closing(sqlite3.connect(path)) as connection:
            self.trace.append(Committed(connection.serialize(), durable))


_CHANGES: dict[str, Callable[..., None]] = {
    "open": Recorder._opened,
    "mkdir": Recorder._made,
    "write": Recorder._written,
    "pwrite": Recorder._written,
    "pwritev": Recorder._written,
    "ftruncate": Recorder._cut,
    "fsync": Recorder._synced,
    "fdatasync": Recorder._data_synced,
    "rename": Recorder._moved,
    "replace": Recorder._moved,
    "unlink": Recorder._deleted,
    "rmdir": Recorder._deleted,
    "setxattr": Recorder._marked,
    "removexattr": Recorder._marked,
}
