"""The migrations lead to the tables that the program knows, from nothing, on both engines."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, text

from registry.contract.errors import ErrorKind, StoreError
from registry.control import open_store
from registry.control.rebuild import rebuild
from registry.control.sql import creation, migrate, tables
from registry.control.sql.opening import migrate_database, open_offline
from registry.dataplane import open_memory
from tests.control.servers import PostgresServer
from tests.control.world import open_world


@pytest.fixture
def empty_database(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    """A database that nobody has migrated."""
    if engine == "sqlite":
        return tmp_path / "ledger.sqlite"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database(empty=True)


def differences(connection: Connection) -> list[object]:
    """What alembic would change to get from the database to the tables."""
    together = MetaData()
    for metadata in (tables.ledger, tables.views, tables.operational):
        for table in metadata.tables.values():
            table.to_metadata(together)
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    found: list[object] = compare_metadata(context, together)
    return found


async def test_migrations_lead_to_the_tables(
    empty_database: str | Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the short cut for new files: through every migration.
    monkeypatch.setattr(creation, "create", lambda *_: pytest.fail("not by the migrations"))
    if isinstance(empty_database, Path):
        await in_a_file_with_a_foreign_table(empty_database)
    assert await migrate_database(empty_database)
    async with open_offline(empty_database) as offline:
        assert [change for change in await offline.run(differences) if "foreign" not in str(change)] == []
    assert not await migrate_database(empty_database)


async def in_a_file_with_a_foreign_table(path: Path) -> None:
    async with open_offline(path) as offline:
        await offline.run(
            lambda connection: connection.execute(text("CREATE TABLE foreign_one (id INTEGER)"))
        )


async def test_an_empty_database_is_made_on_opening(empty_database: str | Path) -> None:
    dataplane = open_memory()
    async with open_world(empty_database, dataplane) as world:
        await world.push_image("v1")
        await world.check()
    await dataplane.close()


async def test_opening_again_finds_what_was_there(empty_database: str | Path) -> None:
    dataplane = open_memory()
    async with open_world(empty_database, dataplane) as world:
        digest = await world.push_image("v1")
    async with open_world(empty_database, dataplane) as world:
        assert await world.push_image("v1") == digest
        await world.check()
    await dataplane.close()


async def test_replicas_refuse_another_schema_and_name_the_command(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    async with open_offline(url) as offline:
        await offline.run(lambda c: c.execute(text("UPDATE alembic_version SET version_num = '0000'")))
    dataplane = open_memory()
    with pytest.raises(StoreError) as caught:
        await open_store(dataplane, url)
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    assert "artifact-store migrate" in caught.value.message
    await dataplane.close()


@pytest.mark.parametrize(("version", "advice"), [("0000", "migrate"), ("9999", "newer")])
async def test_a_rebuild_touches_no_schema_but_its_own(
    database: str | Path, version: str, advice: str
) -> None:
    dataplane = open_memory()
    async with open_world(database, dataplane) as world:
        await world.push_image("v1")
        before = await world.fingerprints()
        async with open_offline(database) as offline:
            statement = text(f"UPDATE alembic_version SET version_num = '{version}'")
            await offline.run(lambda connection: connection.execute(statement))
        with pytest.raises(StoreError) as caught:
            await rebuild(database, dataplane)
        assert version in caught.value.message
        assert advice in caught.value.message
        assert await world.fingerprints() == before
    await dataplane.close()


def test_current_is_the_newest_migration() -> None:
    versions = Path(migrate.__file__).parent / "migrations" / "versions"
    numbers = sorted(path.name.partition("_")[0] for path in versions.glob("[0-9]*.py"))
    assert numbers[-1] == migrate.CURRENT
    assert len(set(numbers)) == len(numbers)
