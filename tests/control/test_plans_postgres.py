"""PostgreSQL reads few rows for each statement of the request path, however many a repository has.

Its planner decides by statistics, so here they are: thousands of manifests, tags, referrers and labels in one
repository, gathered by ANALYZE. Each statement that the use cases run is explained as it is run in the long
run, and the rows that its steps touch are counted.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import pytest
from sqlalchemy import Connection, text

from registry.contract.digest import Algorithm, Digest
from registry.contract.model import Search
from registry.contract.names import Repository, Tag
from registry.control.sql import lookups, statements
from registry.control.sql.postgres import PostgresDatabase
from registry.dataplane import open_memory
from tests.control.servers import PostgresServer
from tests.control.world import DEMO, OTHER, World, descriptor, image, open_world, sha256

_MANY = 4000
_LIMIT = 10
#: Executions after which the server has decided for a plan.
_SETTLED = 6
#: Rows that the steps of one statement may touch.
_FEW = 30 * _LIMIT

#: Copies of the manifest that has the least id, each with a tag, labels and a subject.
_MULTIPLY = (
    "INSERT INTO blobs SELECT b.id + n, b.domain, 'blake3:' || lpad(to_hex(n), 64, '0'), b.size, b.state, "
    "b.created_at FROM blobs b, generate_series(1000000, :until) n WHERE b.id = :blob",
    "INSERT INTO blob_digests SELECT 'sha256:' || lpad(to_hex(n), 64, '0'), 'default', 'sha256', :blob + n "
    "FROM generate_series(1000000, :until) n",
    "INSERT INTO repository_blobs SELECT :repository, :blob + n, FALSE, TRUE "
    "FROM generate_series(1000000, :until) n",
    "INSERT INTO manifests SELECT m.id + n, m.repository_id, m.blob_id + n, m.media_type, "
    "m.digest_algorithm, m.package_digest, m.schema_version, m.created_at, m.artifact_type, :subject, "
    "m.annotations, m.variant "
    "FROM manifests m, generate_series(1000000, :until) n WHERE m.id = :manifest",
    "INSERT INTO manifest_edges SELECT e.manifest_id + n, e.position, e.repository_id, e.kind, e.digest, "
    "e.digest_algorithm, e.size, e.media_type, e.relative_path "
    "FROM manifest_edges e, generate_series(1000000, :until) n WHERE e.manifest_id = :manifest",
    "INSERT INTO manifest_fields SELECT 'label.common', '\"yes\"', :manifest + n "
    "FROM generate_series(1000000, :until) n",
    "INSERT INTO manifest_fields SELECT 'label.number', '\"n' || n % 1000 || '\"', :manifest + n "
    "FROM generate_series(1000000, :until) n",
    "INSERT INTO tags SELECT :repository, 'v' || n, :manifest + n, 'sha256', 1 "
    "FROM generate_series(1000000, :until) n",
    "INSERT INTO repositories SELECT 9000000 + n, 'many/r' || n, 'default', 1 "
    "FROM generate_series(1000000, :until) n",
    "INSERT INTO tags SELECT 9000000 + n, 'only', :manifest, 'sha256', 1 "
    "FROM generate_series(1000000, :until) n",
)


@pytest.fixture(scope="module")
def seen() -> Iterator[dict[str, Mapping[str, Any]]]:
    """Every statement that runs past SQLAlchemy, with the parameters of its last run."""
    found: dict[str, Mapping[str, Any]] = {}
    patch = pytest.MonkeyPatch()
    execute = statements._execute
    fetch, fetch_one = PostgresDatabase.fetch, PostgresDatabase.fetch_one

    def note(original: Callable[..., Any]) -> Callable[..., Any]:
        def run(where: object, statement: str, parameters: Mapping[str, Any]) -> Any:
            found[statement] = dict(parameters)
            return original(where, statement, parameters)

        return run

    patch.setattr(statements, "_execute", note(execute))
    patch.setattr(PostgresDatabase, "fetch", note(fetch))
    patch.setattr(PostgresDatabase, "fetch_one", note(fetch_one))
    yield found
    patch.undo()


@pytest.fixture
async def large(postgres: PostgresServer) -> AsyncIterator[World]:
    """A store with thousands of manifests in one repository, and statistics."""
    dataplane = open_memory()
    async with open_world(postgres.new_database(), dataplane) as world:
        await world.push_image("v1", annotations={"common": "yes"})
        await world.store.core.database.write("somebody", lambda tx: multiply(tx.connection))
        yield world
    await dataplane.close()


def multiply(connection: Connection) -> None:
    """Rows straight into the views; nobody reads the bytes."""
    row = lookups.find_manifest(connection, DEMO, tag="v1")
    assert row is not None
    values = {
        "until": 1_000_000 + _MANY,
        "blob": row.blob_id,
        "manifest": row.id,
        "repository": row.repository_id,
        "subject": str(row.digest),
    }
    for statement in _MULTIPLY:
        named = {name: value for name, value in values.items() if f":{name}" in statement}
        connection.execute(text(statement), named)
    connection.execute(text("ANALYZE"))


async def everything(world: World) -> None:
    """What the faces ask for most, once."""
    session = world.session
    subject = (await session.manifests.get(DEMO, Tag("v1"))).digest
    await session.manifests.get(DEMO, subject)
    await session.blobs.get(DEMO, sha256(b"layer"))
    await session.blobs.mount(OTHER, sha256(b"layer"), DEMO)
    await session.manifests.tags(DEMO, after="v1002000", limit=_LIMIT)
    await session.manifests.repositories(after="many/r1002000", limit=_LIMIT)
    await session.manifests.referrers(DEMO, subject, artifact_type=None, after=None, limit=_LIMIT)
    await session.manifests.referrers(DEMO, subject, artifact_type=None, after="1002000", limit=_LIMIT)
    await session.packages.get(DEMO, Tag("v1"))
    await session.packages.list(after=f"{DEMO}:v1002000", limit=_LIMIT)
    await session.packages.list(after=None, limit=_LIMIT)
    await session.packages.versions(DEMO, after="v1002000", limit=_LIMIT)
    common, number = ("label.common", "yes"), ("label.number", "n3")
    for query in (
        Search(),
        Search(fields=(common,)),
        Search(fields=(common, number)),
        Search(repository=DEMO),
        Search(repository=DEMO, fields=(common,)),
        Search(repository=DEMO, fields=(common, number)),
    ):
        await session.packages.search(query, after=None, limit=_LIMIT)
    await session.ledger.page(after=0, limit=_LIMIT)
    await session.usage(after=None, limit=_LIMIT)
    pushed = image([b"layer"], annotations={"pushed": "yes"})
    await world.push_manifest("pushed", pushed)
    await world.push_image("about", [b"layer"], subject=descriptor(pushed, "a/b"))
    await session.manifests.delete(DEMO, Digest.of(pushed, Algorithm.SHA256))
    await session.manifests.delete(DEMO, Tag("about"))
    upload = await session.uploads.create(DEMO)
    await session.uploads.get(DEMO, upload.id)
    await session.uploads.cancel(DEMO, upload.id)


def literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def touched(step: Mapping[str, Any]) -> float:
    """Rows that a plan's steps have read or thrown away."""
    loops = step.get("Actual Loops", 0)
    mine = 0.0
    if "Relation Name" in step or "Index Name" in step:
        mine = step.get("Actual Rows", 0) + step.get("Rows Removed by Filter", 0)
        mine += step.get("Rows Removed by Index Recheck", 0)
    return float(mine * loops) + sum(map(touched, step.get("Plans", ())))


def rows_of(connection: Connection, statement: str, parameters: Mapping[str, Any]) -> float:
    """By the plan that a connection has come to use after some executions, made for all parameters or for
    these."""
    numbered, names = statements.numbered(statement)
    values = ", ".join(literal(parameters[name]) for name in names)
    ask = connection.exec_driver_sql
    execute = f"EXECUTE asked{f'({values})' if values else ''}"
    ask(f"PREPARE asked AS {numbered}")
    try:
        for _ in range(_SETTLED):
            ask(f"EXPLAIN {execute}").all()  # plans as an execution does
        plan = ask(f"EXPLAIN (ANALYZE, FORMAT JSON) {execute}").scalar_one()
    finally:
        ask("DEALLOCATE asked")
    return touched((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])


@pytest.mark.slow
async def test_no_statement_touches_more_rows_than_its_answer_needs(
    large: World, seen: dict[str, Mapping[str, Any]]
) -> None:
    seen.clear()
    await everything(large)
    asked = {statement: given for statement, given in seen.items() if statement.lstrip().startswith("SELECT")}
    bounded = {  # counts so many at most; reads the head in turns
        statement for statement in asked if "LIMIT :most" in statement or "FOR UPDATE" in statement
    }

    def explain(connection: Connection) -> dict[str, float]:
        return {
            " ".join(statement.split()): rows_of(connection, statement, given)
            for statement, given in asked.items()
            if statement not in bounded
        }

    found = await large.store.core.database.read(explain)
    assert len(found) > 25
    assert {statement: count for statement, count in found.items() if count > _FEW} == {}


async def test_the_count_itself_sees_much(large: World) -> None:
    """A sort of a repository's tags, and a scan of everything."""

    def explain(connection: Connection) -> list[float]:
        by_name = "SELECT t.name FROM repositories r JOIN tags t ON t.repository_id = r.id "
        return [
            rows_of(
                connection, f"{by_name} WHERE r.name = :name ORDER BY t.updated_at LIMIT 1", {"name": DEMO}
            ),
            rows_of(connection, "SELECT id FROM blobs WHERE size > :size", {"size": 0}),
            rows_of(
                connection, "SELECT id FROM repositories WHERE name = :name", {"name": Repository("x/y")}
            ),
        ]

    sorting, scanning, finding = await large.store.core.database.read(explain)
    assert sorting > _MANY
    assert scanning > _MANY
    assert finding <= 1
