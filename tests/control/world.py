"""A store in hand: both planes, clocks and identifiers that a test controls, and the steps tests repeat."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from registry.contract.dataplane import DataPlane
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.manifest import OCI_EMPTY, OCI_INDEX, OCI_MANIFEST
from registry.contract.model import Principal
from registry.contract.names import Repository, Tag
from registry.control import Limits, RepositoryPolicy, Store, open_store
from registry.control.export import Export
from registry.control.fsck import Checked, fsck
from registry.control.rebuild import Rebuilt, rebuild
from registry.control.sql import replay
from registry.control.store import PrincipalSession

START = 1_700_000_000_000_000
HOUR = 3600 * 1_000_000
DAY = 24 * HOUR

ALICE = Principal("alice-id", "alice")
BOB = Principal("bob-id", "bob")
DEMO = Repository("demo/app")
OTHER = Repository("demo/other")


class FakeClock:
    """Moves by a microsecond with each reading, and by what a test adds."""

    def __init__(self, start: int = START) -> None:
        self.time = start

    def now(self) -> int:
        self.time += 1
        return self.time

    def advance(self, microseconds: int) -> None:
        self.time += microseconds


class FakeIdentifiers:
    """UUIDs that are the same in every run."""

    def __init__(self) -> None:
        self._random = random.Random(7)

    def new(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))


@dataclass
class World:
    """A store, opened, with the session of a principal."""

    store: Store
    dataplane: DataPlane
    database: str | Path
    clock: FakeClock
    session: PrincipalSession

    @property
    def bob(self) -> PrincipalSession:
        return self.store.for_principal(BOB)

    async def fingerprints(self) -> dict[str, str]:
        return await self.store.core.database.read(replay.fingerprints)

    async def head(self) -> int:
        return await self.store.core.database.head()

    async def kinds(self, after: int = 0) -> list[str]:
        """The kinds of the ledger's events, in order."""
        page = await self.session.ledger.page(after=after, limit=10_000)
        return [event.kind for event in page.items]

    async def push_blob(
        self, data: bytes, repository: Repository = DEMO, algorithm: Algorithm = Algorithm.SHA256
    ) -> Digest:
        digest = Digest.of(data, algorithm)
        await self.session.uploads.put(repository, digest, once(data), length=len(data))
        return digest

    async def push_image(
        self,
        reference: str | Digest | None,
        layers: Sequence[bytes] = (b"layer",),
        repository: Repository = DEMO,
        **more: Any,
    ) -> Digest:
        """Blobs and an image manifest over them; by its digest when `reference` is None."""
        await self.push_blob(b"{}", repository)
        for layer in layers:
            await self.push_blob(layer, repository)
        return await self.push_manifest(reference, image(layers, **more), repository)

    async def push_manifest(
        self, reference: str | Digest | None, data: bytes, repository: Repository = DEMO
    ) -> Digest:
        name = reference if isinstance(reference, Digest) else Tag(reference) if reference else sha256(data)
        media_type = json.loads(data)["mediaType"]
        return (await self.session.manifests.put(repository, name, media_type, data)).digest

    async def fsck(self, *, structure_only: bool = False) -> Checked:
        return await fsck(self.store.core, structure_only=structure_only)

    async def check(self) -> Rebuilt:
        """The store is sound: fsck is clean, the ledger gapless, and a rebuild changes nothing."""
        checked = await self.fsck()
        assert checked.faults == []
        before = await self.fingerprints()
        rebuilt = await rebuild(self.database, self.dataplane)
        assert rebuilt.faults == []
        assert rebuilt.differing == []
        assert await self.fingerprints() == before
        assert rebuilt.events == await self.head()
        return rebuilt


@dataclass
class Unchanged:
    """Refusals seen while it lasts; nothing may change."""

    kind: ErrorKind
    error: StoreError | None = field(default=None)


@asynccontextmanager
async def refused(world: World, kind: ErrorKind) -> AsyncIterator[Unchanged]:
    """The block raises StoreError `kind` and changes neither views nor ledger."""
    before, head = await world.fingerprints(), await world.head()
    seen = Unchanged(kind)
    with pytest.raises(StoreError) as caught:
        yield seen
    seen.error = caught.value
    assert caught.value.kind is kind, caught.value
    assert caught.value.message
    assert await world.head() == head
    assert await world.fingerprints() == before


@asynccontextmanager
async def open_world(
    database: str | Path,
    dataplane: DataPlane,
    *,
    clock: FakeClock | None = None,
    identifiers: FakeIdentifiers | None = None,
    limits: Limits | None = None,
    policies: tuple[RepositoryPolicy, ...] = (),
    export: Export | None = None,
) -> AsyncIterator[World]:
    """The store over `dataplane`, which stays its opener's to close."""
    clock = clock or FakeClock()
    store = await open_store(
        dataplane,
        database,
        clock=clock,
        identifiers=identifiers or FakeIdentifiers(),
        limits=limits,
        policies=policies,
        export=export,
    )
    try:
        yield World(store, dataplane, database, clock, store.for_principal(ALICE))
    finally:
        await store.close()


async def once(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def whole(stream: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in stream])


def sha256(data: bytes) -> Digest:
    return Digest.of(data, Algorithm.SHA256)


def blake3(data: bytes) -> Digest:
    return Digest.of(data, Algorithm.BLAKE3)


def descriptor(data: bytes, media_type: str = "application/octet-stream", **more: Any) -> dict[str, Any]:
    algorithm = more.pop("algorithm", Algorithm.SHA256)
    return {
        "mediaType": media_type,
        "digest": str(Digest.of(data, algorithm)),
        "size": len(data),
        **more,
    }


def image(layers: Sequence[bytes] = (b"layer",), **more: Any) -> bytes:
    """An image manifest over the empty config and `layers`."""
    document: Mapping[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(b"{}", OCI_EMPTY),
        "layers": [descriptor(layer) for layer in layers],
        **more,
    }
    return json.dumps(document).encode()


def index(children: Sequence[bytes], **more: Any) -> bytes:
    """An image index over manifests given by their bytes."""
    document: Mapping[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [descriptor(child, json.loads(child)["mediaType"]) for child in children],
        **more,
    }
    return json.dumps(document).encode()
