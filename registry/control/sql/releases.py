"""Bytes that leave one location while another has them, as rows: between the event and the deletion.

The states are those of removals (sql/removals.py), for the same reasons: `pending` is taken back by whoever
brings the bytes to that location again, `releasing` is waited for, and with `failed` and `done` it is looked
whether the bytes are there. `since` never repeats within a row, so that it names one state of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from registry.contract.dataplane import DomainId
from registry.contract.digest import Digest
from registry.control.sql.statements import first, rows, run, run_many

PENDING, RELEASING, FAILED, DONE = "pending", "releasing", "failed", "done"

#: For `Database.fetch_one`: the state of one release.
RELEASE = """
SELECT state, since, size FROM releases
WHERE domain = :domain AND content_address = :content_address AND location = :location
"""

_NOTE = """
INSERT INTO releases (domain, content_address, location, size, state, since, due_at)
VALUES (:domain, :content_address, :location, :size, 'pending', :since, :due_at)
ON CONFLICT (domain, content_address, location) DO UPDATE SET size = excluded.size,
    state = excluded.state, due_at = excluded.due_at,
    since = CASE WHEN excluded.since > releases.since THEN excluded.since ELSE releases.since + 1 END
    WHERE releases.state IN ('pending', 'done')
"""

#: Whether the release still is what the ledger says: another location has the content, and this one not.
_DUE = """
SELECT q.domain, q.content_address, q.location, q.size, q.since,
    EXISTS (SELECT 1 FROM blobs b JOIN storage_locations l ON l.blob_id = b.id
            WHERE b.domain = q.domain AND b.content_address = q.content_address
            AND b.state NOT IN ('missing', 'erased'))
    AND NOT EXISTS (SELECT 1 FROM blobs b JOIN storage_locations l ON l.blob_id = b.id
            WHERE b.domain = q.domain AND b.content_address = q.content_address
            AND l.location = q.location)
FROM releases q WHERE q.state = :state AND q.due_at <= :now ORDER BY q.due_at LIMIT :limit
"""
_IS = "domain = :domain AND content_address = :content_address AND location = :location"
_LATER = "since = CASE WHEN since < :now THEN :now ELSE since + 1 END"
_CLAIMED = f"{_IS} AND state = 'releasing' AND since = :claimed"
_CLAIM = f"UPDATE releases SET state = 'releasing', since = :claimed WHERE {_IS}"
_DROP = f"DELETE FROM releases WHERE {_IS}"
_FORGET = f"{_DROP} AND state IN ('failed', 'done') AND since = :since"
_FINISH = f"UPDATE releases SET state = 'done', {_LATER} WHERE {_CLAIMED}"
_FAIL = f"UPDATE releases SET state = 'failed', due_at = :due_at, {_LATER} WHERE {_CLAIMED}"
_STANDS = f"SELECT 1 FROM releases WHERE {_CLAIMED}"
_PUT_OFF = f"""
UPDATE releases SET due_at = CASE WHEN due_at < :until THEN :until ELSE due_at END
WHERE {_IS} AND state IN ('pending', 'failed')
"""
_FIND = "SELECT domain, content_address, location, size, since FROM releases"
_BEGUN = f"{_FIND} WHERE state = 'releasing' LIMIT :limit"
_ENDED = f"{_FIND} WHERE state = 'done' AND due_at <= :before AND since <= :before LIMIT :limit"
_IS_DUE = "SELECT 1 FROM releases WHERE state = :state AND due_at <= :now LIMIT 1"
_WAITING = "SELECT COUNT(*), COALESCE(SUM(size), 0), MIN(due_at) FROM releases WHERE state <> 'done'"


@dataclass(frozen=True, slots=True)
class Release:
    """Bytes that go from one location. `size` is in bytes; `since` names the claim."""

    domain: DomainId
    address: Digest
    location: str
    size: int
    since: int


def note(
    connection: Connection,
    domain: DomainId,
    address: Digest,
    location: str,
    *,
    size: int,
    now: int,
    due_at: int,
) -> None:
    """Write down that bytes shall go from that location at `due_at`."""
    key = _key(domain, address, location)
    run(connection, _NOTE, **key, size=size, since=now, due_at=due_at)


def state(connection: Connection, domain: DomainId, address: Digest, location: str) -> str | None:
    """The state of a release; None when nothing goes from there."""
    row = first(connection, RELEASE, **_key(domain, address, location))
    return str(row[0]) if row else None


def take_back(connection: Connection, domain: DomainId, address: Digest, location: str) -> None:
    """Let the bytes stay: they are wanted there again."""
    run(connection, _DROP, **_key(domain, address, location))


def put_off(connection: Connection, domain: DomainId, address: Digest, location: str, until: int) -> None:
    """Let a release that has not begun wait at least until then (microseconds)."""
    run(connection, _PUT_OFF, **_key(domain, address, location), until=until)


def claim(connection: Connection, now: int, limit: int) -> list[Release]:
    """Begin to delete what is due, `limit` at most of each kind. What the ledger took back is forgotten."""
    claimed: list[Release] = []
    for state in (PENDING, FAILED):
        for *found, stands in rows(connection, _DUE, state=state, now=now, limit=limit):
            release = _release(found)
            if stands:
                claimed.append(replace(release, since=max(now, release.since + 1)))
            else:
                run(connection, _DROP, **_named(release))
    run_many(connection, _CLAIM, [_claimed(release) for release in claimed])
    return claimed


def begun(connection: Connection, limit: int) -> list[Release]:
    """Deletions that somebody has begun and not ended."""
    return [_release(row) for row in rows(connection, _BEGUN, limit=limit)]


def ended(connection: Connection, before: int, limit: int) -> list[Release]:
    """Deletions that ended before then (microseconds)."""
    return [_release(row) for row in rows(connection, _ENDED, before=before, limit=limit)]


def forget(connection: Connection, release: Release) -> None:
    """The bytes were seen to be there after the row came to that state, so nobody need ask any more."""
    run(connection, _FORGET, **_named(release), since=release.since)


def finish(connection: Connection, release: Release, now: int) -> None:
    """The bytes are gone from there. Nothing happens when somebody has ended the claim meanwhile."""
    run(connection, _FINISH, **_claimed(release), now=now)


def fail(connection: Connection, release: Release, due_at: int, now: int) -> None:
    """The deletion did not come to its end: again at `due_at`. Nothing happens as in `finish`."""
    run(connection, _FAIL, **_claimed(release), due_at=due_at, now=now)


def stands(connection: Connection, release: Release) -> bool:
    """Whether the deletion is under way by that very claim."""
    return first(connection, _STANDS, **_claimed(release)) is not None


def is_due(connection: Connection, now: int) -> bool:
    """Whether something may be deleted by now."""
    return any(first(connection, _IS_DUE, state=state, now=now) for state in (PENDING, FAILED))


def waiting(connection: Connection) -> tuple[int, int, int | None]:
    """What still has to go: how many, how many bytes, and when the first is due (microseconds)."""
    found = rows(connection, _WAITING)[0]
    return int(found[0]), int(found[1]), found[2]


def _key(domain: DomainId, address: Digest, location: str) -> dict[str, str]:
    return {"domain": domain, "content_address": str(address), "location": location}


def _named(release: Release) -> dict[str, str]:
    return _key(release.domain, release.address, release.location)


def _claimed(release: Release) -> dict[str, Any]:
    return {**_named(release), "claimed": release.since}


def _release(row: Sequence[Any]) -> Release:
    return Release(DomainId(row[0]), Digest.parse(row[1]), row[2], int(row[3]), int(row[4]))
