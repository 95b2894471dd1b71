"""One mutation: it reads, decides and emits events, which change the views as they are appended (A3)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert

from registry.contract.events import Entry, Event, encode_entry, scope_of
from registry.control.sql import tables
from registry.control.sql.projection import Derived, Projection

_APPEND = insert(tables.events)


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
        self._projection = Projection(connection)

    def emit(self, event: Event, derived: Derived | None = None) -> int:
        """Append `event` to the ledger, change the views accordingly and return its sequence number.

        `derived` is what the views also take from bytes; a replay reads it from those bytes again.
        """
        entry = Entry(self._head.seq + 1, self.now, self._actor, event)
        self.connection.execute(
            _APPEND,
            {
                "seq": entry.seq,
                "time": entry.time,
                "kind": event.KIND,
                "scope": scope_of(event),
                "envelope": encode_entry(entry),
            },
        )
        self._projection.apply(entry, derived)
        self._head.seq = entry.seq
        self._head.time = entry.time
        return entry.seq
