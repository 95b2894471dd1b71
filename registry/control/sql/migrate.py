"""Bring a database to this program's schema, and refuse one that is newer.

Embedded databases are migrated when they are opened. Replicas only check, and name the command to run
(decision 4). Alembic is imported when there is work to do: a start on a current schema costs one SELECT.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from registry.contract.errors import ErrorKind, StoreError
from registry.control.sql import creation, sqlite

#: The newest file in `migrations/versions`; a test holds the two together.
CURRENT = "0004"

_ADVISORY_LOCK = 0x61727473  # "arts"


def version_of(connection: Connection) -> str | None:
    """The schema version found, None in an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def upgrade(connection: Connection) -> bool:
    """Migrate within the caller's transaction.

    True when something was done. Raises StoreError INTERNAL if newer.
    """
    found = version_of(connection)
    if found == CURRENT:
        return False
    if found is not None and found > CURRENT:
        raise StoreError(
            ErrorKind.INTERNAL,
            f"the database has schema version {found}, this program knows {CURRENT}: run a newer one",
        )
    if connection.dialect.name == "sqlite" and not inspect(connection).get_table_names():
        creation.create(connection, CURRENT)
        return True
    from alembic import command  # late: costs more than a whole start on a current schema
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, CURRENT)
    return True


def require_current(connection: Connection) -> None:
    """For what replaces tables: raises StoreError UNAVAILABLE when the schema is another program's."""
    found = version_of(connection)
    if found != CURRENT:
        raise StoreError(
            ErrorKind.UNAVAILABLE,
            f"the database has schema version {found}, this program knows {CURRENT}: "
            + ("run 'artifact-store migrate' first" if (found or "") < CURRENT else "run a newer one"),
        )


def is_current_sqlite(path: Path) -> bool:
    """One SELECT on the plain driver, so that a start on a current schema pays for no more."""
    if not path.exists():
        return False
    with contextlib.closing(sqlite3.connect(path)) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:
            return False
    return row is not None and row[0] == CURRENT


def migrate_sqlite(path: Path) -> bool:
    """Create or upgrade the database file; processes that start together take turns."""
    engine = sqlite.open_engine(path)
    lock = os.open(f"{path}.writer", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with engine.begin() as connection:
            return upgrade(connection)
    finally:
        os.close(lock)
        engine.dispose()


async def migrate_postgres(url: str) -> bool:
    """Upgrade the database at `url`; replicas that start together take turns."""
    from registry.control.sql import postgres_engine  # late: an embedded store starts without it

    engine = postgres_engine.open_async_engine(url)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
            return await connection.run_sync(upgrade)
    finally:
        await engine.dispose()


async def prepare_postgres(url: str) -> None:
    """Make the schema in an empty database; raises StoreError UNAVAILABLE when it is another version's."""
    from registry.control.sql import postgres_engine  # late: an embedded store starts without it

    engine = postgres_engine.open_async_engine(url)
    try:
        async with engine.connect() as connection:
            found = await connection.run_sync(version_of)
    finally:
        await engine.dispose()
    if found is None:
        await migrate_postgres(url)
    elif found != CURRENT:
        raise StoreError(
            ErrorKind.UNAVAILABLE,
            f"the database has schema version {found}, this program needs {CURRENT}: "
            "run 'artifact-store migrate' once, then start the replicas",
        )
