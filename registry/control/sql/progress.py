"""How far a long piece of work has come: one JSON object each, kept over restarts."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from registry.control.sql.tables import work_progress


def load(connection: Connection, work: str) -> dict[str, Any]:
    """What was saved last, empty when nothing was."""
    found = connection.scalar(select(work_progress.c.state).where(work_progress.c.work == work))
    state: dict[str, Any] = json.loads(found) if found else {}
    return state


def save(connection: Connection, work: str, state: dict[str, Any]) -> None:
    """Replace what was saved."""
    text = json.dumps(state, separators=(",", ":"), sort_keys=True)
    saved = connection.execute(update(work_progress).where(work_progress.c.work == work).values(state=text))
    if saved.rowcount == 0:
        connection.execute(insert(work_progress), {"work": work, "state": text})


def drop(connection: Connection, work: str) -> None:
    """The work is done, nothing is to be resumed."""
    connection.execute(delete(work_progress).where(work_progress.c.work == work))
