"""Choose the engine by where the database is; for the store, and for offline tools."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection

from registry.contract.errors import StoreError
from registry.contract.ports import Clock
from registry.control.sql import migrate, sqlite
from registry.control.sql.database import Database, OnBatch, ignore_batch
from registry.control.sql.faults import translate

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")

POSTGRESQL = "postgresql+asyncpg://"


async def open_database(where: str | Path, clock: Clock, on_batch: OnBatch = ignore_batch) -> Database:
    """A path is SQLite's, a `postgresql+asyncpg://` URL a server's. Raises StoreError."""
    try:
        if str(where).startswith(POSTGRESQL):
            from registry.control.sql import postgres  # late: an embedded store starts without it

            await migrate.prepare_postgres(str(where))
            return postgres.PostgresDatabase(str(where), clock, on_batch)
        await migrate_database(where)
        return sqlite.SqliteDatabase(Path(where), clock, on_batch)
    except Exception as error:
        raise translate(error) from error


async def migrate_database(where: str | Path) -> bool:
    """Bring the database to this program's schema; False when it was. Raises StoreError."""
    try:
        if str(where).startswith(POSTGRESQL):
            return await migrate.migrate_postgres(str(where))
        path = Path(where)
        if await asyncio.to_thread(migrate.is_current_sqlite, path):
            return False
        return await asyncio.to_thread(migrate.migrate_sqlite, path)
    except Exception as error:
        raise translate(error) from error


class Offline:
    """One connection in one transaction, for a tool that has the store to itself."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def run(self, step: Callable[..., T], *arguments: Any) -> T:
        """Run `step(connection, *arguments)`."""
        return await self._connection.run_sync(_call, step, arguments)


@asynccontextmanager
async def open_offline(where: str | Path) -> AsyncIterator[Offline]:
    """Begin a transaction on an existing database; it commits when the block ends well. Raises StoreError."""
    if str(where).startswith(POSTGRESQL):
        from registry.control.sql import postgres_engine

        engine = postgres_engine.open_async_engine(str(where))
    else:
        engine = sqlite.open_async_engine(Path(where))
    try:
        async with engine.begin() as connection:
            yield Offline(connection)
    except StoreError:
        raise
    except Exception as error:
        raise translate(error) from error
    finally:
        await engine.dispose()


def _call(connection: Connection, step: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    return step(connection, *arguments)
