"""The `ContentIndex` port (decision 9): which place in which pack holds an object or a chunk.

It holds nothing that the packs do not say: it may be thrown away and made again (packs/recovery.py). Reading
calls take microseconds and may come from any thread, the loop's included. All changes go through `change()`,
of which there is one at a time among all processes of the store. Every call may raise Transient, Permanent
and, where something is written, Full.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from enum import IntEnum
from typing import NamedTuple, Protocol

from registry.contract.dataplane import DomainId
from registry.dataplane.packs.records import Grave, Kind
from registry.dataplane.paths import PackKey


class Place(NamedTuple):
    """A record's place: `offset` of its header in the pack, `stored` payload bytes, `raw` as it says."""

    pack: PackKey
    offset: int
    stored: int
    raw: int
    kind: Kind


class PackState(IntEnum):
    """The life of a pack."""

    OPEN = 1
    """A log that its owner still appends to, or that an owner who died left without a footer."""
    WRITING = 2
    """A job's pack that is not finished; worthless once its owner is gone."""
    CLOSED = 3
    DELETING = 4
    """Nothing points there any more; its file may go, and then this row."""


class PackRow(NamedTuple):
    """A pack: bytes of the file, of payloads, and of payloads that something needs; last loss of any (µs)."""

    key: PackKey
    state: PackState
    size: int
    payload: int
    live: int
    changed: int


class ListedObject(NamedTuple):
    domain: DomainId
    address: bytes
    raw: int


class Lookups(Protocol):
    """What can be asked."""

    def find(self, domain: DomainId, address: bytes) -> Place | None:
        """A place of the object; there may be several, where two processes stored it at once."""
        ...

    def places(self, domain: DomainId, address: bytes) -> list[Place]:
        """Every place of the object."""
        ...

    def chunk(self, domain: DomainId, digest: bytes) -> Place | None:
        """The place of a chunk or list."""
        ...

    def objects(
        self, domain: DomainId | None, after: tuple[DomainId, bytes] | None, limit: int
    ) -> list[ListedObject]:
        """Up to `limit` objects in order of (domain, address) that follow `after`, each once."""
        ...

    def packs(self, *states: PackState) -> list[PackRow]:
        """Every pack in one of the states; all without."""
        ...

    def pack(self, key: PackKey) -> PackRow | None: ...

    def lost_chunks(self, domain: DomainId) -> set[bytes]:
        """Digests of chunks and lists that recipes name and no pack holds (any more)."""
        ...

    def owed(self, domain: DomainId, digest: bytes) -> list[Grave]:
        """Records of that digest which were taken out, and whose tombstones are not known to be synced."""
        ...

    def debts(self) -> dict[DomainId, list[Grave]]:
        """All of those, by domain."""
        ...

    def idle_lists(self, domain: DomainId, quiet: int, limit: int) -> list[tuple[bytes, Place]]:
        """Lists that no recipe names, in packs that lost nothing since `quiet` (µs): their chunks are to be
        released."""
        ...

    def totals(self) -> tuple[int, int, int]:
        """Objects, live payload bytes, and bytes in pack files beside those."""
        ...


class Change(Lookups, Protocol):
    """What can be changed, all together or not at all."""

    def put_pack(self, key: PackKey, state: PackState, size: int, payload: int) -> None: ...

    def forget_pack(self, key: PackKey) -> None:
        """Drop the pack and whatever still pointed there."""
        ...

    def add_object(self, domain: DomainId, address: bytes, place: Place) -> bool:
        """False when it was there, at that very place."""
        ...

    def drop_object(self, domain: DomainId, address: bytes, place: Place) -> bool:
        """Whether it was there."""
        ...

    def move_object(self, domain: DomainId, address: bytes, place: Place, to: Place) -> bool:
        """Whether it was still at `place`."""
        ...

    def add_chunk(self, domain: DomainId, digest: bytes, place: Place) -> bool:
        """Give a chunk that has none a place; False when it has one already."""
        ...

    def move_chunk(self, domain: DomainId, digest: bytes, place: Place, to: Place | None) -> bool:
        """Move a chunk that is still at `place`; to nowhere when its bytes turned out bad. Whether it was."""
        ...

    def retain(self, domain: DomainId, digests: Mapping[bytes, int]) -> None:
        """Count more uses of chunks. One that is not there yet is waited for, without a place."""
        ...

    def release(self, domain: DomainId, digests: Mapping[bytes, int]) -> int:
        """Count fewer uses; returns the stored bytes that nothing uses any more and a rewrite frees."""
        ...

    def release_all(self, domain: DomainId, after: bytes, limit: int) -> bytes | None:
        """In a domain without objects count no uses any more, of the next `limit` chunks behind the digest
        `after`. Returns the digest to go on behind; None at the end, or when there is an object.

        For recipes that nobody could read when they were removed: their domain's key was destroyed.
        """
        ...

    def owe(self, domain: DomainId, graves: Sequence[Grave]) -> None:
        """Note that tombstones for these are to follow."""
        ...

    def paid(self, domain: DomainId, graves: Sequence[Grave]) -> None:
        """Note that tombstones for these were synced."""
        ...

    def drop_chunk(self, domain: DomainId, digest: bytes, place: Place) -> bool:
        """Forget an unused chunk that is at `place`. Whether it was."""
        ...


class ContentIndex(Lookups, Protocol):
    """The index of one store, open."""

    def change(self) -> AbstractContextManager[Change]:
        """One change: what was done counts when the block ends without an exception."""
        ...

    def faults(self) -> list[str]:
        """What is wrong with the file. Reads all of it. Raises Permanent when it cannot be read."""
        ...

    def sync(self) -> None:
        """Return when every change so far survives a power loss: before something is deleted for it."""
        ...

    def close(self) -> None:
        """Idempotent."""
        ...
