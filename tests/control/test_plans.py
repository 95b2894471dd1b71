"""No statement of the request path reads a whole table, so that cost does not grow with what is stored."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import TextClause, create_engine

from registry.contract.model import NewFile, NewPackage, Search
from registry.contract.names import Repository, Tag
from registry.control import reaper
from registry.control.sql import Connection, holding, lookups, removals, statements, tables, verifying
from registry.control.sql.sqlite import SqliteDatabase
from registry.dataplane import open_memory
from tests.control.world import (
    ALICE,
    DAY,
    DEMO,
    OTHER,
    World,
    blake3,
    descriptor,
    image,
    index,
    once,
    open_world,
    sha256,
)

#: Tables of one row: reading all of it is the look-up.
SINGLE = {"ledger_head", "store_usage"}

CHANGES_OR_READS = ("SELECT", "UPDATE", "DELETE", "INSERT")

TABLES = {
    name for metadata in (tables.ledger, tables.views, tables.operational) for name in metadata.tables
} - SINGLE


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Every statement that runs past SQLAlchemy, in mutations, snapshots and hot look-ups."""
    found: set[str] = set()
    execute, fetch, fetch_one = statements._execute, SqliteDatabase.fetch, SqliteDatabase.fetch_one

    def note(original: Callable[..., object], place: int) -> Callable[..., object]:
        def run(*args: object, **more: object) -> object:
            found.add(str(args[place]))
            return original(*args, **more)

        return run

    monkeypatch.setattr(statements, "_execute", note(execute, 1))
    monkeypatch.setattr(SqliteDatabase, "fetch", note(fetch, 1))
    monkeypatch.setattr(SqliteDatabase, "fetch_one", note(fetch_one, 1))
    yield found


def plan(connection: sqlite3.Connection, statement: str) -> list[tuple[int, str]]:
    """The steps that SQLite would take, each with its parent; without statistics no parameter matters."""
    names = dict.fromkeys(re.findall(r":([a-z][a-z0-9_]*)", statement))
    return [(row[1], row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", names)]


#: Steps that go through all that a repository or domain has of one table.
_WIDE = re.compile(r"SEARCH (\S+) USING .*\((?:repository_id|domain)=\?\)")


def scans(connection: sqlite3.Connection, statement: str) -> list[str]:
    """Steps that read a whole table, or what a whole repository has of it.

    A scan that walks an index in the order asked for ends with the page.
    """
    named = re.findall(r"(?:FROM|JOIN)\s+([a-z_]+)\s+([a-z][a-z0-9]*)\b", statement)
    aliases = {alias: table for table, alias in named}
    paged = re.search(r"ORDER BY [^()]*LIMIT \S+\s*$", statement) is not None
    found = []
    for parent, step in plan(connection, statement):
        match = re.fullmatch(r"SCAN (\S+)(?: USING (?:COVERING )?INDEX \S+)?", step) or _WIDE.fullmatch(step)
        if match and aliases.get(match[1], match[1]) in TABLES and not paged:
            found.append(step)
        if step.startswith("USE TEMP B-TREE FOR ORDER BY") and paged and not parent:
            found.append(step)
    return found


async def everything(world: World) -> None:
    """Every use case once."""
    session = world.session
    await world.push_image("v1", [b"one"], annotations={"k": "v"})
    await world.push_manifest("all", index([image([b"one"], annotations={"k": "v"})]))
    await world.push_image(None, [b"sig"], subject=descriptor(image([b"one"]), "a/b"))
    await session.blobs.mount(OTHER, sha256(b"one"), DEMO)
    await session.blobs.mount(OTHER, sha256(b"sig"), None)
    await session.blobs.delete(OTHER, sha256(b"one"))
    upload = await session.uploads.create(None)
    await session.uploads.append(None, upload.id, once(b"native"), offset=0)
    await session.uploads.complete(None, upload.id, sha256(b"native"))
    await session.uploads.get(None, upload.id)
    cancelled = await session.uploads.create(DEMO)
    await session.uploads.cancel(DEMO, cancelled.id)
    await session.schemas.put("demo.v1", {"type": "object"})
    package = NewPackage("demo.v1", {"n": 1}, {"team": "a"}, (NewFile("f", blake3(b"native")),))
    await session.packages.put(DEMO, Tag("package"), package)
    digest = (await session.packages.get(DEMO, Tag("package"))).manifest_digest
    await session.packages.promote(OTHER, Tag("promoted"), DEMO, digest)
    await session.packages.file(DEMO, Tag("package"), "f")
    await session.packages.list(after="demo/app:v1", limit=2)
    await session.packages.versions(DEMO, after=None, limit=2)
    for query in SEARCHES:
        await session.packages.search(query, after=None, limit=2)
    await session.manifests.tags(DEMO, after=None, limit=2)
    await session.manifests.repositories(after=None, limit=2)
    await session.manifests.referrers(DEMO, digest, artifact_type=None, after=None, limit=2)
    await session.contents.locations(sha256(b"one"))
    await session.schemas.list(after=None, limit=2)
    await session.ledger.page(after=0, limit=2)
    await session.usage(after=None, limit=2)
    await session.manifests.delete(DEMO, Tag("all"))
    await session.packages.delete(OTHER, Tag("promoted"))
    await session.drafts.put_file(DEMO, Tag("draft"), "f", "a/b", once(b"x"), length=1)
    world.clock.advance(3 * DAY)
    token = await reaper.acquire(world.store.core, "holder")
    assert token is not None
    await reaper.reap(world.store.core, token)


SEARCHES = [
    Search(),
    Search(variant="demo.v1"),
    Search(repository=DEMO),
    Search(fields=(("label.team", "a"),)),
    Search(variant="demo.v1", repository=DEMO, fields=(("metadata.n", "1"), ("label.team", "a"))),
    Search(created_after=1, fields=(("metadata.n", "1"),)),
]


async def test_no_hot_statement_reads_a_whole_table(tmp_path: Path, seen: set[str]) -> None:
    dataplane = open_memory()
    file = tmp_path / "ledger.sqlite"
    async with open_world(file, dataplane) as world:
        await everything(world)
        with closing(sqlite3.connect(file)) as connection:
            found = {
                statement: scans(connection, statement)
                for statement in seen
                if not statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK"))
                and statement != lookups.BLOB_OF_STORE  # sorts one row a domain
                and "LIMIT :most" not in statement  # counts so many at most
            }
    await dataplane.close()
    assert len(found) > 50
    assert [f"{steps} in {statement}" for statement, steps in found.items() if steps] == []


def test_the_check_itself_sees_scans(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x")) as connection:
        connection.execute("CREATE TABLE blobs (id INTEGER PRIMARY KEY, size INTEGER)")
        assert scans(connection, "SELECT b.id FROM blobs b WHERE b.size = :size")
        assert scans(connection, "SELECT b.id FROM blobs b ORDER BY b.size LIMIT :limit")
        assert not scans(connection, "SELECT b.id FROM blobs b WHERE b.id = :id")


def test_no_page_of_a_collection_or_scrub_reads_a_whole_table(tmp_path: Path) -> None:
    """Their statements ask for each row whether anything holds it, and must not read it all for that."""
    pages = {
        name: str(value)
        for module in (holding, verifying, removals)
        for name, value in vars(module).items()
        if isinstance(value, TextClause)
        or name in ("_LINK", "_CONTENT")
        or (module is removals and isinstance(value, str) and value.lstrip().startswith(CHANGES_OR_READS))
    }
    excepted = {"_MISSING", "_WAITING"}  # counts by an index of few rows
    pages.pop("_UNNAMED", None)  # made of as many places as it is asked for
    file = tmp_path / "ledger.sqlite"
    engine = create_engine(f"sqlite:///{file}")
    for metadata in (tables.ledger, tables.views, tables.operational):
        metadata.create_all(engine)
    engine.dispose()
    with closing(sqlite3.connect(file)) as connection:
        found = {name: scans(connection, text) for name, text in pages.items() if name not in excepted}
    assert len(found) > 12
    assert {name: steps for name, steps in found.items() if steps} == {}


async def steps_of(world: World, work: Callable[[], Awaitable[object]]) -> int:
    """Work that SQLite does for reads, in thousands of its virtual machine's steps."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    database = world.store.core.database
    assert isinstance(database, SqliteDatabase)
    connections = [database._hot]
    with database._read_engine.connect() as connection:
        connections.append(connection.connection.driver_connection)  # type: ignore[arg-type]
    for each in connections:
        each.set_progress_handler(count, 1000)
    await work()
    for each in connections:
        each.set_progress_handler(None, 0)
    return steps


async def test_a_page_of_a_common_label_costs_what_it_shows(tmp_path: Path) -> None:
    """5,000 packages bear the label; the page has ten of them, also beside a rare condition."""
    dataplane = open_memory()
    async with open_world(tmp_path / "ledger.sqlite", dataplane) as world:
        await multiply(world, 5000)
        search = world.session.packages.search
        common = ("label.common", "yes")
        for query, shown in (
            (Search(fields=(common,)), 10),
            (Search(fields=(common, ("label.number", "n3"))), 5),
            (Search(repository=Repository("rare/one"), fields=(common,)), 1),
        ):
            assert len((await search(query, after=None, limit=10)).items) == shown
            assert await steps_of(world, partial(search, query, after=None, limit=10)) <= 40
    await dataplane.close()


async def multiply(world: World, count: int) -> None:
    """Rows of many labelled manifests, straight into the views."""
    await world.push_image("v1")
    await world.push_image("rare", repository=Repository("rare/one"), annotations={"common": "yes"})

    database = world.store.core.database
    await database.write(ALICE.id, lambda tx: grow(tx.connection, range(10**6, 10**6 + count)))


def grow(connection: Connection, numbers: Iterable[int]) -> None:
    run = statements.run
    for number in numbers:
        run(
            connection,
            "INSERT INTO manifests SELECT :id, repository_id, :id, media_type, digest_algorithm, "
            "package_digest, schema_version, created_at, artifact_type, subject_digest, annotations, variant "
            "FROM manifests ORDER BY id LIMIT 1",
            id=number,
        )
        for path, value in (("label.common", '"yes"'), ("label.number", f'"n{number % 1000}"')):
            run(connection, "INSERT INTO manifest_fields VALUES (:p, :v, :id)", p=path, v=value, id=number)
        run(
            connection,
            "INSERT INTO blob_digests (domain, digest, digest_algorithm, blob_id) "
            "VALUES ('default', :digest, 'sha256', :id)",
            digest=f"sha256:{number:064x}",
            id=number,
        )
