"""What a store that is being filled takes over from another's ledger, a stretch in a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select, update

from registry.contract.errors import ErrorKind, StoreError
from registry.contract.events import ContentRemoved, ContentStored, Entry, scope_of
from registry.control.details import ManifestDetails
from registry.control.sql import closing, removals, replay
from registry.control.sql import tables as t
from registry.control.sql.replay import LiveManifest
from registry.control.sql.statements import insert_into, run_many

_APPEND = insert_into(t.events)


@dataclass(frozen=True, slots=True)
class Arrival:
    """An entry of the other ledger, and the very bytes that it is there."""

    entry: Entry
    envelope: bytes


def head(connection: Connection) -> tuple[int, int]:
    """Place and time of the last entry."""
    row = connection.execute(select(t.ledger_head.c.seq, t.ledger_head.c.time)).one()
    return row.seq, row.time


def last(connection: Connection) -> bytes | None:
    """The last entry; None in an empty ledger."""
    found = connection.scalar(select(t.events.c.envelope).order_by(t.events.c.seq.desc()).limit(1))
    return None if found is None else bytes(found)


def physical(connection: Connection) -> int:
    """Bytes of all content, each counted once."""
    return int(connection.scalar(select(t.store_usage.c.physical)) or 0)


def locations(connection: Connection) -> list[str]:
    """Where content lies, by what the ledger says."""
    return list(connection.scalars(select(t.location_usage.c.location)))


def check_holder(connection: Connection, run: str) -> None:
    """Raises CONFLICT where `run` is not the process that fills the store."""
    move = closing.reason(connection)
    if move is None or move.run != run:
        raise StoreError(
            ErrorKind.CONFLICT, "another process fills the target now, or has completed it: this one ends"
        )


def adopt(connection: Connection, after: int, arrivals: Sequence[Arrival], now: int) -> int:
    """Append entries of the other ledger as they are, views included; returns the place of the last.

    They follow the entry `after`; nothing is done when they are there already. Bytes of content that they
    remove are marked for the next collection, at `now` (microseconds), as if it had been removed here. Raises
    INTERNAL when they do not follow.
    """
    seq, time = head(connection)
    if seq == arrivals[-1].entry.seq:
        return seq
    rows = []
    for arrival in arrivals:
        entry = arrival.entry
        if entry.seq != seq + 1 or entry.time < time:
            raise StoreError(
                ErrorKind.INTERNAL, f"event {entry.seq} does not follow event {seq}: fsck names the fault"
            )
        seq, time = entry.seq, entry.time
        kind, scope = entry.event.KIND, scope_of(entry.event)
        rows.append({"seq": seq, "time": time, "kind": kind, "scope": scope, "envelope": arrival.envelope})
    run_many(connection, _APPEND, rows)
    replay.project(connection, [arrival.envelope for arrival in arrivals])
    connection.execute(update(t.ledger_head).values(seq=seq, time=time))
    _mark(connection, [arrival.entry for arrival in arrivals], now)
    return seq


def _mark(connection: Connection, entries: Sequence[Entry], now: int) -> None:
    move = closing.reason(connection)
    for entry in entries:
        if isinstance(entry.event, ContentStored):
            removals.forget_all(connection, entry.event.domain, entry.event.blake3)
    for entry in entries:
        if isinstance(entry.event, ContentRemoved) and (move is None or entry.seq > move.began):
            removals.note(
                connection,
                entry.event.domain,
                entry.event.blake3,
                sha256=None,
                size=entry.event.size,
                generation=entry.seq,
                now=now,
                due_at=now,
            )


def complete(
    connection: Connection, manifests: Sequence[tuple[LiveManifest, ManifestDetails]], detailed: int
) -> int:
    """Add what the bytes of manifests say: all up to the id `detailed` are complete then. Returns up to which
    they are."""
    move = closing.reason(connection)
    if move is None or move.detailed >= detailed:
        return detailed if move is None else move.detailed
    for manifest, details in manifests:
        replay.write_details(connection, manifest, details)
    closing.close(connection, replace(move, detailed=detailed))
    return detailed
