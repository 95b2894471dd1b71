"""How much replicas serve over PostgreSQL and S3, through a proxy and directly, and what works for it.

Starts everything (tests/replicas/cluster.py), then for each number of replicas and of clients does the same
requests: manifests by tag and by digest, new manifests, small artifacts. For each there are requests a
second, latencies, CPU microseconds of each kind of process for one request, how many mutations a transaction
carried, and how many of the database's sessions waited for the head row, and for the log to be synced, as
samples saw them. Clients take CPU too: on a small machine they, and not the registry, may be what is full,
so that the CPU says more than the rates.

examples:
  python -m tests.bench.throughput FOLDER
  python -m tests.bench.throughput FOLDER --replicas 1,3 --clients 1,32 --seconds 10 --json throughput.json
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import asyncpg  # type: ignore[import-untyped]

from registry.control import open_store
from registry.dataplane import open_s3
from tests.bench.asking import Connection
from tests.bench.curves import numbers
from tests.bench.growth import Growth, grow
from tests.bench.operations import Operation, Place, artifact_push, digest_get, prepare, push, tag_get
from tests.bench.processes import Roots, cpu_of, spent
from tests.bench.readers import summarise
from tests.bench.report import add_output, parser_for, show
from tests.replicas.cluster import Cluster, cluster

#: Manifests that are there at the beginning, in so many repositories.
_HELD = 500
_GROWTH = Growth(repositories=20)
_SAMPLE_SECONDS = 0.2
_SERVICES = ("postgresql", "s3", "proxy")
OPERATIONS: Mapping[str, Operation] = {
    "GET manifest by tag": tag_get,
    "GET manifest by digest": digest_get,
    "push manifest": push,
    "push small artifact": artifact_push,
}
#: Without background work, and without a line of log for each request.
_SETTINGS = {
    "ARTIFACT_STORE_CARE_COLLECT": "0",
    "ARTIFACT_STORE_CARE_SCRUB_BYTES": "0",
    "ARTIFACT_STORE_LOG_LEVEL": "warning",
    "ARTIFACT_STORE_LOG_ACCESS": "false",
}
_WAITING = """
SELECT count(*) FILTER (WHERE wait_event_type = 'Lock' AND query LIKE '%ledger_head%FOR UPDATE%'),
    count(*) FILTER (WHERE wait_event = 'WALSync' OR wait_event = 'WalSync' OR wait_event = 'WALWrite')
FROM pg_stat_activity
"""


@dataclass
class Load:
    """Clients that do one thing over and over. No number is given twice."""

    operation: Operation
    place: Place
    numbers: Iterator[int]
    taken: list[float] = field(default_factory=list)

    async def run(self, ports: Sequence[int], clients: int, seconds: float) -> float:
        """Seconds until the last client has ended."""
        begun = time.perf_counter()
        until = begun + seconds
        each = (self._client(ports[number % len(ports)], until) for number in range(clients))
        await asyncio.gather(*each)
        return time.perf_counter() - begun

    async def _client(self, port: int, until: float) -> None:
        async with Connection(port) as connection:
            while time.perf_counter() < until:
                begun = time.perf_counter()
                await self.operation(connection, self.place, next(self.numbers))
                self.taken.append(time.perf_counter() - begun)


class Bench:
    """Measures one combination after the other on a cluster that runs."""

    def __init__(self, it: Cluster, seconds: float) -> None:
        self._it = it
        self._seconds = seconds
        self._numbers = itertools.count(1)
        self._place = Place(_GROWTH, _HELD, f"{time.time_ns()}")
        self.rows: list[dict[str, Any]] = []

    async def prepare(self) -> None:
        """Fill the store, and put what pushes name where they go."""
        dataplane = await open_s3(self._it.bucket)
        try:
            store = await open_store(dataplane, self._it.postgres.url())
            try:
                await grow(store, _GROWTH, 0, _HELD, lambda _what, _count: None)
            finally:
                await store.close()
        finally:
            await dataplane.close()
        async with Connection(self._it.replicas[0].port) as connection:
            for number in range(_HELD // 2):
                await prepare(connection, self._place, number)

    async def run(self, replicas: int, clients: int, *, through_proxy: bool) -> None:
        """All operations, with the first so many replicas."""
        chosen = self._it.replicas[:replicas]
        for replica in self._it.replicas:
            state = "ready" if replica in chosen else "maint"
            self._it.proxy.command(f"set server replicas/{replica.name} state {state}")
        await asyncio.to_thread(self._it.proxy.await_up, {replica.name for replica in chosen})
        ports = [self._it.proxy.port] if through_proxy else [replica.port for replica in chosen]
        for name, operation in OPERATIONS.items():
            await Load(operation, self._place, self._numbers).run(ports, clients, self._seconds / 5)
            row = await self._one(operation, ports, clients)
            way = "proxy" if through_proxy else "direct"
            told = {"operation": name, "replicas": replicas, "clients": clients, "way": way, **row}
            print(" ".join(f"{key} {value}" for key, value in told.items()), flush=True)
            self.rows.append(told)

    async def _one(self, operation: Operation, ports: Sequence[int], clients: int) -> dict[str, Any]:
        load = Load(operation, self._place, self._numbers)
        batches, before = self._batches(), cpu_of(self._roots())
        watching = asyncio.create_task(self._watch())
        seconds = await load.run(ports, clients, self._seconds)
        watching.cancel()
        found = spent(before, cpu_of(self._roots()))
        count = len(load.taken)
        transactions, mutations = (after - mine for after, mine in zip(self._batches(), batches, strict=True))
        times = summarise(load.taken)
        samples = (await asyncio.gather(watching, return_exceptions=True))[0]
        waits = samples if isinstance(samples, list) else []
        return {
            "a second": round(count / seconds, 1),
            "p50 ms": times.p50,
            "p99 ms": times.p99,
            **{f"{name} µs": round(each / count) for name, each in _by_kind(found).items()},
            "mutations in one commit": round(mutations / transactions, 1) if transactions else "",
            "waiting for the head": _mean([wait[0] for wait in waits]),
            "waiting for the log": _mean([wait[1] for wait in waits]),
        }

    async def _watch(self) -> list[tuple[int, int]]:
        """Samples of sessions that wait, until it is cancelled."""
        samples: list[tuple[int, int]] = []
        asked = await asyncpg.connect(self._it.postgres.url().replace("+asyncpg", ""))
        try:
            while True:
                row = await asked.fetchrow(_WAITING)
                samples.append((row[0], row[1]))
                await asyncio.sleep(_SAMPLE_SECONDS)
        except asyncio.CancelledError:
            return samples
        finally:
            asked.terminate()

    def _roots(self) -> Roots:
        servers = {replica.name: replica.pid for replica in self._it.replicas}
        services = {"postgresql": self._it.postgres.pid, "s3": self._it.seaweed.pid}
        return {**servers, **services, "proxy": self._it.proxy.pid}

    def _batches(self) -> tuple[float, float]:
        """Transactions and mutations of all replicas so far."""
        totals = [0.0, 0.0]
        for replica in self._it.replicas:
            with urlopen(f"{replica.url}/metrics", timeout=60) as answer:
                told = answer.read().decode()
            for place, name in enumerate(("count", "sum")):
                found = re.search(
                    rf"^artifact_store_ledger_batch_mutations_{name} (\S+)$", told, re.MULTILINE
                )
                totals[place] += float(found[1]) if found else 0.0
        return totals[0], totals[1]


def _by_kind(found: Mapping[str, float]) -> dict[str, float]:
    """CPU of all replicas together, and of each service."""
    services = {name: found[name] for name in _SERVICES}
    return {"servers": sum(found.values()) - sum(services.values()), **services}


def _mean(values: Sequence[int]) -> float | str:
    return round(sum(values) / len(values), 2) if values else ""


def main() -> None:
    parser = parser_for(__doc__)
    parser.add_argument("folder", type=Path, help="where everything runs; what is left there may go")
    parser.add_argument("--replicas", type=numbers, default=[1, 2, 3], help="how many, with commas between")
    parser.add_argument("--clients", type=numbers, default=[1, 8, 32], help="connections at a time")
    parser.add_argument("--ways", default="proxy,direct", help="proxy, direct (%(default)s)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement (%(default)s)")
    add_output(parser)
    run(parser.parse_args())


def run(args: argparse.Namespace) -> None:
    """Measure all combinations, and show them."""
    args.folder.mkdir(parents=True, exist_ok=True)
    with cluster(args.folder, replicas=max(args.replicas), settings=_SETTINGS, durable=True) as it:
        bench = Bench(it, args.seconds)

        async def measure() -> None:
            await bench.prepare()
            for way, replicas, clients in itertools.product(
                args.ways.split(","), args.replicas, args.clients
            ):
                await bench.run(replicas, clients, through_proxy=way == "proxy")

        asyncio.run(measure())
    show(args, "throughput", {"throughput": bench.rows})


if __name__ == "__main__":
    main()
