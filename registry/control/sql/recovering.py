"""A ledger written back from its export, as rows; and the mark of a recovery that has not ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from registry.contract.events import Entry, decode_entry, scope_of
from registry.control.sql import lookups, progress
from registry.control.sql import tables as t
from registry.control.sql.statements import insert_into, rows, run_many

#: The row of progress that says so.
WORK = "recovery"
_APPEND = insert_into(t.events)


def begun(connection: Connection) -> dict[str, Any]:
    """What an unfinished recovery has noted; empty where there is none."""
    return progress.load(connection, WORK)


def begin(connection: Connection, size: int, root: str) -> None:
    """Note that the ledger with that root is being recovered."""
    progress.save(connection, WORK, {"size": size, "root": root})


def head(connection: Connection) -> int:
    """The last event."""
    return int(connection.scalar(select(t.ledger_head.c.seq)) or 0)


def envelopes(connection: Connection, start: int, count: int) -> list[bytes]:
    """Events behind `start`, as they were written."""
    return [bytes(row[0]) for row in rows(connection, lookups.EVENTS_PAGE, after=start, limit=count)]


def append(connection: Connection, start: int, entries: Sequence[bytes]) -> None:
    """Write events behind `start`, the head, byte for byte. Raises StoreError INTERNAL for a newer program's.

    Raises LookupError for an entry that is not in its place.
    """
    found = [(decode_entry(envelope), envelope) for envelope in entries]
    for place, (entry, _) in enumerate(found, start + 1):
        if entry.seq != place:
            raise LookupError(f"the event in place {place} of the export is event {entry.seq}")
    run_many(connection, _APPEND, [_row(entry, envelope) for entry, envelope in found])
    last = found[-1][0]
    connection.execute(update(t.ledger_head).values(seq=last.seq, time=last.time))


def restore_follower(connection: Connection, name: str, cursor: int, *, stopped: bool) -> None:
    """Put a follower where it was, unless it has begun anew meanwhile."""
    if connection.scalar(select(t.followers.c.name).where(t.followers.c.name == name)) is None:
        row = {"name": name, "cursor": cursor, "stopped": stopped}
        zeros = {"delivered": 0, "failures": 0, "attempts": 0, "streak": 0, "next_attempt_at": 0}
        connection.execute(insert(t.followers), {**row, **zeros})


def _row(entry: Entry, envelope: bytes) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "time": entry.time,
        "kind": entry.event.KIND,
        "scope": scope_of(entry.event),
        "envelope": envelope,
    }
