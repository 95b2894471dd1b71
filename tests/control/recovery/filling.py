"""Stores with something of everything in them, and where they are."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from registry.contract.archive import Archive
from registry.contract.dataplane import DataPlane
from registry.contract.digest import Algorithm, Digest
from registry.contract.jsonvalue import JsonValue
from registry.contract.manifest import OCI_INDEX
from registry.contract.model import NewFile, NewPackage
from registry.contract.names import Tag
from registry.control.export import Export
from registry.control.recovery import Recovered, recover
from registry.control.recovery.recovering import Source
from registry.control.sql import replay
from tests.control.world import DEMO, OTHER, FakeClock, World, blake3, image, index, open_world, sha256

VARIANT = "guide-board.run.v1"
SCHEMA: dict[str, JsonValue] = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@dataclass
class Site:
    """Storage that stays, and databases that come and go."""

    dataplane: DataPlane
    archive: Archive
    new_database: Callable[[], str | Path]
    clock: FakeClock = field(default_factory=FakeClock)

    @asynccontextmanager
    async def opened(self, database: str | Path) -> AsyncIterator[World]:
        """The store with that database."""
        async with open_world(
            database, self.dataplane, clock=self.clock, export=Export(self.archive)
        ) as world:
            yield world

    async def recovered(self, database: str | Path, *, resume: bool = False) -> Recovered:
        """What `recover` makes of the storage."""
        return await recover(Source(self.dataplane, self.archive), database, resume=resume)


def in_folder(folder: Path) -> Callable[[], Path]:
    """New databases as files."""
    numbers = itertools.count(1)
    return lambda: folder / f"ledger-{next(numbers)}.sqlite"


async def fill(world: World) -> None:
    """Pushes, tags that move and go, deletions, an index, a referrer, packages, schemas in two versions."""
    one = await world.push_image("v1", [b"layer one", b"shared"])
    two = await world.push_image("v2", [b"layer two", b"shared"])
    await world.push_image("latest", [b"layer one", b"shared"])
    await world.push_image("latest", [b"layer two", b"shared"])
    await world.push_image("gone", [b"layer three"])
    await world.session.manifests.delete(DEMO, Tag("gone"))
    doomed = await world.push_image("doomed", [b"layer four"])
    await world.session.manifests.delete(DEMO, doomed)
    await world.push_manifest(
        "all", index([image([b"layer one", b"shared"]), image([b"layer two", b"shared"])])
    )
    await world.push_image(
        None, [b"signature"], subject={"mediaType": OCI_INDEX, "digest": str(one), "size": 9}
    )
    await world.push_image("v1", [b"shared"], OTHER)
    await world.push_blob(b"by another name", DEMO, Algorithm.SHA512)
    await world.session.schemas.put(VARIANT, SCHEMA)
    await world.session.schemas.put(VARIANT, {**SCHEMA, "title": "again"})
    for number in range(3):
        await put_package(world, f"p{number}", number)
    await world.session.packages.delete(DEMO, Tag("p1"))
    assert one != two


async def put_package(world: World, version: str, number: int) -> None:
    """A package with two files, one of which all packages have."""
    own = f"result {number}".encode()
    await world.push_blob(own)
    await world.push_blob(b"common file")
    files = (NewFile("own.txt", blake3(own)), NewFile("common.txt", sha256(b"common file")))
    package = NewPackage(variant=VARIANT, metadata={"n": number}, labels={"team": "a"}, files=files)
    await world.session.packages.put(DEMO, Tag(version), package)


async def views(world: World) -> dict[str, str]:
    """Every view as a sum."""
    return await world.store.core.database.read(replay.fingerprints)


async def ledger(world: World) -> list[bytes]:
    """Every event as it is written."""
    page = await world.session.ledger.page(after=0, limit=10_000)
    return [event.envelope for event in page.items]


async def orphan(world: World, data: bytes) -> Digest:
    """Bytes without a row, as a push that was acknowledged behind the last checkpoint leaves them."""
    content = await world.dataplane.put(world.store.core.policies.of(DEMO).domain, data)
    return content.blake3
