"""What an export asks of the database, again and again: hot look-ups."""

from __future__ import annotations

#: When the first event behind that one happened.
OLDEST_AFTER = "SELECT time FROM events WHERE seq > :after ORDER BY seq LIMIT 1"
#: The last event, until when somebody holds the work, and how far it is (JSON).
LOOK = """
SELECT h.seq, COALESCE(l.expires_at, 0), p.state FROM ledger_head h
LEFT JOIN work_leases l ON l.work = :work LEFT JOIN work_progress p ON p.work = :work
"""
