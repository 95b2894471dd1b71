"""Bring a database to this program's schema, and refuse one that is newer.

Embedded databases are migrated when they are opened. Replicas only check, and name the command to run
(decision 4). Alembic is imported when there is work to do: a start on a current schema costs one SELECT.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import re
import sqlite3
from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from registry.contract.errors import ErrorKind, StoreError
from registry.control.sql import creation, sqlite

_LOG = logging.getLogger(__name__)

#: The newest file in `migrations/versions`; a test holds the two together.
CURRENT = "0004"

#: The schema of the oldest program that works with a database of CURRENT. It stays where it is as long as
#: migrations only add what older programs can leave alone (decision 71); otherwise it is raised to CURRENT.
OLDEST = "0004"

_NOTE = "works with programs from schema {} on"
_NOTED = re.compile(_NOTE.format(r"(\d{4})"))

#: Seconds that a migration waits for a table which others use. Whoever comes later waits behind it.
_LOCK = 2
#: Times it tries anew, and seconds between them.
_TRIES, _PAUSE = 10, 3.0
_LOCK_NOT_AVAILABLE = "55P03"

_ADVISORY_LOCK = 0x61727473  # "arts"


def version_of(connection: Connection) -> str | None:
    """The schema version found, None in an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def oldest_of(connection: Connection) -> str | None:
    """The schema of the oldest program that a PostgreSQL database is good for, as a migration has noted."""
    noted = connection.scalar(text("SELECT obj_description(to_regclass('alembic_version'), 'pg_class')"))
    match = _NOTED.fullmatch(noted or "")
    return match[1] if match else None


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
    upgrade_to(connection, CURRENT)
    return True


def upgrade_to(connection: Connection, version: str) -> None:
    """Run the migrations up to that one, within the caller's transaction."""
    from alembic import command  # late: costs more than a whole start on a current schema
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, version)


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


async def migrate_postgres(url: str, pause: float = _PAUSE) -> bool:
    """Upgrade the database at `url`; replicas that start together take turns.

    Replicas may work on it meanwhile: where they, or a dump, keep a table for longer, everything is undone
    and tried again after `pause` seconds, so that nobody stands behind a migration that waits.
    """
    for _ in range(_TRIES - 1):
        try:
            return await _try_postgres(url)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
        await asyncio.sleep(pause)
    try:
        return await _try_postgres(url)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        raise StoreError(
            ErrorKind.UNAVAILABLE,
            "a table that the migration changes is in use for long, by a dump perhaps (pg_stat_activity "
            "tells); nothing was changed: run it again later",
        ) from error


async def _try_postgres(url: str) -> bool:
    from registry.control.sql import postgres_engine  # late: an embedded store starts without it

    engine = postgres_engine.open_async_engine(url)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
            await connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK}s'"))
            changed = await connection.run_sync(upgrade)
            await connection.run_sync(_note_oldest)
            return changed
    finally:
        await engine.dispose()


def _note_oldest(connection: Connection) -> None:
    """On the table that has the version, where programs of every age can read it."""
    if oldest_of(connection) != OLDEST:
        connection.execute(text(f"COMMENT ON TABLE alembic_version IS '{_NOTE.format(OLDEST)}'"))


async def prepare_postgres(url: str) -> None:
    """Make the schema in an empty database. Raises StoreError UNAVAILABLE when it is older than this program,
    or newer and no longer good for it."""
    from registry.control.sql import postgres_engine  # late: an embedded store starts without it

    engine = postgres_engine.open_async_engine(url)
    try:
        async with engine.connect() as connection:
            found = await connection.run_sync(version_of)
            oldest = await connection.run_sync(oldest_of)
    finally:
        await engine.dispose()
    if found is None:
        await migrate_postgres(url)
    elif found < CURRENT:
        raise StoreError(
            ErrorKind.UNAVAILABLE,
            f"the database has schema version {found}, this program needs {CURRENT}: "
            "run 'artifact-store migrate' once, then start the replicas",
        )
    elif found > CURRENT:
        if oldest is None or oldest > CURRENT:
            raise StoreError(
                ErrorKind.UNAVAILABLE,
                f"the database has schema version {found}, which programs of this one's ({CURRENT}) cannot "
                "work with any more: run a newer artifact-store",
            )
        _LOG.warning(
            "the database has schema %s already, ours is %s: an upgrade is under way", found, CURRENT
        )
