"""What a database is like, without changing it: for `doctor` and `/metrics`."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import text

from registry.contract.dataplane import DomainId
from registry.contract.errors import StoreError
from registry.contract.names import Repository
from registry.control.sql import migrate
from registry.control.sql.database import Database
from registry.control.sql.faults import translate

_REPOSITORIES = "SELECT name, domain FROM repositories ORDER BY name"
_HEAD = "SELECT seq FROM ledger_head"
_DOMAINS = "SELECT DISTINCT domain FROM blobs"
_PLACES = """
SELECT DISTINCT b.domain, l.location FROM storage_locations l JOIN blobs b ON b.id = l.blob_id
WHERE b.state <> 'erased' ORDER BY b.domain, l.location
"""


async def schema_of(where: str | Path) -> tuple[str | None, str]:
    """The schema version found (None where there is none yet) and the one this program needs.

    `where` is as for `open_database`. Raises StoreError when the database does not answer.
    """
    try:
        if isinstance(where, Path):
            return await asyncio.to_thread(_sqlite, where), migrate.CURRENT
        from registry.control.sql import postgres_engine  # late, as everywhere

        engine = postgres_engine.open_async_engine(where)
        try:
            async with engine.connect() as connection:
                return await connection.run_sync(migrate.version_of), migrate.CURRENT
        finally:
            await engine.dispose()
    except StoreError:
        raise
    except Exception as error:
        raise translate(error) from error


async def domains_of_repositories(where: str | Path) -> list[tuple[Repository, DomainId]]:
    """Every repository with the domain it is in, by name; none where there is no schema yet. Raises as
    `schema_of`."""
    return [(Repository(row[0]), DomainId(row[1])) for row in await _rows(where, _REPOSITORIES)]


async def domains_with_content(where: str | Path) -> set[DomainId]:
    """Domains that hold something. Raises as `schema_of`."""
    return {DomainId(row[0]) for row in await _rows(where, _DOMAINS)}


async def last_event(where: str | Path) -> int:
    """How many events the ledger has; 0 where there is no schema yet. Raises as `schema_of`."""
    found = await _rows(where, _HEAD)
    return int(found[0][0]) if found else 0


async def places_of_domains(where: str | Path) -> list[tuple[DomainId, str]]:
    """Which locations hold something of which domain. Raises as `schema_of`."""
    return [(DomainId(row[0]), row[1]) for row in await _rows(where, _PLACES)]


async def _rows(where: str | Path, statement: str) -> list[tuple[Any, ...]]:
    """None where there is no schema yet."""
    if (await schema_of(where))[0] is None:
        return []
    try:
        if isinstance(where, Path):
            return await asyncio.to_thread(_sqlite_rows, where, statement)
        from registry.control.sql import postgres_engine  # late, as everywhere

        engine = postgres_engine.open_async_engine(where)
        try:
            async with engine.connect() as connection:
                return [tuple(row) for row in await connection.execute(text(statement))]
        finally:
            await engine.dispose()
    except Exception as error:
        raise translate(error) from error


async def open_uploads(database: Database) -> int:
    """Upload sessions that are not complete. Counted by the index that holds just these."""
    row = await database.fetch_one("SELECT count(*) FROM uploads WHERE content IS NULL", {})
    return int(row[0]) if row else 0


def _sqlite_rows(path: Path, statement: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(statement).fetchall()


def _sqlite(path: Path) -> str | None:
    if not path.exists():
        return None
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        known = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'alembic_version'").fetchone()
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if known else None
    return None if row is None else str(row[0])
