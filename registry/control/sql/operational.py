"""The tables that no replay knows, and what becomes of each when a store moves (decision 68)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Table, delete, select, tuple_

from registry.control.sql import tables as t
from registry.control.sql.statements import insert_into, run_many

_AT_ONCE = 1000

#: A row, column by column.
OperationalRow = dict[str, Any]


class Fate(StrEnum):
    """What becomes of a table's rows."""

    MOVES = "moves"
    STAYS = "stays"


#: Every operational table. What people or clients were promised moves; what is about bytes on one medium, or
#: about processes, stays.
FATES: dict[str, Fate] = {
    # Of upload sessions those that are complete: they answer for a day. The others have staged bytes.
    t.uploads.name: Fate.MOVES,
    t.drafts.name: Fate.MOVES,
    t.draft_files.name: Fate.MOVES,
    t.content_leases.name: Fate.MOVES,
    # Events name their ids.
    t.principals.name: Fate.MOVES,
    t.untagged_manifests.name: Fate.MOVES,
    # By which content goes to other locations.
    t.content_reads.name: Fate.MOVES,
    # A receiver has had what it has had, wherever the next event comes from.
    t.followers.name: Fate.MOVES,
    t.dead_letters.name: Fate.MOVES,
    # Processes.
    t.work_leases.name: Fate.STAYS,
    # The bytes on another medium: the target has deletions of its own to do, and reads everything anew.
    t.removals.name: Fate.STAYS,
    t.releases.name: Fate.STAYS,
    t.verifications.name: Fate.STAYS,
    t.work_progress.name: Fate.STAYS,
}

#: What does not move of a table that does.
_NOT = {t.uploads.name: t.uploads.c.content.is_(None)}


def moving_tables() -> Iterator[str]:
    """Those whose rows move."""
    return (name for name, fate in FATES.items() if fate is Fate.MOVES)


def page(connection: Connection, name: str, after: OperationalRow | None) -> list[OperationalRow]:
    """The rows of a table that move, in the order of its key, behind the row `after`."""
    table = _table(name)
    key = list(table.primary_key.columns)
    found = select(table).order_by(*key).limit(_AT_ONCE)
    if name in _NOT:
        found = found.where(~_NOT[name])
    if after is not None:
        found = found.where(tuple_(*key) > tuple_(*(after[column.name] for column in key)))
    return [dict(row) for row in connection.execute(found).mappings()]


def clear(connection: Connection, name: str) -> None:
    """Empty a table."""
    connection.execute(delete(_table(name)))


def add(connection: Connection, name: str, rows: Sequence[OperationalRow]) -> None:
    """Put rows into a table, where they may be already."""
    run_many(connection, f"{insert_into(_table(name))} ON CONFLICT DO NOTHING", rows)


def _table(name: str) -> Table:
    return t.operational.tables[name]
