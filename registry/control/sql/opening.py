"""Choose the engine by where the database is; for the store, and for offline tools."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection

from registry.contract.errors import ErrorKind, StoreError
from registry.contract.ports import Clock
from registry.control.sql import migrate, sqlite
from registry.control.sql.database import Database, OnBatch, ignore_batch
from registry.control.sql.faults import translate

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")

#: `postgresql` and `postgres` are libpq's, the third is SQLAlchemy's.
_POSTGRESQL = ("postgresql://", "postgres://", "postgresql+asyncpg://")


def is_server(where: str | Path) -> bool:
    """Whether the database is PostgreSQL's rather than a file."""
    return str(where).startswith(_POSTGRESQL)


async def open_database(
    where: str | Path, clock: Clock, on_batch: OnBatch = ignore_batch, connections: int | None = None
) -> Database:
    """A path is SQLite's, a `postgresql://` URL a server's, with so many `connections` at most.

    Raises StoreError.
    """
    try:
        if is_server(where):
            _require_driver()
            from registry.control.sql import postgres, postgres_engine  # late: an embedded store does without

            await migrate.prepare_postgres(str(where))
            server = postgres.PostgresDatabase(
                str(where), clock, on_batch, connections=connections or postgres_engine.CONNECTIONS
            )
            await server.set_clock()
            return server
        await migrate_database(where)
        return sqlite.SqliteDatabase(Path(where), clock, on_batch)
    except Exception as error:
        raise translate(error) from error


async def migrate_database(where: str | Path) -> bool:
    """Bring the database to this program's schema; False when it was. Raises StoreError."""
    try:
        if is_server(where):
            _require_driver()
            return await migrate.migrate_postgres(str(where))
        path = Path(where)
        if await asyncio.to_thread(migrate.is_current_sqlite, path):
            return False
        return await asyncio.to_thread(migrate.migrate_sqlite, path)
    except Exception as error:
        raise translate(error) from error


async def others_at_work(url: str) -> list[str]:
    """The names of other servers and commands that are connected to the PostgreSQL database: `artifact-store
    HOST PID`. Raises StoreError."""
    _require_driver()
    from registry.control.sql import postgres_engine

    try:
        return await postgres_engine.others_at_work(url)
    except Exception as error:
        raise translate(error) from error


def _require_driver() -> None:
    """Raises StoreError UNAVAILABLE where PostgreSQL's driver is not installed."""
    if find_spec("asyncpg") is None:
        raise StoreError(
            ErrorKind.UNAVAILABLE,
            "the database is PostgreSQL, whose driver is not installed: "
            "pip install 'artifact-store[postgresql]'",
        )


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
    if is_server(where):
        _require_driver()
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
