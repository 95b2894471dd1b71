"""Every test of the control plane runs on SQLite over local files and on PostgreSQL over memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from registry.contract.dataplane import DataPlane
from registry.dataplane import open_local, open_memory
from tests.control import servers
from tests.control.world import World, open_world


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
def engine(request: pytest.FixtureRequest) -> str:
    """Which database the test runs on."""
    name: str = request.param
    return name


@pytest.fixture
def database(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    """Where a fresh database is."""
    if engine == "sqlite":
        return tmp_path / "ledger.sqlite"
    server: servers.PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
async def dataplane(engine: str, tmp_path: Path) -> AsyncIterator[DataPlane]:
    """Local files beside SQLite, memory beside PostgreSQL."""
    opened = open_local(tmp_path / "data") if engine == "sqlite" else open_memory()
    yield opened
    await opened.close()


@pytest.fixture
async def world(database: str | Path, dataplane: DataPlane) -> AsyncIterator[World]:
    """A fresh store."""
    async with open_world(database, dataplane) as opened:
        yield opened
