"""One mutation: it reads, decides and emits events, which change the views as they are appended (A3)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from registry.contract.dataplane import DomainId
from registry.contract.digest import Digest
from registry.contract.events import Entry, Event, encode_entry, scope_of
from registry.control.details import ManifestDetails
from registry.control.sql import tables
from registry.control.sql.changes import Changes
from registry.control.sql.lookups import BlobRow, RepositoryRow
from registry.control.sql.projection import Derived, Projection
from registry.control.sql.statements import insert_into
from registry.control.sql.usage_deltas import UsageDeltas

_APPEND = insert_into(tables.events)


@dataclass(slots=True)
class Head:
    """The last entry's place and time (microseconds)."""

    seq: int
    time: int


class Transaction:
    """What a mutation works with. All of it commits together or not at all."""

    def __init__(self, connection: Connection, head: Head, now: int, actor: str) -> None:
        self.connection = connection
        #: The clock's reading for this mutation; the ledger's times never decrease.
        self.now = max(now, head.time)
        self._head = head
        self._actor = actor
        #: What the mutation has changed of the usage counters, for who commits to write.
        self.usage = UsageDeltas()
        self._changes = Changes(connection)
        self._projection = Projection(connection, self.usage, self._changes)

    def find_repository(self, name: str) -> RepositoryRow | None:
        """The repository of that name, as this mutation has left it so far."""
        return self._projection.find_repository(name)

    def find_blob(self, domain: DomainId, address: Digest) -> BlobRow | None:
        """The content with that address, as this mutation has left it so far."""
        return self._projection.find_blob(domain, address)

    def has_blob(self, repository: RepositoryRow, blob: BlobRow) -> bool:
        """Whether the content is one of the repository's blobs."""
        link = self._projection.find_link(repository, blob)
        return link is not None and link[0]

    def has_manifest(self, repository: RepositoryRow, blob: BlobRow) -> bool:
        """Whether the content is one of the repository's manifests."""
        return self._projection.find_manifest(repository, blob) is not None

    def restore_details(self, repository: RepositoryRow, blob: BlobRow, details: ManifestDetails) -> None:
        """Write anew what the bytes of a known manifest say. No event: nothing happens but to the views."""
        self._projection.restore_details(repository, blob, details)

    def emit(self, event: Event, derived: Derived | None = None) -> int:
        """Append `event` to the ledger, change the views accordingly and return its sequence number.

        `derived` is what the views also take from bytes; a replay reads it from those bytes again.
        """
        entry = Entry(self._head.seq + 1, self.now, self._actor, event)
        self._changes.run(
            _APPEND,
            seq=entry.seq,
            time=entry.time,
            kind=event.KIND,
            scope=scope_of(event),
            envelope=encode_entry(entry),
        )
        self._projection.apply(entry, derived)
        self._head.seq = entry.seq
        self._head.time = entry.time
        return entry.seq
