"""On PostgreSQL each statement is a round trip, on the head row's lock: there are few, whatever is pushed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy import Connection

from registry.contract.digest import Digest
from registry.control.sql import changes, statements, tables
from registry.control.sql.changes import Changes, together
from registry.control.sql.statements import rows, run
from registry.dataplane import open_memory
from tests.control.servers import PostgresServer
from tests.control.world import DEMO, World, image, open_world, sha256


@pytest.fixture
async def shared(postgres: PostgresServer) -> AsyncIterator[World]:
    """A store on PostgreSQL."""
    dataplane = open_memory()
    async with open_world(postgres.new_database(), dataplane) as opened:
        yield opened
    await dataplane.close()


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Awaitable[object]]], Awaitable[int]]:
    """Statements inside transactions while something is done."""
    count = 0
    execute = statements._execute

    def note(*arguments: object) -> object:
        nonlocal count
        count += 1
        return execute(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(statements, "_execute", note)

    async def counted(work: Callable[[], Awaitable[object]]) -> int:
        before = count
        await work()
        return count - before

    return counted


Counted = Callable[[Callable[[], Awaitable[object]]], Awaitable[int]]


async def test_a_push_takes_few_statements(shared: World, counted: Counted) -> None:
    await shared.push_image("first", [b"layer"])
    annotations = {f"label{number}": "x" for number in range(20)}
    manifest = image([b"layer"], annotations=annotations)
    assert await counted(lambda: shared.push_manifest("v1", manifest)) <= 10
    assert await counted(lambda: shared.push_blob(b"blob")) <= 9
    digest = Digest.of(manifest, sha256(b"").algorithm)
    assert await counted(lambda: shared.session.manifests.delete(DEMO, digest)) <= 15
    await shared.check()


async def test_many_pushes_at_once_share_the_rest(shared: World, counted: Counted) -> None:
    await shared.push_image("first", [b"layer"])
    documents = [image([b"layer"], annotations={"n": str(number)}) for number in range(20)]

    async def push() -> None:
        await asyncio.gather(*(shared.push_manifest(f"v{n}", each) for n, each in enumerate(documents)))

    assert await counted(push) <= 20 * 11 + 10
    await shared.check()


async def test_what_is_gathered_is_there_once_it_is_sent(world: World) -> None:
    """More than goes into one statement, rows of arrays among them, on either engine."""
    numbers = range(30)

    def change(connection: Connection) -> tuple[list[int], list[str]]:
        gathered = Changes(connection)
        for number in numbers:
            gathered.run(
                "INSERT INTO verifications (blob_id, verified_at) VALUES (:id, :at)", id=number, at=number
            )
        fields = [{"path": "p", "value": f"v{number:02}", "manifest_id": number} for number in numbers]
        gathered.insert(tables.manifest_fields, fields)
        gathered.insert(tables.manifest_fields, [])
        gathered.run("UPDATE ledger_head SET time = time")
        gathered.send()
        gathered.send()
        verified = rows(connection, "SELECT blob_id FROM verifications ORDER BY blob_id")
        values = rows(connection, "SELECT value FROM manifest_fields WHERE path = 'p' ORDER BY value")
        run(connection, "DELETE FROM manifest_fields WHERE path = 'p'")
        run(connection, "DELETE FROM verifications")
        return [row[0] for row in verified], [row[0] for row in values]

    found = await world.store.core.database.write("somebody", lambda tx: change(tx.connection))
    assert found == (list(numbers), [f"v{number:02}" for number in numbers])


def test_statements_together_keep_their_parameters_apart() -> None:
    first = "UPDATE a SET x = :x WHERE id = :id"
    assert together((first,)) == "UPDATE a SET x = :c0_x WHERE id = :c0_id"
    assert together((first, "DELETE FROM b WHERE id = :id::bigint")) == (
        "WITH c0 AS (UPDATE a SET x = :c0_x WHERE id = :c0_id) DELETE FROM b WHERE id = :c1_id::bigint"
    )
    assert changes._insert_all(tables.manifest_fields) == (
        "INSERT INTO manifest_fields (path, value, manifest_id) "
        "SELECT * FROM unnest(:path::TEXT[], :value::TEXT[], :manifest_id::BIGINT[])"
    )
