"""Where the stores of the cost curves are: a folder each, or a database each over one bucket."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from pathlib import Path
from typing import Protocol

from registry.contract.dataplane import DataPlane
from registry.control import Store, open_store
from registry.dataplane import S3Settings, open_local, open_s3
from tests.bench.bulk import Ticker
from tests.bench.growth import Growth, grow
from tests.bench.processes import Roots
from tests.bench.rows import multiply
from tests.objectstore.asking import make_bucket
from tests.objectstore.seaweed import SeaweedServer
from tests.ports import free_ports
from tests.replicas.cluster import settings_of
from tests.replicas.postgres import Postgres, embedded
from tests.replicas.replica import Replica

#: Manifests that come through the ledger where the others are rows only.
_REAL = 1000
#: No work beside the requests.
_QUIET = {
    "ARTIFACT_STORE_CARE_COLLECT": "0",
    "ARTIFACT_STORE_CARE_SCRUB_BYTES": "0",
    "ARTIFACT_STORE_LOG_LEVEL": "warning",
}


class Engine(Protocol):
    """One store: filled while its server does not run, then asked."""

    @property
    def name(self) -> str: ...

    @property
    def server(self) -> Replica: ...

    async def fill(self, growth: Growth, before: int, until: int) -> int:
        """Add manifests `before` to `until` - 1. How many, from the first on, can be read."""
        ...

    def held(self) -> int:
        """Manifests that it was filled with."""
        ...

    def note(self, size: int) -> None:
        """It has been filled so far."""
        ...

    def services(self) -> Roots:
        """Processes that work for the server."""
        ...


class Embedded:
    """SQLite and files, in a folder that stays."""

    name = "embedded"

    def __init__(self, folder: Path) -> None:
        (port,) = free_ports(1)
        self.server = Replica(folder, port, _QUIET)
        self._data = folder / "data"
        self._noted = folder / "held"

    def held(self) -> int:
        return int(self._noted.read_text()) if self._noted.exists() else 0

    def note(self, size: int) -> None:
        self._noted.write_text(str(size))

    def services(self) -> Roots:
        return {}

    async def fill(self, growth: Growth, before: int, until: int) -> int:
        if before < until:
            async with _opened(open_local(self._data), self._data / "ledger.sqlite") as store:
                await grow(store, growth, before, until, Ticker())
        return until


class Shared:
    """A database of a PostgreSQL server and a bucket of an S3 server."""

    name = "PostgreSQL + S3"

    def __init__(
        self, folder: Path, database: str, postgres: Postgres, seaweed: SeaweedServer, bucket: S3Settings
    ) -> None:
        postgres.execute(f"CREATE DATABASE {database}")
        (port,) = free_ports(1)
        self._url = postgres.url(database)
        self.server = Replica(folder, port, {**settings_of(self._url, bucket), **_QUIET})
        self._database = database
        self._postgres = postgres
        self._seaweed = seaweed
        self._bucket = bucket
        self._held = 0

    def held(self) -> int:
        return self._held

    def note(self, size: int) -> None:
        self._held = size

    def services(self) -> Roots:
        return {"postgresql": self._postgres.pid, "s3": self._seaweed.pid}

    async def fill(self, growth: Growth, before: int, until: int) -> int:
        if before < _REAL:
            async with _opened(await open_s3(self._bucket), self._url) as store:
                await grow(store, growth, before, min(until, _REAL), Ticker())
        if until > _REAL:
            start = max(before, _REAL)
            await asyncio.to_thread(multiply, self._postgres, self._database, growth, start, until)
        return min(until, _REAL)


@asynccontextmanager
async def _opened(dataplane: DataPlane, database: Path | str) -> AsyncIterator[Store]:
    try:
        store = await open_store(dataplane, database)
        try:
            yield store
        finally:
            await store.close()
    finally:
        await dataplane.close()


@contextmanager
def embedded_engines(folder: Path, repositories: Sequence[int]) -> Iterator[Mapping[int, Engine]]:
    """One folder for each number of repositories."""
    yield {count: Embedded(folder / f"embedded-{count}") for count in repositories}


@contextmanager
def shared_engines(folder: Path, repositories: Sequence[int]) -> Iterator[Mapping[int, Engine]]:
    """One database for each number of repositories, over a prefix of its own. PostgreSQL syncs."""
    with ExitStack() as stack:
        place = folder / "seaweed"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True, exist_ok=True)
        seaweed = SeaweedServer(place)
        stack.callback(seaweed.close)
        asyncio.run(make_bucket(seaweed.settings("curves")))
        postgres = Postgres(embedded(), durable=True)
        stack.callback(postgres.close)
        yield {
            count: Shared(
                folder / f"shared-{count}",
                f"grown_{count}",
                postgres,
                seaweed,
                seaweed.settings(f"curves-{count}", stall=30),
            )
            for count in repositories
        }


ENGINES: Mapping[str, Callable[[Path, Sequence[int]], AbstractContextManager[Mapping[int, Engine]]]] = {
    "embedded": embedded_engines,
    "shared": shared_engines,
}
