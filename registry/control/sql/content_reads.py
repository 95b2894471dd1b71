"""When content was last asked for, as rows."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from registry.control.sql.statements import rows, run, run_many

_NOTE = """
INSERT INTO content_reads (blob_id, read_at) VALUES (:blob_id, :read_at)
ON CONFLICT (blob_id) DO UPDATE SET read_at = excluded.read_at
    WHERE content_reads.read_at < excluded.read_at
"""
_BETWEEN = "SELECT blob_id, read_at FROM content_reads WHERE blob_id BETWEEN :low AND :high"
_LAST = text("SELECT read_at FROM content_reads WHERE blob_id = :blob_id")
#: Rows of content that has gone, a page of them at a time.
_STRAY = """
DELETE FROM content_reads WHERE blob_id BETWEEN :low AND :high
AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.id = content_reads.blob_id)
"""


def note(connection: Connection, blob_ids: Sequence[int], now: int) -> None:
    """Contents were asked for by then (microseconds)."""
    run_many(connection, _NOTE, [{"blob_id": blob_id, "read_at": now} for blob_id in sorted(blob_ids)])


def between(connection: Connection, low: int, high: int) -> dict[int, int]:
    """When contents with such ids were last asked for (microseconds), where that is known."""
    return {int(row[0]): int(row[1]) for row in rows(connection, _BETWEEN, low=low, high=high)}


def last(connection: Connection, blob_id: int) -> int:
    """When one content was last asked for; 0 where that is not known."""
    return int(connection.scalar(_LAST, {"blob_id": blob_id}) or 0)


def drop_stray(connection: Connection, low: int, high: int) -> None:
    """Forget content that has gone, among the ids from `low` to `high`."""
    run(connection, _STRAY, low=low, high=high)
