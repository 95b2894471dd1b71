"""Changes of rows that need not see each other, sent together where each statement is a round trip.

An event makes rows in half a dozen tables. SQLite writes each in a few microseconds, and at once. For
PostgreSQL they are gathered and sent as one statement: all but the last are common table expressions, which
it carries out whether or not anything reads them (PostgreSQL, "Data-Modifying Statements in WITH"). All of
them see the rows as they were before, so no two may change the same row, and who reads what they change
sends first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql

from registry.control.sql.statements import insert_into, run, run_many

#: So many at most, so that there are few different statements for the server to plan.
_MOST = 12

_NAMED = re.compile(r"(?<![:\w]):(?=[a-z])")
_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]


class Changes:
    """What one transaction changes next. Nothing is sent for certain before `send`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._gathers = connection.dialect.name == "postgresql"
        self._waiting: list[tuple[str, Mapping[str, Any]]] = []

    def run(self, statement: str, **parameters: Any) -> None:
        """Change rows by a statement that returns none."""
        if not self._gathers:
            run(self._connection, statement, **parameters)
            return
        self._waiting.append((statement, parameters))
        if len(self._waiting) == _MOST:
            self.send()

    def insert(self, table: Table, each: Sequence[Mapping[str, Any]]) -> None:
        """Add rows, every column given."""
        if not each:
            return
        if self._gathers:
            columns = {column.name: [row[column.name] for row in each] for column in table.columns}
            self.run(_insert_all(table), **columns)
        else:
            run_many(self._connection, insert_into(table), each)

    def send(self) -> None:
        """All that was asked for is done on return, as far as the transaction sees."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        statement = together(tuple(statement for statement, _ in waiting))
        parameters = {
            f"{_name(number)}{name}": value
            for number, (_, each) in enumerate(waiting)
            for name, value in each.items()
        }
        run(self._connection, statement, **parameters)


@lru_cache(maxsize=256)
def together(statements: tuple[str, ...]) -> str:
    """One statement that does what all do, with the names of each one's parameters made its own."""
    *others, last = [
        _NAMED.sub(f":{_name(number)}", statement.strip()) for number, statement in enumerate(statements)
    ]
    if not others:
        return last
    named = ", ".join(f"c{number} AS ({statement})" for number, statement in enumerate(others))
    return f"WITH {named} {last}"


def _name(number: int) -> str:
    return f"c{number}_"


@lru_cache(maxsize=64)
def _insert_all(table: Table) -> str:
    """The statement that adds rows from an array for each column: the same however many there are."""
    names = [column.name for column in table.columns]
    arrays = ", ".join(
        f":{column.name}::{column.type.compile(_POSTGRESQL).partition(' COLLATE')[0]}[]"
        for column in table.columns
    )
    return f"INSERT INTO {table.name} ({', '.join(names)}) SELECT * FROM unnest({arrays})"
