"""The `Driver` port: what a storage medium must do for the engine, in prose that the driver suite checks.

Two things live on a medium: *objects*, whole and immutable under a key, and *stages*, which grow until they
become an object or are dropped. A stage is worked on only through a *hold*, of which there is one at a time.
On a local disk a stage is a file and a hold its file lock; on an object store a stage is the series
of segments `uploads/<id>/<offset>`, copied together by the service at `Hold.commit`, and a hold is the
process's own: who else writes is noticed at the next segment.

Every method may raise Transient (try again later) and Permanent (somebody has to look); each lists what it
raises besides. **What is unsure is never Missing**: deletions and 404s trust it. Foreign exceptions of a
driver (OSError and the like) are classified by `guard`, so a driver itself raises only what it knows better.
A call whose task is cancelled either did not begin or runs to its end before the cancellation passes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from registry.contract.dataplane import DomainId, RestoreStatus

#: No single read or write is larger, in bytes: larger ones leave the CPU's cache and cost double.
LARGEST_PIECE = 1 << 20

Piece = bytes | bytearray | memoryview
Pieces = Sequence[Piece]


class DriverError(Exception):
    """What the medium answered. The text is one sentence for the operator and holds no secret."""


class Missing(DriverError):  # noqa: N818 - the port's own words
    """The medium works and surely holds nothing there."""


class Transient(DriverError):  # noqa: N818 - the port's own words
    """The medium cannot just now: trying again later may help."""


class Permanent(DriverError):  # noqa: N818 - the port's own words
    """The medium cannot, and trying again does not help."""


class Corrupt(DriverError):  # noqa: N818 - the port's own words
    """What the medium holds there is surely not what was stored: the bytes are held back."""


class Away(DriverError):  # noqa: N818 - the port's own words
    """The medium holds it, and cannot give it before somebody has asked for its restore."""


class Erased(DriverError):  # noqa: N818 - the port's own words
    """What is held there was made unreadable for good: its key was destroyed."""


class Full(DriverError):  # noqa: N818 - the port's own words
    """No room is left (disk, quota). What was there before is unharmed."""


class Locked(DriverError):  # noqa: N818 - the port's own words
    """The medium itself keeps what should go, under a retention or hold of its own."""


class Busy(DriverError):  # noqa: N818 - the port's own words
    """Somebody else, perhaps another process, has the hold of this stage."""


class Refused(DriverError):  # noqa: N818 - the port's own words
    """Somebody else deletes now: nothing was done, and the caller's right to it is gone for good."""


class Moved(DriverError):  # noqa: N818 - the port's own words
    """The stage is `length` bytes long, which is not where the caller wanted to go on."""

    def __init__(self, length: int) -> None:
        super().__init__(f"the stage is {length} bytes long")
        self.length = length


class Area(StrEnum):
    """The parts of a store that hold objects."""

    CONTENT = "content"
    QUARANTINE = "quarantine"


class ObjectKey(NamedTuple):
    """Where an object is: `hex` is the 64 digits of its BLAKE3. `paths.object_key` checks and makes it."""

    area: Area
    domain: DomainId
    hex: str


class StageKey(NamedTuple):
    """Which stage: `id` is a UUID in canonical form. `paths.stage_key` checks and makes it."""

    domain: DomainId
    id: str


class Standing(NamedTuple):
    """Whether an object is at hand: it is when `status` is AVAILABLE, until that moment (microseconds since
    the epoch; None for ever, or for as long as nobody knows). None: it is away, and nobody asked for it."""

    status: RestoreStatus | None
    until: int | None = None


class Usage(NamedTuple):
    """What content takes on the medium: `content` bytes for `objects` objects, and `dead` bytes beside them
    that deleting, compressing or moving left behind and tidying can free."""

    content: int
    objects: int
    dead: int = 0


@dataclass(frozen=True, slots=True)
class StageInfo:
    """A stage as found: `length` in bytes, `touched` in microseconds since the epoch.

    Two equal `revision`s of one stage mean that nobody changed a byte in between.
    """

    length: int
    touched: int
    revision: str


class OpenObject(Protocol):
    """An object held open: it stays readable although the key may be deleted meanwhile.

    A medium without open files raises Missing for what is read after that.
    """

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    @property
    def fd(self) -> int | None:
        """A descriptor of a plain file with exactly these bytes, for sendfile; None where there is none."""
        ...

    async def read(self, start: int, length: int) -> bytes:
        """Exactly `length` bytes (at most LARGEST_PIECE) from `start`; fewer held is Permanent.

        Raises Corrupt where the medium can tell.
        """
        ...

    def close(self) -> None:
        """Let go. Idempotent."""
        ...


class Hold(Protocol):
    """The one hold of a stage."""

    @property
    def found(self) -> StageInfo:
        """The stage as it was when the hold began, before `first` was written."""
        ...

    async def write(self, pieces: Pieces) -> None:
        """Append `pieces`, together at most LARGEST_PIECE. After an error none of them count. Raises Full.

        A medium that gathers may raise for what an earlier call took, and the stage is then as long as it
        says. One without locks raises Busy when it finds that somebody else has written meanwhile.
        """
        ...

    async def read(self, start: int, length: int) -> bytes:
        """Exactly `length` bytes (at most LARGEST_PIECE) of the stage; fewer held is Permanent."""
        ...

    async def settle(self) -> StageInfo:
        """End the writing: later holds find what was written, and the answer says how. Raises Full."""
        ...

    async def commit(self, key: ObjectKey) -> None:
        """Make the stage the object `key`, durable against power loss when this returns; the stage is gone.

        An object of that key and the same size stays as it is; one of another size is replaced. Killed at
        any instant, it leaves the stage or the object whole, perhaps both. After an error the stage is as
        it was, shorter where the medium lost some of it, or already the object where only the last sync
        failed. Raises Full.
        """
        ...

    async def drop(self) -> None:
        """Delete the stage. Need not be durable."""
        ...

    async def release(self) -> None:
        """Let others have the stage. Always called last; never suspends for long, never raises."""
        ...


class Driver(Protocol):
    """A storage medium."""

    async def put(self, key: ObjectKey, data: bytes) -> bool:
        """Write a whole object (a few MiB at most), durable on return, all or nothing.

        An object of that key stays as it is, whatever its size, and the answer is False: then the engine
        looks whether that one is right. Raises Full.
        """
        ...

    async def size(self, key: ObjectKey) -> int:
        """Bytes. Raises Missing."""
        ...

    async def open(self, key: ObjectKey) -> OpenObject:
        """Open for reading. Raises Missing, Away, and Corrupt for what cannot be opened because of it."""
        ...

    async def delete(self, key: ObjectKey, permit: str | None = None) -> int:
        """Delete durably and return the size it had. Raises Missing, Locked.

        With a `permit`, only while that is the one admitted last, by whatever process: Refused otherwise.
        Raises Busy while another process admits one.
        """
        ...

    async def admit(self, permit: str) -> None:
        """From the return on no deletion with another permit takes place, nor is one under way.

        It need not outlast the processes that delete. Raises Busy while such a deletion is under way.
        """
        ...

    async def set_aside(self, key: ObjectKey, to: ObjectKey) -> None:
        """Move what is held under `key` without having its BLAKE3 to `to`, durably, replacing what is there.

        What is sound stays, also when it comes while this looks: of two who found an object corrupt, the
        second must not take what a push brought after the first. Raises Missing, Away.
        """
        ...

    def objects(self, area: Area, domain: DomainId | None = None) -> AsyncIterator[tuple[ObjectKey, int]]:
        """Every object of the area (and domain) with its size, in no particular order.

        What changes during the walk may be seen or not; what only moves is seen, perhaps twice. Raises
        nothing more.
        """
        ...

    async def usage(self) -> Usage:
        """What content takes. May walk the store."""
        ...

    async def hold(self, stage: StageKey, offset: int | None = None, first: Pieces = ()) -> Hold:
        """Take the hold of a stage, making the stage when there is none, and write `first`.

        With `offset`, a stage of another length raises Moved, nothing written. `first` is as in
        `Hold.write`. Raises Busy at once when another has it, Moved, Full.
        """
        ...

    async def stage(self, stage: StageKey) -> StageInfo:
        """The stage as it is now, held or not. Raises Missing."""
        ...

    def stages(self) -> AsyncIterator[tuple[StageKey, StageInfo]]:
        """Every stage, in no particular order."""
        ...

    async def free(self) -> int | None:
        """Bytes that may still be written, None where nobody knows."""
        ...

    async def probe(self) -> None:
        """Write, sync and delete something small. Raises Full."""
        ...

    def close(self) -> None:
        """Let go of everything. Nothing else is called afterwards. Idempotent."""
        ...


class Restoring(Protocol):
    """What a medium can do besides that does not have everything at hand. It raises DriverErrors."""

    async def standing(self, key: ObjectKey) -> Standing:
        """Whether the object is at hand, asked anew. Raises Missing."""
        ...

    async def restore(self, key: ObjectKey) -> RestoreStatus:
        """Have it brought; AVAILABLE when it is at hand, and it stays so from now for as long as is set.

        May be asked again while it is under way. Raises Missing.
        """
        ...
