"""What the data plane costs: CPU seconds per GiB in, packed and out, beside the limit of its libraries.

The limit is one loop that hashes a MiB by SHA-256 and BLAKE3 and writes it, and syncs at the end: no store
that knows both digests can do with less. Every figure is the CPU time of the whole process, all threads,
since seconds tell more of what else a machine does; each is the median of some rounds that take turns, so
that nothing is measured in better times than its neighbour.

  commit       append in pieces of 1 MiB, and commit, as an upload comes in
  pack         the blobs cut to chunks and compressed into packs
  read packed  each chunk verified before it is given
  read loose   a blob that is one file, as `read` gives it
  sendfile     the same sent to a socket by the kernel, read by another process
  tiny puts    objects of 1 KiB, each durable, with 1, 16 and 64 callers at once

All but sendfile come again for a sealed domain, whose bytes are encrypted from the first.

examples:
  python -m tests.bench.cost FOLDER                     three rounds of 256 MiB of each kind
  python -m tests.bench.cost FOLDER --mib 1024 --rounds 5 --json cost.json
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import blake3

from registry.contract.dataplane import DEFAULT_DOMAIN, Content, DataPlane, Packing, Stage
from registry.control import UuidIdentifiers
from registry.dataplane import KeyRing, LocalProvider, open_local
from tests.bench.report import add_output, parser_for, show
from tests.bench.samples import KINDS

_PIECE = 1 << 20
_BLOB = 64 << 20
_TINY = 1024
_CALLERS = (1, 16, 64)

#: CPU seconds by (kind, way), one a round.
Found = dict[tuple[str, str], list[float]]


@asynccontextmanager
async def store(folder: Path, *, sealed: bool = False) -> AsyncIterator[DataPlane]:
    """A new store in the folder, gone with the block."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    keys = KeyRing(folder, LocalProvider(bytes(32)), sealed=lambda _domain: True) if sealed else None
    dataplane = open_local(folder, keys=keys)
    try:
        yield dataplane
    finally:
        await dataplane.close()
        shutil.rmtree(folder)


def limit(folder: Path, data: memoryview) -> None:
    """Both digests and a durable file, by the same libraries and in the same pieces."""
    sha, blake = hashlib.sha256(), blake3.blake3()
    with (folder / "limit").open("wb", buffering=0) as sink:
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            sha.update(piece)
            blake.update(piece)
            sink.write(piece)
        os.fsync(sink.fileno())
    (folder / "limit").unlink()


async def commit(dataplane: DataPlane, data: memoryview) -> list[Content]:
    """Blobs of 64 MiB, one after the other."""
    found = []
    for start in range(0, len(data), _BLOB):
        stage = Stage(DEFAULT_DOMAIN, UuidIdentifiers().new())
        await dataplane.append(stage, 0, _pieces(data[start : start + _BLOB]))
        found.append(await dataplane.commit(stage, None))
    return found


async def _pieces(data: memoryview) -> AsyncIterator[bytes]:
    for start in range(0, len(data), _PIECE):
        yield bytes(data[start : start + _PIECE])


async def read(dataplane: DataPlane, contents: list[Content]) -> None:
    """Every byte."""
    for content in contents:
        size = 0
        async for piece in dataplane.read(DEFAULT_DOMAIN, content.blake3):
            size += len(piece)
        assert size == content.size


async def pack(dataplane: DataPlane) -> None:
    """All there is."""
    async for packed in dataplane.pack(Packing()):
        assert packed.fault is None, packed.fault


async def send(dataplane: DataPlane, contents: list[Content]) -> None:
    """Through the kernel to a socket that a child process reads from."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if not child:
        ours.close()
        space = bytearray(_PIECE)
        while theirs.recv_into(space):
            pass
        os._exit(0)
    theirs.close()
    with ours:
        for content in contents:
            file = await dataplane.open_file(DEFAULT_DOMAIN, content.blake3)
            assert file is not None, "a loose blob is a file"
            sent = 0
            while sent < file.size:
                sent += os.sendfile(ours.fileno(), file.fd, sent, _BLOB)
            file.close()
    os.waitpid(child, 0)


async def measure(folder: Path, kind: str, data: memoryview, found: Found) -> None:
    """One round of one kind."""

    async def timed(way: str, work: Awaitable[Any]) -> Any:
        begun = time.process_time()
        outcome = await work
        found.setdefault((kind, way), []).append((time.process_time() - begun) / len(data) * 2**30)
        return outcome

    await timed("limit", asyncio.to_thread(limit, folder, data))
    async with store(folder / "store") as dataplane:
        contents = await timed("commit", commit(dataplane, data))
        await timed("read loose", read(dataplane, contents))
        await timed("sendfile", send(dataplane, contents))
        await timed("pack", pack(dataplane))
        await timed("read packed", read(dataplane, contents))
    async with store(folder / "store", sealed=True) as dataplane:
        contents = await timed("commit, sealed", commit(dataplane, data))
        await timed("read loose, sealed", read(dataplane, contents))
        await timed("pack, sealed", pack(dataplane))
        await timed("read packed, sealed", read(dataplane, contents))


async def tiny(folder: Path, callers: int, count: int, *, sealed: bool) -> tuple[float, float]:
    """Puts a second, and CPU microseconds of each."""
    async with store(folder / "store", sealed=sealed) as dataplane:
        numbers = iter(range(count))

        async def put_some() -> None:
            for number in numbers:
                await dataplane.put(DEFAULT_DOMAIN, blake3.blake3(b"%d" % number).digest(length=_TINY))

        begun, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(put_some() for _ in range(callers)))
        seconds, used = time.perf_counter() - begun, time.process_time() - cpu
    return count / seconds, used / count * 1e6


def table(found: Found) -> list[dict[str, Any]]:
    """A row for each way, the kinds beside each other, with the ratio to the limit."""
    rows = []
    for way in dict.fromkeys(way for _, way in found):
        cells: dict[str, Any] = {"CPU s/GiB": way}
        for kind in dict.fromkeys(kind for kind, _ in found):
            seconds = median(found[kind, way])
            cells[kind] = round(seconds, 2)
            cells[f"{kind}: of limit"] = round(seconds / median(found[kind, "limit"]), 2)
        rows.append(cells)
    return rows


def run(
    folder: Path, size: int, rounds: int, tiny_puts: int, tell: Callable[[str], None] = lambda _: None
) -> dict[str, list[dict[str, Any]]]:
    """All of it. `size` is the bytes of each kind."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = {kind: memoryview(make(size)) for kind, make in KINDS.items()}
    found: Found = {}
    puts: dict[tuple[int, bool], list[tuple[float, float]]] = {}
    for number in range(rounds):
        for kind, data in samples.items():
            asyncio.run(measure(folder, kind, data, found))
        for callers, sealed in product(_CALLERS, (False, True)):
            count = tiny_puts if callers > 1 else tiny_puts // 4
            outcome = asyncio.run(tiny(folder, callers, count, sealed=sealed))
            puts.setdefault((callers, sealed), []).append(outcome)
        tell(f"round {number + 1} of {rounds}")
    tiny_rows = [
        {
            "tiny puts, callers": callers,
            "sealed": "yes" if sealed else "no",
            "a second": round(median(rate for rate, _ in each)),
            "CPU µs each": round(median(cpu for _, cpu in each)),
        }
        for (callers, sealed), each in puts.items()
    ]
    sizes = [{"kind": kind, "MiB": len(data) >> 20} for kind, data in samples.items()]
    return {"cost": table(found), "tiny": tiny_rows, "samples": sizes}


def main() -> None:
    parser = parser_for(__doc__)
    parser.add_argument("folder", type=Path, help="for stores, which are not kept")
    parser.add_argument("--mib", type=int, default=256, help="MiB of each kind (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many (%(default)s)")
    parser.add_argument("--puts", type=int, default=20_000, help="tiny puts of a round (%(default)s)")
    add_output(parser)
    args = parser.parse_args()
    show(
        args,
        "cost",
        run(args.folder, args.mib << 20, args.rounds, args.puts, lambda text: print(text, flush=True)),
    )


if __name__ == "__main__":
    main()
