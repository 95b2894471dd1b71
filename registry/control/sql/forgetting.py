"""What is deleted is overwritten, where it must not be found in the database's file afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection


@contextmanager
def overwriting(connection: Connection) -> Iterator[None]:
    """Rows that are deleted or replaced meanwhile leave zeros behind.

    SQLite's own `secure_delete`. A PostgreSQL server does so in its VACUUM, in its own time.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    before = connection.exec_driver_sql("PRAGMA secure_delete").scalar()
    connection.exec_driver_sql("PRAGMA secure_delete = ON")
    try:
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA secure_delete = {int(before or 0)}")
