"""Fill a data folder with very many blobs, manifests, tags and referrers, through the ledger.

The bytes go through the data plane and the rows through the ledger's own mutations, as a push has it; only
the transactions are larger, and what a face or a client would cost is left out. The folder is one that
`artifact-store serve --data FOLDER` opens, with everything in the repository `bulk/load`; garbage in it is a
month old, so that a collection may take it. The same numbers give the same bytes, and every manifest's digest
follows from its number (tests/bench/shape.py).

examples:
  python -m tests.bench.bulk FOLDER --blobs 1000000 --manifests 100000 --garbage 10
                                          a million blobs of 1 KiB, a tenth of them nobody's
  python -m tests.bench.bulk FOLDER --blobs 1000000 --manifests 1000000 --tags 1000000 --referrers 10000
                                          a million tagged manifests, and 10,000 referrers of the first
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from registry.contract.dataplane import DEFAULT_DOMAIN, Content, DataPlane
from registry.contract.manifest import parse_manifest
from registry.contract.names import Repository, Tag
from registry.control import Store, SystemClock, open_store, recording
from registry.control.core import DAY
from registry.control.manifest_storing import Incoming, store_manifest
from registry.control.sql.transaction import Transaction
from registry.dataplane import open_local
from tests.bench.report import add_output, parser_for, show
from tests.bench.shape import EMPTY, Shape, batches, digest_of

REPOSITORY = Repository("bulk/load")
_ACTOR = "bulk"
#: Contents of one transaction.
_BATCH = 2000
_AT_ONCE = 256
_AGE = 31 * DAY

Progress = Callable[[str, int], None]


class _Past:
    """A clock of a month ago: what is filled in now is old enough for a collection."""

    def now(self) -> int:
        return SystemClock().now() - _AGE


async def fill(folder: Path, shape: Shape, progress: Progress = lambda _what, _count: None) -> None:
    """Make a store in `folder` that has this shape. Raises ValueError when one is there already."""
    dataplane = open_local(folder)
    try:
        store = await open_store(dataplane, folder / "ledger.sqlite", clock=_Past())
        try:
            if await store.core.database.head():
                raise ValueError(f"{folder} holds a store already: name a folder that does not exist")
            await _Loader(store, shape, progress).run()
        finally:
            await store.close()
    finally:
        await dataplane.close()


class _Loader:
    """Bytes of one batch are put while the rows of the one before are written."""

    def __init__(self, store: Store, shape: Shape, progress: Progress) -> None:
        self._core = store.core
        self._shape = shape
        self._progress = progress
        self._writing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        shape = self._shape
        await self._blobs([EMPTY])
        for numbers in batches(shape.blobs, _BATCH):
            await self._blobs([shape.blob(number) for number in numbers])
            self._progress("blobs", numbers.stop)
        for numbers in batches(shape.manifests, _BATCH):
            tags = {number: [Tag(shape.tag(number)[0])] for number in numbers if number < shape.tags}
            await self._manifests([(shape.manifest(number), tags.get(number, [])) for number in numbers])
            self._progress("manifests", numbers.stop)
        for numbers in batches(shape.tags - shape.manifests, _BATCH):
            extra = [shape.tag(shape.manifests + number) for number in numbers]
            await self._manifests([(shape.manifest(number), [Tag(name)]) for name, number in extra])
            self._progress("more tags", numbers.stop)
        for numbers in batches(shape.referrers, _BATCH):
            await self._manifests([(shape.referrer(number), []) for number in numbers])
            self._progress("referrers", numbers.stop)
        await self._written()

    async def _blobs(self, datas: Sequence[bytes]) -> None:
        contents = await put_all(self._core.dataplane, datas)

        def change(tx: Transaction) -> None:
            target = recording.ensure_repository(tx, self._core, REPOSITORY)
            for content in contents:
                recording.link_blob(tx, target, recording.record_content(tx, DEFAULT_DOMAIN, content))

        await self._write(change)

    async def _manifests(self, each: Sequence[tuple[bytes, list[Tag]]]) -> None:
        contents = await put_all(self._core.dataplane, [document for document, _ in each])

        def change(tx: Transaction) -> None:
            for (document, tags), content in zip(each, contents, strict=True):
                incoming = Incoming(parse_manifest(document, None), content, content.sha256, None)
                store_manifest(tx, self._core, REPOSITORY, incoming, tags)

        await self._write(change)

    async def _write(self, change: Callable[[Transaction], None]) -> None:
        await self._written()
        self._writing = asyncio.create_task(self._core.database.write(_ACTOR, change))

    async def _written(self) -> None:
        if self._writing is not None:
            await self._writing


async def put_all(dataplane: DataPlane, datas: Sequence[bytes]) -> list[Content]:
    """Store many small objects, a number of them at once."""
    turn = asyncio.Semaphore(_AT_ONCE)

    async def put(data: bytes) -> Content:
        async with turn:
            return await dataplane.put(DEFAULT_DOMAIN, data)

    return await asyncio.gather(*map(put, datas))


def manifest_digest(shape: Shape, number: int) -> str:
    """What to ask a server for."""
    return digest_of(shape.manifest(number))


def add_shape(parser: argparse.ArgumentParser) -> None:
    """The options that `shape_of` reads."""
    for name, default, text in (
        ("blobs", 100_000, "blobs that are no manifests"),
        ("manifests", 10_000, "manifests that share the named blobs as layers"),
        ("tags", 0, "tags of the manifests"),
        ("referrers", 0, "manifests whose subject is manifest 0"),
        ("garbage", 0, "percent of the blobs that no manifest names"),
        ("size", 1024, "bytes of a blob"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{text} (%(default)s)")


def shape_of(args: argparse.Namespace) -> Shape:
    """Raises ValueError."""
    return Shape(args.blobs, args.manifests, args.tags, args.referrers, args.garbage, args.size)


class Ticker:
    """Tells on stdout now and then how far it is, with the rate since the last time."""

    def __init__(self, every: float = 10.0) -> None:
        self._every = every
        self._told = time.monotonic()
        self._last = ("", 0)

    def __call__(self, what: str, count: int) -> None:
        now = time.monotonic()
        if what != self._last[0]:
            self._last = (what, 0)
        if now - self._told >= self._every:
            rate = (count - self._last[1]) / (now - self._told)
            print(f"{count:9} {what}, {rate:.0f}/s", flush=True)
            self._told, self._last = now, (what, count)


def filled(folder: Path, shape: Shape, *, quiet: bool = False) -> dict[str, Any]:
    """Fill and tell what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    work: Coroutine[Any, Any, None] = fill(folder, shape, Ticker(1e9 if quiet else 10.0))
    asyncio.run(work)
    seconds = time.perf_counter() - wall
    return {
        "contents": shape.contents(),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "contents_per_second": round(shape.contents() / seconds),
    }


def main() -> None:
    parser = parser_for(__doc__)
    parser.add_argument("folder", type=Path, help="data folder to make")
    add_shape(parser)
    add_output(parser)
    args = parser.parse_args()
    try:
        outcome = filled(args.folder, shape_of(args))
    except ValueError as error:
        parser.error(str(error))
    show(args, "bulk", {"filled": [outcome]})


if __name__ == "__main__":
    main()
