"""Loose objects as files: where they are, in whichever form they were written.

Where a domain has had more than one form, an object may be there in several, each good; the first is read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from registry.contract.dataplane import DomainId
from registry.dataplane.drivers.forms import Form, Forms, Source
from registry.dataplane.drivers.port import Corrupt, ObjectKey, Permanent
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.paths import is_address, object_place

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class LooseFile(NamedTuple):
    """An open file; who opened it closes `fd`."""

    key: ObjectKey
    fd: int
    form: Form
    status: os.stat_result

    @property
    def size(self) -> int:
        """Bytes of content. Raises Corrupt."""
        return self.form.length(self.status.st_size)

    def source(self) -> Source:
        """Raises DriverErrors, OSError."""
        return self.form.source(self.key, self.fd, self.status.st_size)


class FileId(NamedTuple):
    """Tells a file from a later one under its name."""

    form: Form
    inode: int
    changed: int


class LooseFiles:
    """The loose objects of one store. Blocking, in any thread."""

    def __init__(self, tree: Tree, forms: Forms) -> None:
        self._tree = tree
        self._forms = forms

    def open(self, key: ObjectKey) -> LooseFile:
        """Raises FileNotFoundError, and Permanent for what is no plain file."""
        for path, form in self._paths(key):
            try:
                fd = os.open(path, _READ, dir_fd=self._tree.fd)
            except FileNotFoundError:
                continue
            try:
                return LooseFile(key, fd, form, _plain(os.fstat(fd)))
            except BaseException:
                os.close(fd)
                raise
        raise FileNotFoundError

    def size(self, key: ObjectKey) -> int:
        """Bytes of content; 0 for a file whose size says that it is damaged.

        Raises FileNotFoundError, Permanent."""
        for path, form in self._paths(key):
            try:
                status = os.stat(path, dir_fd=self._tree.fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            return _content_length(form, _plain(status).st_size)
        raise FileNotFoundError

    def id(self, key: ObjectKey) -> FileId:
        """Which file `open` opens. Raises FileNotFoundError."""
        for path, form in self._paths(key):
            try:
                status = os.stat(path, dir_fd=self._tree.fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            return FileId(form, status.st_ino, status.st_ctime_ns)
        raise FileNotFoundError

    def holds(self, key: ObjectKey) -> bool:
        """Whether it is there, in any form and condition."""
        try:
            self.id(key)
        except FileNotFoundError:
            return False
        return True

    def delete(self, key: ObjectKey) -> int:
        """Delete durably and return the bytes of content. Raises FileNotFoundError."""
        path, _ = object_place(key)
        with self._tree.folder(path) as folder:
            size = self.unlink(key, folder)
            os.fsync(folder)
        return size

    def unlink(self, key: ObjectKey, folder: int) -> int:
        """The same in its folder, which the caller has open, and syncs."""
        size = None
        for form in self._forms.of(key.domain):
            name = key.hex + form.suffix
            try:
                stored = os.stat(name, dir_fd=folder, follow_symlinks=False).st_size
                os.unlink(name, dir_fd=folder)
            except FileNotFoundError:
                continue
            size = (size or 0) + _content_length(form, stored)
        if size is None:
            raise FileNotFoundError
        return size

    def among(
        self, domain: DomainId, files: Sequence[tuple[str, os.stat_result]]
    ) -> Iterator[tuple[str, int]]:
        """Of the files of a folder the objects: the digits of the address, and bytes of content."""
        seen = set()
        for form in self._forms.of(domain):
            for name, status in files:
                address = name.removesuffix(form.suffix)
                if is_address(address) and address + form.suffix == name and address not in seen:
                    seen.add(address)
                    yield address, _content_length(form, status.st_size)

    def _paths(self, key: ObjectKey) -> Sequence[tuple[str, Form]]:
        path, name = object_place(key)
        return [("/".join((*path, name + form.suffix)), form) for form in self._forms.of(key.domain)]


def _content_length(form: Form, stored: int) -> int:
    try:
        return form.length(stored)
    except Corrupt:
        return 0


def _plain(status: os.stat_result) -> os.stat_result:
    if not stat.S_ISREG(status.st_mode):
        raise Permanent("where an object should be is something that is not a plain file")
    return status
