"""Choose the engine by where the database is."""

from __future__ import annotations

import asyncio
from pathlib import Path

from registry.contract.ports import Clock
from registry.control.sql import migrate
from registry.control.sql.database import Database, translate
from registry.control.sql.postgres import PostgresDatabase
from registry.control.sql.sqlite import SqliteDatabase

POSTGRESQL = "postgresql+asyncpg://"


async def open_database(where: str | Path, clock: Clock) -> Database:
    """A path is SQLite's, a `postgresql+asyncpg://` URL a server's. Raises StoreError."""
    try:
        if str(where).startswith(POSTGRESQL):
            await migrate.migrate_postgres(str(where))
            return PostgresDatabase(str(where), clock)
        path = Path(where)
        if not await asyncio.to_thread(migrate.is_current_sqlite, path):
            await asyncio.to_thread(migrate.migrate_sqlite, path)
        return SqliteDatabase(path, clock)
    except Exception as error:
        raise translate(error) from error
