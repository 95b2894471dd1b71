"""How content lies in files: as it is, or in a form of its own such as a sealed one.

A form says how long a file is for so much content, and how a stage's file grows and is read. Finding,
locking, syncing and renaming files is the same for all (local.py, staging.py).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from registry.contract.dataplane import DomainId
from registry.dataplane.drivers.port import LARGEST_PIECE, ObjectKey, OpenObject, Permanent, Piece, Pieces
from registry.dataplane.workers import Workers


class Step(NamedTuple):
    """What one write does to a stage's file: `buffers` go to `offset`, all in file bytes. Afterwards the
    stage has `length` bytes of content, and no later write changes the first `firm` bytes of its file."""

    offset: int
    buffers: Sequence[Piece]
    length: int
    firm: int


class StageForm(Protocol):
    """The content of one stage in its file. Blocking; used under the stage's lock."""

    @property
    def length(self) -> int:
        """Bytes of content."""
        ...

    @property
    def firm(self) -> int:
        """Bytes of the file that no later write changes."""
        ...

    def extended(self, pieces: Pieces) -> Step:
        """The write that appends `pieces`. Changes nothing. Raises DriverErrors, OSError."""
        ...

    def took(self, step: Step) -> None:
        """The write was done."""
        ...

    def restored(self) -> Sequence[Piece]:
        """What lies behind the firm bytes, written again where a write failed. Empty for nothing."""
        ...

    def cut(self, size: int) -> None:
        """The file was cut to `size` bytes, which were firm, or what lay behind its firm bytes is lost."""
        ...

    def finished(self, address: bytes) -> Sequence[Step]:
        """The writes that make the stage the object with that address (32 bytes), taken as done."""
        ...

    def read(self, start: int, length: int) -> bytes:
        """As `Hold.read`."""
        ...


class Source(Protocol):
    """An open object read from begin to end by who works in a thread."""

    def read(self, length: int) -> bytes:
        """The next bytes, at most so many and at least one before the end. Raises Corrupt, OSError."""
        ...


class Form(Protocol):
    """How the files of a domain hold content."""

    @property
    def suffix(self) -> str:
        """What names of such files end with."""
        ...

    def stored(self, length: int) -> int:
        """Bytes of a file with `length` bytes of content."""
        ...

    def length(self, stored: int) -> int:
        """Bytes of content in an object's file of `stored` bytes. Raises Corrupt when none has that size."""
        ...

    def staged(self, fd: int, stored: int) -> int:
        """Bytes of content in a stage's file of `stored` bytes, whoever may just be writing to it."""
        ...

    def stage(self, domain: DomainId, fd: int, stored: int) -> StageForm:
        """The stage in an open file of `stored` bytes."""
        ...

    def object(self, key: ObjectKey, fd: int, stored: int, workers: Workers) -> OpenObject:
        """The object in an open file, which it closes. Blocking. Raises DriverErrors, OSError."""
        ...

    def source(self, key: ObjectKey, fd: int, stored: int) -> Source:
        """The same for who works in a thread; leaves the file open."""
        ...


class Forms(Protocol):
    """Which form the files of a domain have."""

    def of(self, domain: DomainId) -> Sequence[Form]:
        """The form of what is written, then those that older files may have."""
        ...


def read_exactly(fd: int, start: int, length: int) -> bytes:
    """`length` bytes from `start`; raises Permanent when the file ends before."""
    data = os.pread(fd, min(length, LARGEST_PIECE), start)
    if len(data) == length:
        return data
    parts = [data]
    while (held := sum(map(len, parts))) < length:
        part = os.pread(fd, length - held, start + held)
        if not part:
            raise Permanent(f"a file ends at byte {start + held}, before the {start + length} bytes it had")
        parts.append(part)
    return b"".join(parts)
