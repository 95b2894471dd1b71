"""What an export asks of the database, again and again: hot look-ups."""

from __future__ import annotations

#: When the first event behind that one happened.
OLDEST_AFTER = "SELECT time FROM events WHERE seq > :after ORDER BY seq LIMIT 1"
#: The last event, and until when somebody holds the work.
HEAD_AND_LEASE = """
SELECT h.seq, COALESCE(l.expires_at, 0) FROM ledger_head h LEFT JOIN work_leases l ON l.work = :work
"""
