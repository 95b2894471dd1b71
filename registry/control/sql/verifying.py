"""When bytes were last found right, as rows: what a scrub reads next, and what the oldest age is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from registry.contract.dataplane import DomainId
from registry.contract.digest import Digest
from registry.control.sql.lookups import NOT_GONE

_NEXT = text("""
SELECT b.id, b.domain, b.content_address, b.size, b.state, COALESCE(v.verified_at, b.created_at),
    v.verified_at IS NOT NULL
FROM blobs b LEFT JOIN verifications v ON v.blob_id = b.id
WHERE b.id > :after ORDER BY b.id LIMIT :limit
""")
_VERIFIED = text("""
INSERT INTO verifications (blob_id, verified_at) VALUES (:blob_id, :verified_at)
ON CONFLICT (blob_id) DO UPDATE SET verified_at = excluded.verified_at
""")
#: Rows of content that has gone or is missing, a page of them at a time.
_STRAY = text(f"""
DELETE FROM verifications WHERE blob_id >= :low AND blob_id <= :high
AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.id = verifications.blob_id AND {NOT_GONE})
""")
_OLDEST = text("SELECT MIN(verified_at) FROM verifications")
_FIRST_UNREAD = text("""
SELECT created_at FROM blobs WHERE id > :after AND state = 'present' ORDER BY id LIMIT 1
""")
_MISSING = text("SELECT COUNT(*) FROM blobs WHERE state = 'missing'")


@dataclass(frozen=True, slots=True)
class ToVerify:
    """Content, and when its bytes were last known to be right (microseconds).

    `recorded` is False when that is its arrival, which no row says yet.
    """

    id: int
    domain: DomainId
    address: Digest
    size: int
    state: str
    verified_at: int
    recorded: bool


def following(connection: Connection, after: int, limit: int) -> list[ToVerify]:
    """Content with an id behind `after`, in order."""
    return [_to_verify(row) for row in connection.execute(_NEXT, {"after": after, "limit": limit})]


def verified(connection: Connection, times: Mapping[int, int]) -> None:
    """The bytes of content, by id, were right then (microseconds)."""
    if times:
        rows = [{"blob_id": blob_id, "verified_at": time} for blob_id, time in times.items()]
        connection.execute(_VERIFIED, rows)


def drop_stray(connection: Connection, low: int, high: int) -> None:
    """Forget content that has gone or is missing, among the ids from `low` to `high`."""
    connection.execute(_STRAY, {"low": low, "high": high})


def oldest(connection: Connection, highest: int) -> int | None:
    """When the content that was verified longest ago was; `highest` is the last id ever reached."""
    first = connection.scalar(_FIRST_UNREAD, {"after": highest})
    times = [time for time in (connection.scalar(_OLDEST), first) if time is not None]
    return min(times, default=None)


def count_missing(connection: Connection) -> int:
    """Content whose bytes are known to be gone."""
    return int(connection.scalar(_MISSING) or 0)


def _to_verify(row: Sequence[Any]) -> ToVerify:
    return ToVerify(row[0], DomainId(row[1]), Digest.parse(row[2]), row[3], row[4], row[5], bool(row[6]))
