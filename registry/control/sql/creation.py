"""A new embedded database at once, without the migrations that would lead to the same.

Alembic takes longer to load than everything else of a start, and an empty file needs none of it. A test
compares the outcome with that of the migrations, table by table.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from registry.control.sql import tables

_VERSION_TABLE = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


def create(connection: Connection, version: str) -> None:
    """Make every table in the caller's transaction, as the migrations up to `version` would."""
    for metadata in (tables.ledger, tables.views, tables.operational):
        metadata.create_all(connection, checkfirst=False)
    connection.execute(text("INSERT INTO ledger_head (id, seq, time) VALUES (1, 0, 0)"))
    connection.execute(text("INSERT INTO store_usage (id, logical, physical, objects) VALUES (1, 0, 0, 0)"))
    connection.execute(text(_VERSION_TABLE))
    connection.execute(
        text("INSERT INTO alembic_version (version_num) VALUES (:version)"), {"version": version}
    )
