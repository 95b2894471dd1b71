"""The target of a move is what the source is not: PostgreSQL over memory, or SQLite over local files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.control.moving import Side
from registry.control.sql.opening import migrate_database
from registry.dataplane import open_local, open_memory
from tests.control.servers import PostgresServer
from tests.control.world import World


@pytest.fixture
def source(world: World) -> Side:
    """Of the store that moves."""
    return Side(world.database, world.dataplane, "the old store")


@pytest.fixture
async def target(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Side]:
    """Empty, with the schema."""
    database: str | Path = tmp_path / "target.sqlite"
    if engine == "sqlite":
        server: PostgresServer = request.getfixturevalue("postgres")
        database = server.new_database()
    await migrate_database(database)
    dataplane = open_memory() if engine == "sqlite" else open_local(tmp_path / "target")
    yield Side(database, dataplane, "the new store")
    await dataplane.close()
