"""A store without a server, a clock that can be put forward, and the pushes that tests repeat."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from registry.contract.dataplane import DEFAULT_DOMAIN, DataPlane, DomainId
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.events import decode_entry
from registry.contract.names import Reference, Repository, Tag
from registry.control import Limits, RepositoryPolicy, Store, SystemClock, collection, open_store
from registry.control.core import DAY, HOUR, SECOND
from registry.control.rebuild import rebuild
from registry.control.sql import Connection, lookups, statements
from registry.control.store import PrincipalSession
from registry.control.work import hold
from registry.dataplane import DataPlaneSettings, open_local
from tests.documents import EMPTY

A = Repository("team/a")
B = Repository("team/b")
LATER = DAY + HOUR


class MovableClock:
    """The machine's clock, which a test can put forward."""

    def __init__(self) -> None:
        self.ahead = 0

    def now(self) -> int:
        return SystemClock().now() + self.ahead


def digest_of(data: bytes) -> Digest:
    return Digest.parse(f"sha256:{sha256(data).hexdigest()}")


async def stream(data: bytes) -> AsyncIterator[bytes]:
    yield data


@dataclass
class World:
    """`session` is a principal's, `folder` holds the bytes."""

    store: Store
    session: PrincipalSession
    dataplane: DataPlane
    clock: MovableClock
    database: str | Path

    async def push_blob(self, data: bytes, repository: Repository = A) -> Digest:
        await self.session.uploads.put(repository, digest_of(data), stream(data), length=len(data))
        return digest_of(data)

    async def push_staged(self, data: bytes, repository: Repository = A) -> Digest:
        """By an upload session, whose bytes are not in memory when they become content."""
        upload = await self.session.uploads.create(repository)
        await self.session.uploads.append(repository, upload.id, stream(data))
        await self.session.uploads.complete(repository, upload.id, digest_of(data))
        return digest_of(data)

    async def push(self, data: bytes, reference: str | None = None, repository: Repository = A) -> Digest:
        """A manifest by tag or by its digest, with the empty config before it."""
        await self.push_blob(EMPTY, repository)
        name: Reference = Tag(reference) if reference else digest_of(data)
        await self.session.manifests.put(repository, name, None, data)
        return digest_of(data)

    async def has_blob(self, data: bytes, repository: Repository = A) -> bool:
        """As HEAD asks, lease and all."""
        try:
            await self.session.blobs.get(repository, digest_of(data))
        except StoreError as error:
            assert error.kind is ErrorKind.BLOB_UNKNOWN
            return False
        return True

    async def has_manifest(self, data: bytes, repository: Repository = A) -> bool:
        try:
            found = await self.session.manifests.get(repository, digest_of(data))
        except StoreError as error:
            assert error.kind is ErrorKind.MANIFEST_UNKNOWN
            return False
        assert found.data == data
        return True

    async def read(self, data: bytes, repository: Repository = A) -> bytes:
        reading = await self.session.blobs.get(repository, digest_of(data))
        return b"".join([piece async for piece in reading.stream()])

    async def collect(self, later: int = 0, **options: Any) -> collection.Collected:
        """A run when the clock has been put forward by `later`."""
        self.clock.ahead += later
        async with hold(self.store.core, collection.WORK, 10) as work:
            return await collection.collect(work, wait=True, **options)

    async def bytes_held(self) -> dict[str, int]:
        """What lies in the data plane: size by SHA-256."""
        held = {}
        async for domain, address, size in self.dataplane.contents():
            data = await self.dataplane.get(domain, address, size)
            held[str(digest_of(data))] = size
        return held

    async def events(self, kind: str) -> list[Any]:
        """The ledger's events of a kind, oldest first."""
        rows = await self.store.core.database.fetch(lookups.EVENTS_PAGE, {"after": 0, "limit": 100_000})
        entries = [decode_entry(bytes(row[0])) for row in rows]
        return [entry.event for entry in entries if kind == entry.event.KIND]

    async def rows(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """What the database says."""

        def query(connection: Connection) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in statements.rows(connection, statement, **parameters)]

        return await self.store.core.database.read(query)

    async def address_of(self, data: bytes) -> Digest:
        """The content address of stored bytes."""
        found = await self.rows(
            "SELECT b.content_address FROM blob_digests d JOIN blobs b ON b.id = d.blob_id "
            "WHERE d.digest = :d",
            d=str(digest_of(data)),
        )
        return Digest.parse(found[0][0])

    async def rebuilds_to_the_same(self) -> None:
        """Close the store, replay the ledger, and find every view as it was."""
        await self.store.close()
        done = await rebuild(self.database, self.dataplane)
        assert done.differing == []
        assert done.faults == []


LIMITS = Limits(removal_delay=SECOND // 100)


@asynccontextmanager
async def open_world(
    folder: Path,
    database: str | Path,
    *,
    limits: Limits = LIMITS,
    policies: tuple[RepositoryPolicy, ...] = (),
    dataplane_settings: DataPlaneSettings | None = None,
) -> AsyncIterator[World]:
    """The store of a folder and a database, new or not."""
    clock = MovableClock()
    dataplane = open_local(folder / "content", settings=dataplane_settings or DataPlaneSettings())
    store = await open_store(dataplane, database, limits=limits, policies=policies, clock=clock)
    try:
        session = store.for_principal(await store.principal("tester"))
        yield World(store, session, dataplane, clock, database)
    finally:
        await store.close()
        await dataplane.close()


DOMAIN: DomainId = DEFAULT_DOMAIN
