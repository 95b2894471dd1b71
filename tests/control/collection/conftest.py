"""A store over each database that it can have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.control import servers
from tests.control.collection.world import World, open_world


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.PostgresServer]:
    """One server for all tests of this process; without one they are skipped, which REQUIRE=all forbids."""
    try:
        server = servers.start()
    except Exception as error:
        pytest.skip(f"PostgreSQL does not start here: {error}")
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    """Where a new database goes: a file, or a database server's URL."""
    if request.param == "sqlite":
        return tmp_path / "ledger.sqlite"
    server: servers.PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
async def world(tmp_path: Path, database: str | Path) -> AsyncIterator[World]:
    """A store on each database in turn."""
    async with open_world(tmp_path, database) as opened:
        yield opened


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[World]:
    """A store on SQLite, for what does not depend on the database."""
    async with open_world(tmp_path, tmp_path / "ledger.sqlite") as opened:
        yield opened
