"""Followers' places and dead letters, as rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select, text, update

from registry.contract.model import DeadLetter
from registry.control.sql.statements import Row
from registry.control.sql.tables import dead_letters, followers, ledger_head

#: A hot look-up: all that decides whether there is something to do.
LOOK = """
SELECT h.seq, f.cursor, f.stopped, f.failing, f.failing_since, f.attempts, f.streak, f.next_attempt_at,
    f.reason,
    EXISTS (SELECT 1 FROM dead_letters d WHERE d.follower = f.name AND d.queued = TRUE),
    COALESCE(l.expires_at, 0)
FROM ledger_head h LEFT JOIN followers f ON f.name = :name LEFT JOIN work_leases l ON l.work = :work
"""
#: A page of the ledger; what a follower leaves out need not be decoded.
FOLLOWING = "SELECT seq, kind, scope, envelope FROM events WHERE seq > :after ORDER BY seq LIMIT :limit"
FIRST = "SELECT envelope FROM events ORDER BY seq LIMIT 1"
QUEUED = """
SELECT e.seq, e.kind, e.scope, e.envelope FROM dead_letters d JOIN events e ON e.seq = d.seq
WHERE d.follower = :name AND d.queued = TRUE ORDER BY d.seq LIMIT :limit
"""
LETTERS = """
SELECT d.seq, e.kind, e.scope, d.died_at, d.attempts, d.reason, d.queued
FROM dead_letters d JOIN events e ON e.seq = d.seq
WHERE d.follower = :name AND d.seq > :after ORDER BY d.seq LIMIT :limit
"""
_COUNTS = text("""
SELECT f.*, h.seq AS head,
    (SELECT COUNT(*) FROM dead_letters d WHERE d.follower = f.name) AS dead,
    (SELECT COUNT(*) FROM dead_letters d WHERE d.follower = f.name AND d.queued = TRUE) AS queued,
    (SELECT e.time FROM events e WHERE e.seq > f.cursor ORDER BY e.seq LIMIT 1) AS waiting_since
FROM followers f, ledger_head h ORDER BY f.name
""")


@dataclass(frozen=True, slots=True)
class Place:
    """How far a follower is (`cursor`: all up to there is settled), and how it fares with the next event."""

    cursor: int
    failing: int | None = None
    failing_since: int | None = None
    attempts: int = 0
    streak: int = 0
    next_attempt_at: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What a follower sees when it looks up. `place` is None before its first time; times in microseconds."""

    head: int
    place: Place | None
    stopped: bool
    queued: bool
    held_until: int


@dataclass(frozen=True, slots=True)
class FollowerRow:
    """A follower with its counts. `waiting_since` is when the first event beyond its place happened."""

    name: str
    place: Place
    stopped: bool
    delivered: int
    delivered_at: int | None
    failures: int
    head: int
    dead: int
    queued: int
    waiting_since: int | None


def read_look(row: Row) -> Look:
    """What `LOOK` has found."""
    head, cursor, stopped, failing, since, attempts, streak, next_attempt_at, reason, queued, held = row
    place = None
    if cursor is not None:
        place = Place(cursor, failing, since, attempts, streak, next_attempt_at, reason)
    return Look(head, place, bool(stopped), bool(queued), held)


def read_letter(row: Row) -> DeadLetter:
    """What `LETTERS` has found."""
    return DeadLetter(row[0], row[1], row[2], row[3], row[4], row[5], bool(row[6]))


def head(connection: Connection) -> int:
    """The last seq, inside a transaction."""
    return int(connection.scalar(select(ledger_head.c.seq)) or 0)


def enrol(connection: Connection, name: str, cursor: int) -> None:
    """Give a new follower its place; one that has one keeps it."""
    if connection.scalar(select(followers.c.name).where(followers.c.name == name)) is None:
        row = {"name": name, "stopped": False, "delivered": 0, "failures": 0, **asdict(Place(cursor))}
        connection.execute(insert(followers), row)


def save(
    connection: Connection,
    name: str,
    before: int,
    place: Place,
    *,
    delivered: int = 0,
    failures: int = 0,
    now: int,
) -> bool:
    """Move from the place whose cursor was `before`. False when somebody has put it elsewhere meanwhile."""
    values: dict[str, Any] = asdict(place)
    values["failures"] = followers.c.failures + failures
    if delivered:
        values |= {"delivered": followers.c.delivered + delivered, "delivered_at": now}
    moved = connection.execute(
        update(followers).where(followers.c.name == name, followers.c.cursor == before).values(values)
    )
    return moved.rowcount == 1


def set_stopped(connection: Connection, name: str, *, stopped: bool) -> None:
    """Stop a follower, or let it go on."""
    connection.execute(update(followers).where(followers.c.name == name).values(stopped=stopped))


def row_of(connection: Connection, name: str) -> FollowerRow | None:
    """One follower."""
    return next((row for row in rows(connection) if row.name == name), None)


def rows(connection: Connection) -> Sequence[FollowerRow]:
    """All that ever had a place, by name."""
    return [_row(found) for found in connection.execute(_COUNTS).mappings()]


def _row(found: RowMapping) -> FollowerRow:
    place = Place(
        found["cursor"],
        found["failing"],
        found["failing_since"],
        found["attempts"],
        found["streak"],
        found["next_attempt_at"],
        found["reason"],
    )
    return FollowerRow(
        found["name"],
        place,
        bool(found["stopped"]),
        found["delivered"],
        found["delivered_at"],
        found["failures"],
        found["head"],
        found["dead"],
        found["queued"],
        found["waiting_since"],
    )


def forget(connection: Connection, name: str) -> None:
    """Drop a follower's place and dead letters."""
    connection.execute(delete(dead_letters).where(dead_letters.c.follower == name))
    connection.execute(delete(followers).where(followers.c.name == name))


def bury(connection: Connection, name: str, seq: int, attempts: int, reason: str, now: int) -> None:
    """Add a dead letter. One that is there already gets the new reason, and is queued no more."""
    there = (dead_letters.c.follower == name, dead_letters.c.seq == seq)
    values = {"died_at": now, "reason": reason, "queued": False}
    changed = connection.execute(
        update(dead_letters).where(*there).values(attempts=dead_letters.c.attempts + attempts, **values)
    )
    if changed.rowcount == 0:
        connection.execute(
            insert(dead_letters), {"follower": name, "seq": seq, "attempts": attempts, **values}
        )


def settle(connection: Connection, name: str, seqs: Sequence[int]) -> None:
    """Drop dead letters that were taken after all."""
    if seqs:
        connection.execute(
            delete(dead_letters).where(dead_letters.c.follower == name, dead_letters.c.seq.in_(seqs))
        )


def queue(connection: Connection, name: str, seqs: Sequence[int] | None) -> int:
    """Let dead letters be tried again, all where `seqs` is None; how many that are."""
    which = [dead_letters.c.follower == name]
    if seqs is not None:
        which.append(dead_letters.c.seq.in_(seqs))
    return connection.execute(update(dead_letters).where(*which).values(queued=True)).rowcount


def missing(connection: Connection, name: str, seqs: Sequence[int]) -> list[int]:
    """Those of `seqs` that are no dead letters."""
    found = connection.scalars(
        select(dead_letters.c.seq).where(dead_letters.c.follower == name, dead_letters.c.seq.in_(seqs))
    ).all()
    return sorted(set(seqs) - set(found))
