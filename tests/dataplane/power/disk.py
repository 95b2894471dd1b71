"""A disk that loses power: what was synced is there, of what was not anything may be.

The rules are POSIX's, not those of one file system:

- Data of a file is sure after `fsync` or `fdatasync` of it. Until then each write may be lost, or torn at the
  borders of its sectors, independently of others; the file may have grown without it, and reads zeros there.
- An entry of a folder (a file made, renamed, deleted, a folder made) is sure after `fsync` of that folder.
  Until then each change may be lost, also when a later one was not.
- An extended attribute is sure after `fsync`. `fdatasync` does not promise it.
- A rename between two folders may leave both names, but never none.

The content index is a SQLite file, whose own writes nobody records: its images after each commit stand for
it (`Committed`). What SQLite promises with a WAL and `synchronous=NORMAL` is that after a power loss it is as
some commit left it, no older than the last one that was made durable.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from random import Random

from registry.dataplane.paths import INDEX, INDEX_FILE

SECTOR = 512
ROOT = 0


@dataclass(frozen=True)
class Make:
    """A file or folder `node` got its first name."""

    folder: int
    name: str
    node: int
    is_folder: bool = False


@dataclass(frozen=True)
class Write:
    node: int
    offset: int
    data: bytes


@dataclass(frozen=True)
class Truncate:
    node: int
    size: int


@dataclass(frozen=True)
class Attribute:
    """An extended attribute was set; None removed it."""

    node: int
    name: str
    value: bytes | None


@dataclass(frozen=True)
class Sync:
    """`fsync`, or `fdatasync` where only data is sure."""

    node: int
    data_only: bool = False


@dataclass(frozen=True)
class Move:
    folder: int
    name: str
    to_folder: int
    to_name: str


@dataclass(frozen=True)
class Delete:
    folder: int
    name: str


@dataclass(frozen=True)
class Committed:
    """The content index after a commit. `durable` waits for the disk, and so for all commits before it."""

    image: bytes
    durable: bool


Change = Make | Write | Truncate | Attribute | Sync | Move | Delete | Committed


class Fate(Enum):
    """What becomes of changes that were not synced."""

    NOTHING = "nothing of them is there"
    EVERYTHING = "all of them are there"
    SOME = "some are there, some torn"


@dataclass
class _File:
    data: bytes = b""
    attributes: dict[str, bytes] = field(default_factory=dict)
    pending: list[Write | Truncate | Attribute] = field(default_factory=list)


@dataclass
class _Entry:
    """A change of a folder: `name` leads to `node`, or nowhere. `follows` must be there for this to be."""

    name: str
    node: int | None
    follows: _Entry | None = None


@dataclass
class _Folder:
    entries: dict[str, int] = field(default_factory=dict)
    pending: list[_Entry] = field(default_factory=list)


class Disk:
    """The state of a disk, changed step by step."""

    def __init__(self) -> None:
        self._nodes: dict[int, _File | _Folder] = {ROOT: _Folder()}
        self._images: list[bytes | None] = [None]

    def apply(self, change: Change) -> None:
        match change:
            case Make(folder, name, node, is_folder):
                self._nodes[node] = _Folder() if is_folder else _File()
                self._folder(folder).pending.append(_Entry(name, node))
            case Write(node) | Truncate(node) | Attribute(node):
                self._file(node).pending.append(change)
            case Sync(node, data_only):
                self._sync(node, data_only)
            case Move(folder, name, to_folder, to_name):
                moved = self._now(folder)[name]
                arrived = _Entry(to_name, moved)
                self._folder(to_folder).pending.append(arrived)
                self._folder(folder).pending.append(_Entry(name, None, arrived))
            case Delete(folder, name):
                self._folder(folder).pending.append(_Entry(name, None))
            case Committed(image, durable):
                self._images = [image] if durable else [*self._images, image]

    def write_to(self, root: Path, fate: Fate, chance: Random) -> None:
        """Make below `root`, a new folder, one of the states that this disk may be in after a power loss."""
        kept = self._kept_entries(fate, chance)
        made: dict[int, Path] = {}

        def fill(node: int, path: Path) -> None:
            for name, child in _entries(self._folder(node), kept).items():
                below = path / name
                if isinstance(self._nodes[child], _Folder):
                    below.mkdir(mode=0o700)
                    fill(child, below)
                elif child in made:
                    os.link(made[child], below)
                else:
                    self._write_file(self._file(child), below, fate, chance)
                    made[child] = below

        root.mkdir(mode=0o700)
        fill(ROOT, root)
        image = self._image(fate, chance)
        if image is not None and (root / INDEX).is_dir():
            (root / INDEX / INDEX_FILE).write_bytes(image)

    # --- within ----------------------------------------------------------------------------------------

    def _file(self, node: int) -> _File:
        found = self._nodes[node]
        assert isinstance(found, _File)
        return found

    def _folder(self, node: int) -> _Folder:
        found = self._nodes[node]
        assert isinstance(found, _Folder)
        return found

    def _now(self, folder: int) -> dict[str, int]:
        found = self._folder(folder)
        return _entries(found, {id(entry) for entry in found.pending})

    def _sync(self, node: int, data_only: bool) -> None:
        found = self._nodes[node]
        if isinstance(found, _Folder):
            found.entries = self._now(node)
            found.pending = []
            return
        for change in found.pending:
            if isinstance(change, Attribute):
                if not data_only:
                    _set(found.attributes, change)
            else:
                found.data = _changed(found.data, change)
        found.pending = [change for change in found.pending if data_only and isinstance(change, Attribute)]

    def _kept_entries(self, fate: Fate, chance: Random) -> set[int]:
        kept: set[int] = set()
        entries = [
            entry for node in self._nodes.values() if isinstance(node, _Folder) for entry in node.pending
        ]
        waiting = {id(entry) for entry in entries}
        for entry in sorted(entries, key=lambda entry: entry.follows is not None):
            stays = fate is Fate.EVERYTHING or (fate is Fate.SOME and chance.random() < 0.5)
            after = entry.follows
            if stays and (after is None or id(after) not in waiting or id(after) in kept):
                kept.add(id(entry))
        return kept

    def _image(self, fate: Fate, chance: Random) -> bytes | None:
        if fate is Fate.SOME:
            return chance.choice(self._images)
        return self._images[-1 if fate is Fate.EVERYTHING else 0]

    def _write_file(self, file: _File, path: Path, fate: Fate, chance: Random) -> None:
        data, attributes = file.data, dict(file.attributes)
        for change in file.pending:
            if fate is Fate.NOTHING or (fate is Fate.SOME and chance.random() < 0.4):
                if fate is Fate.SOME and isinstance(change, Write) and chance.random() < 0.5:
                    data = data.ljust(change.offset + len(change.data), b"\0")  # grown, and nothing in it
                continue
            if isinstance(change, Attribute):
                _set(attributes, change)
            elif fate is Fate.SOME and isinstance(change, Write) and chance.random() < 0.5:
                data = _torn(data, change, chance)
            else:
                data = _changed(data, change)
        path.write_bytes(data)
        path.chmod(0o600)
        for name, value in attributes.items():
            with suppress(OSError):  # a file system without them: as if they had been lost
                os.setxattr(path, name, value)


def _entries(folder: _Folder, kept: set[int]) -> dict[str, int]:
    found = dict(folder.entries)
    for entry in folder.pending:
        if id(entry) not in kept:
            continue
        if entry.node is None:
            found.pop(entry.name, None)
        else:
            found[entry.name] = entry.node
    return found


def _set(attributes: dict[str, bytes], change: Attribute) -> None:
    if change.value is None:
        attributes.pop(change.name, None)
    else:
        attributes[change.name] = change.value


def _changed(data: bytes, change: Write | Truncate) -> bytes:
    if isinstance(change, Truncate):
        return data[: change.size].ljust(change.size, b"\0")
    end = change.offset + len(change.data)
    return data[: change.offset].ljust(change.offset, b"\0") + change.data + data[end:]


def _torn(data: bytes, change: Write, chance: Random) -> bytes:
    """Of a write, those parts that lie in sectors which chance kept."""
    end = change.offset + len(change.data)
    for start in range(change.offset - change.offset % SECTOR, end, SECTOR):
        if chance.random() < 0.5:
            first, last = max(start, change.offset), min(start + SECTOR, end)
            part = change.data[first - change.offset : last - change.offset]
            data = _changed(data, Write(change.node, first, part))
    return data
