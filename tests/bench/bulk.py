"""Fill a store with very many tiny blobs and manifests, through the ledger, for measurements by hand.

    python -m tests.bench.bulk FOLDER --blobs 1000000 [--garbage 10] [--measure]

Every blob is named by a manifest of its own, except for `--garbage` percent of them, which are nobody's and a
month old. FOLDER is a data folder, which `artifact-store` opens. With --measure a collection and a scrub run
while manifests are read one after another, and the figures are printed.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any

from registry.contract.dataplane import DEFAULT_DOMAIN, Content
from registry.contract.digest import Digest
from registry.contract.manifest import parse_manifest
from registry.contract.names import Repository
from registry.control import Store, SystemClock, collection, open_store, recording, scrubbing
from registry.control.collection_plan import plan
from registry.control.core import DAY, Limits
from registry.control.manifest_storing import Incoming, store_manifest
from registry.control.sql.transaction import Transaction
from registry.control.store import PrincipalSession
from registry.control.work import hold
from registry.dataplane import open_local
from tests.control.collection.world import EMPTY, manifest

_REPOSITORY = Repository("bulk/tiny")
_BATCH = 500
_AT_ONCE = 64
_READS = 3000


class ShiftedClock:
    """The machine's clock, some days ago or ahead."""

    def __init__(self) -> None:
        self.shift = 0

    def now(self) -> int:
        return SystemClock().now() + self.shift


def blob(number: int) -> bytes:
    return f"tiny blob {number:09d}".encode()


async def fill(store: Store, blobs: int, garbage: int) -> None:
    """Bytes first, then rows, as a push has it, in large batches."""
    core = store.core
    turn = asyncio.Semaphore(_AT_ONCE)

    async def put(data: bytes) -> Content:
        async with turn:
            return await core.dataplane.put(DEFAULT_DOMAIN, data)

    config = await put(EMPTY)
    for numbers in _batches(blobs):
        datas = [blob(number) for number in numbers]
        loose = {number for number in numbers if number % 100 < garbage}
        documents = [
            manifest(data) for number, data in zip(numbers, datas, strict=True) if number not in loose
        ]
        contents = await asyncio.gather(*map(put, datas))
        manifests = await asyncio.gather(*map(put, documents))

        def change(
            tx: Transaction,
            contents: list[Content] = contents,
            documents: list[bytes] = documents,
            manifests: list[Content] = manifests,
        ) -> None:
            target = recording.ensure_repository(tx, core, _REPOSITORY)
            for content in (config, *contents):
                recording.link_blob(tx, target, recording.record_content(tx, DEFAULT_DOMAIN, content))
            for document, content in zip(documents, manifests, strict=True):
                incoming = Incoming(parse_manifest(document, None), content, content.sha256, None)
                store_manifest(tx, core, _REPOSITORY, incoming, ())

        await core.database.write("bulk", change)
        if numbers[0] % 50_000 == 0:
            print(f"{numbers[0]} blobs", flush=True)


async def read_manifests(
    session: PrincipalSession, blobs: int, garbage: int, until: asyncio.Event
) -> list[float]:
    """Seconds of each GET of a manifest by digest, one after another, at a steady pace."""
    taken: list[float] = []
    number = garbage
    while not until.is_set() and len(taken) < 200_000:
        number = (number + 7919) % blobs
        if number % 100 < garbage:
            continue
        digest: Digest = digest_of_manifest(number)
        begun = time.perf_counter()
        await session.manifests.get(_REPOSITORY, digest)
        taken.append(time.perf_counter() - begun)
        await asyncio.sleep(0.002)
        if len(taken) >= _READS and until is IDLE:
            break
    return taken


IDLE = asyncio.Event()


def digest_of_manifest(number: int) -> Digest:
    from tests.control.collection.world import digest_of

    return digest_of(manifest(blob(number)))


async def measure(store: Store, clock: ShiftedClock, blobs: int, garbage: int) -> None:
    """A plan, a collection and a scrub, each beside reads."""
    session = store.for_principal(await store.principal("bench"))
    report("idle", 0.0, await read_manifests(session, blobs, garbage, IDLE))
    clock.shift += 31 * DAY

    async def collect() -> object:
        async with hold(store.core, collection.WORK) as work:
            return await collection.collect(work, wait=True)

    async def scrub() -> object:
        async with hold(store.core, scrubbing.WORK) as work:
            return await scrubbing.scrub(work, rate=2**40, every=DAY)

    for name, task in (
        ("plan", plan(store.core)),
        ("gc", collect()),
        ("gc again", collect()),
        ("scrub", scrub()),
    ):
        ended = asyncio.Event()
        reads = asyncio.create_task(read_manifests(session, blobs, garbage, ended))
        begun = time.perf_counter()
        outcome = await _and_set(task, ended)
        seconds = time.perf_counter() - begun
        report(name, seconds, await reads)
        print(f"    {outcome}", flush=True)


async def _and_set(task: Awaitable[Any], ended: asyncio.Event) -> Any:
    try:
        return await task
    finally:
        ended.set()


def report(name: str, seconds: float, reads: list[float]) -> None:
    ordered = sorted(reads) or [0.0]
    p50, p99 = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{name:9} {seconds:8.1f} s, peak {peak} MiB; {len(reads)} reads: "
        f"p50 {p50 * 1000:.2f} ms, p99 {p99 * 1000:.2f} ms, max {ordered[-1] * 1000:.1f} ms",
        flush=True,
    )


def _batches(blobs: int) -> Iterator[range]:
    for start in range(0, blobs, _BATCH):
        yield range(start, min(start + _BATCH, blobs))


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--blobs", type=int, default=100_000)
    parser.add_argument("--garbage", type=int, default=10, help="percent")
    parser.add_argument("--measure", action="store_true")
    args = parser.parse_args()
    clock = ShiftedClock()
    dataplane = open_local(args.folder)
    store = await open_store(
        dataplane, args.folder / "ledger.sqlite", clock=clock, limits=Limits(removal_delay=0)
    )
    try:
        begun = time.perf_counter()
        if await store.core.database.head() == 0:
            await fill(store, args.blobs, args.garbage)
            print(f"filled in {time.perf_counter() - begun:.1f} s", flush=True)
        if args.measure:
            await measure(store, clock, args.blobs, args.garbage)
    finally:
        await store.close()
        await dataplane.close()


if __name__ == "__main__":
    asyncio.run(main())
