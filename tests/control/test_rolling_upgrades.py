"""Replicas of two versions on one database: who may work on a newer schema, and who must not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from registry.contract.errors import ErrorKind, StoreError
from registry.control.sql import migrate
from registry.control.sql.opening import migrate_database, open_offline
from registry.dataplane import open_memory
from tests.control.servers import PostgresServer
from tests.control.world import open_world


async def execute(url: str, *statements: str) -> None:
    async with open_offline(url) as offline:
        for statement in statements:
            await offline.run(lambda connection, words: connection.execute(text(words)), statement)


async def open_once(url: str) -> None:
    dataplane = open_memory()
    try:
        async with open_world(url, dataplane) as world:
            await world.push_image("v1")
    finally:
        await dataplane.close()


async def newer(url: str, oldest: str | None) -> None:
    """As a later program's migration leaves the database, which notes whom it is still good for."""
    note = "NULL" if oldest is None else f"'works with programs from schema {oldest} on'"
    await execute(
        url,
        "ALTER TABLE repositories ADD COLUMN colour text",
        "UPDATE alembic_version SET version_num = '9999'",
        f"COMMENT ON TABLE alembic_version IS {note}",
    )


async def test_a_program_works_on_a_newer_schema_that_is_good_for_it(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    await newer(url, migrate.CURRENT)
    await open_once(url)


@pytest.mark.parametrize("oldest", [None, "9999"])
async def test_a_program_refuses_a_newer_schema_that_is_not(
    postgres: PostgresServer, oldest: str | None
) -> None:
    url = postgres.new_database()
    await newer(url, oldest)
    with pytest.raises(StoreError, match=f"9999.*{migrate.CURRENT}.*run a newer") as caught:
        await open_once(url)
    assert caught.value.kind is ErrorKind.UNAVAILABLE


async def test_a_migration_notes_whom_the_schema_is_good_for(postgres: PostgresServer) -> None:
    url = postgres.new_database(empty=True)
    assert await migrate_database(url)
    async with open_offline(url) as offline:
        assert await offline.run(migrate.oldest_of) == migrate.OLDEST
    # Where an older program made the schema, the note is made up for.
    await execute(url, "COMMENT ON TABLE alembic_version IS NULL")
    assert not await migrate_database(url)
    async with open_offline(url) as offline:
        assert await offline.run(migrate.oldest_of) == migrate.OLDEST


async def test_nobody_stands_behind_a_migration_that_waits(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.new_database(empty=True)
    await migrate_database(url)
    monkeypatch.setattr(migrate, "_LOCK", 0.3)
    # A migration that changes a table which a dump reads.
    monkeypatch.setattr(migrate, "upgrade", lambda connection: bool(connection.execute(ALTER)))
    dump_ends = asyncio.Event()

    async def dump() -> None:
        async with open_offline(url) as offline:
            await offline.run(lambda connection: connection.execute(READ))
            await dump_ends.wait()

    dumping = asyncio.create_task(dump())
    await asyncio.sleep(0.3)
    migrating = asyncio.create_task(migrate.migrate_postgres(url, 0.1))
    for _ in range(5):
        await asyncio.sleep(0.2)
        async with asyncio.timeout(3):  # readers come in between the tries
            await execute(url, "SELECT count(*) FROM repositories")
    assert not migrating.done()
    dump_ends.set()
    await dumping
    assert await migrating


async def test_a_table_that_stays_in_use_is_told_of(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.new_database()
    monkeypatch.setattr(migrate, "_LOCK", 0.1)
    monkeypatch.setattr(migrate, "upgrade", lambda connection: bool(connection.execute(ALTER)))
    async with open_offline(url) as offline:
        await offline.run(lambda connection: connection.execute(READ))
        with pytest.raises(StoreError, match=r"in use for long.*run it again"):
            await migrate.migrate_postgres(url, 0.0)


ALTER = text("ALTER TABLE repositories ADD COLUMN later text")
READ = text("SELECT count(*) FROM repositories")


async def test_what_is_good_for_older_programs_only_adds(postgres: PostgresServer) -> None:
    """Since the schema of the oldest program that may work on it, all that it knows has stayed as it was."""
    url = postgres.new_database(empty=True)
    async with open_offline(url) as offline:
        await offline.run(migrate.upgrade_to, migrate.OLDEST)
        before = await offline.run(shape)
    await migrate_database(url)
    async with open_offline(url) as offline:
        after = await offline.run(shape)
    assert before.items() <= after.items()
    known = {table for table, _ in before}
    added = {key: kind for key, kind in after.items() if key[0] in known and key not in before}
    assert [key for key, (_, required) in added.items() if required] == []


def shape(connection: Any) -> dict[tuple[str, str], tuple[str, bool]]:
    """(table, column) to its type, and whether a row must say it."""
    rows = connection.execute(
        text(
            "SELECT table_name, column_name, data_type, is_nullable = 'NO' AND column_default IS NULL "
            "FROM information_schema.columns WHERE table_schema = 'public'"
        )
    )
    return {(table, column): (kind, required) for table, column, kind, required in rows}
