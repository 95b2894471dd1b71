"""SQL text with `:named` parameters, run on the driver's own cursor.

The ledger's writer and the hot look-ups run the same few dozen statements all day. SQLAlchemy's execution
costs 30 to 100 µs a statement, the driver's 3 to 10, so these go past it: through the connection that the
engine and its pool have made, on either engine. What is rare is written with SQLAlchemy's expressions.
Errors are the driver's; `registry.control.sql.faults` knows them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table

#: A row, by position.
Row = Sequence[Any]

_NAMED = re.compile(r"(?<![:\w]):([a-z][a-z0-9_]*)")


def first(connection: Connection, statement: str, **parameters: Any) -> Row | None:
    """The first row inside a transaction or snapshot."""
    cursor = _execute(connection, statement, parameters)
    row: Row | None = cursor.fetchone()
    cursor.close()
    return row


def rows(connection: Connection, statement: str, **parameters: Any) -> list[Row]:
    """All rows inside a transaction or snapshot."""
    cursor = _execute(connection, statement, parameters)
    found: list[Row] = cursor.fetchall()
    cursor.close()
    return found


def run(connection: Connection, statement: str, **parameters: Any) -> int:
    """Change rows; returns how many."""
    cursor = _execute(connection, statement, parameters)
    changed = int(cursor.rowcount)
    cursor.close()
    return changed


def run_many(connection: Connection, statement: str, each: Sequence[Mapping[str, Any]]) -> None:
    """Run a statement once for each set of parameters."""
    if not each:
        return
    cursor = connection.connection.cursor()
    if _knows_names(connection):
        cursor.executemany(statement, each)
    else:
        text, names = numbered(statement)
        cursor.executemany(text, [tuple(parameters[name] for name in names) for parameters in each])
    cursor.close()


def insert_into(table: Table) -> str:
    """The statement that adds one row, every column given."""
    columns = [column.name for column in table.columns]
    return f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({', '.join(f':{c}' for c in columns)})"


def _execute(connection: Connection, statement: str, parameters: Mapping[str, Any]) -> Any:
    cursor = connection.connection.cursor()
    if _knows_names(connection):
        cursor.execute(statement, parameters)
    else:
        text, names = numbered(statement)
        cursor.execute(text, tuple(parameters[name] for name in names))
    return cursor


def _knows_names(connection: Connection) -> bool:
    """SQLite takes `:name` as it stands; asyncpg takes `$1`."""
    return connection.dialect.name == "sqlite"


@lru_cache(maxsize=512)
def numbered(statement: str) -> tuple[str, tuple[str, ...]]:
    """For asyncpg: the statement with `$1`… and the names in that order."""
    names: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        return f"${names.setdefault(match[1], len(names) + 1)}"

    return _NAMED.sub(number, statement), tuple(names)
