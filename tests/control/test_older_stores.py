"""A store that an older program made opens, is brought up to date, and gives back everything.

`older/format-1.tar.xz` was filled over HTTP by the program before packs and collection: data plane format 1,
schema 0001. It has an image, a referrer whose tag was deleted, a package with a schema, a
draft and half an upload.
"""

from __future__ import annotations

import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.contract.dataplane import Packing
from registry.contract.digest import Digest
from registry.contract.model import NewPackage, Search
from registry.contract.names import Repository, Tag
from registry.control import collection
from registry.control.sql import migrate
from registry.control.sql.inspection import schema_of
from registry.control.sql.opening import open_database
from registry.control.store import PrincipalSession
from registry.control.work import hold
from registry.dataplane import open_local
from tests.control.world import DAY, FakeClock, World, once, open_world, sha256, whole

MADE = Path(__file__).parent / "older" / "format-1.tar.xz"
#: Shortly after it was made, in microseconds.
THEN = 1_795_377_400_000_000
BIG = bytes(range(256)) * 800
APP, PACKAGE = Repository("old/app"), Repository("old/pkg")
UPLOAD = "d51634a2-f464-4bdc-bb35-788d74265d36"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with tarfile.open(MADE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.fixture
async def world(folder: Path) -> AsyncIterator[World]:
    dataplane = open_local(folder)
    async with open_world(folder / "ledger.sqlite", dataplane, clock=FakeClock(THEN)) as opened:
        yield opened
    await dataplane.close()


async def anonymous(world: World) -> PrincipalSession:
    """Who filled it."""
    return world.store.for_principal(await world.store.principal("anonymous"))


async def test_it_is_of_an_old_format_and_schema_before_it_is_opened(folder: Path) -> None:
    assert (folder / "FORMAT").read_text() == "artifact-store data plane, format 1\n"
    assert (await schema_of(folder / "ledger.sqlite"))[0] == "0001"
    database = await open_database(folder / "ledger.sqlite", FakeClock(THEN))
    await database.close()
    assert (await schema_of(folder / "ledger.sqlite"))[0] == migrate.CURRENT


async def test_everything_reads_before_and_after_it_was_packed(world: World, folder: Path) -> None:
    await reads(await anonymous(world))
    assert (folder / "FORMAT").read_text() != "artifact-store data plane, format 1\n"
    packed = [step async for step in world.dataplane.pack(Packing())]
    assert len(packed) > 5
    assert not any(step.fault for step in packed)
    await reads(await anonymous(world))
    await world.check()


async def reads(session: PrincipalSession) -> None:
    image = await session.manifests.get(APP, Tag("v1"))
    for data in (BIG, b"small", b"{}"):
        assert str(sha256(data)).encode() in image.data
        assert await whole((await session.blobs.get(APP, sha256(data))).stream()) == data
    referrers = await session.manifests.referrers(APP, image.digest, artifact_type=None, after=None, limit=9)
    assert [found.artifact_type for found in referrers.items] == ["application/vnd.x+json"]
    package = await session.packages.get(PACKAGE, Tag("1"))
    assert (package.metadata, package.labels, package.variant) == ({"a": 1}, {"t": "x"}, "run.v1")
    assert [file.relative_path for file in package.files] == ["a/b.txt", "big"]
    big = await session.packages.file(PACKAGE, Tag("1"), "big")
    assert await whole(big.stream()) == BIG + b"x"
    found = await session.packages.search(Search(fields=(("label.t", "x"),)), after=None, limit=9)
    assert len(found.items) == 1
    assert (await session.schemas.get("run.v1")).document == {"type": "object"}


async def test_what_was_under_way_goes_on(world: World) -> None:
    session = await anonymous(world)
    assert (await session.uploads.get(APP, UPLOAD)).offset == 70_000
    await session.uploads.append(APP, UPLOAD, once(BIG[70_000:] + b"new"), offset=70_000)
    content = await session.uploads.complete(APP, UPLOAD, sha256(BIG + b"new"))
    assert content.size == len(BIG) + 3
    draft = await session.drafts.finalize(PACKAGE, Tag("draft"), NewPackage())
    assert isinstance(draft.package.manifest_digest, Digest)
    await world.check()


async def test_it_is_collected_as_any_store_is(world: World) -> None:
    world.clock.advance(3 * DAY)
    async with hold(world.store.core, collection.WORK) as work:
        await collection.collect(work)
    await reads(await anonymous(world))
