"""Time, memory and disturbance of looking after a large store: start, gc, scrub and fsck beside reads.

Fills FOLDER with `tests.bench.bulk` unless it is filled already (then give the same numbers again), starts
`artifact-store serve` on it, and reads manifests over HTTP, 200 a second by chance, while one thing after the
other is done. For each there are seconds, CPU seconds, the process's largest resident memory, and how long
the reads took, to be compared with those of the idle server. Work in the server shares its core with the
requests; the commands run beside it.

The stages, all of them by default:
  start       the server, from its beginning until it listens
  idle        only the reads, 20 seconds
  dry-run     artifact-store gc --dry-run
  gc          a collection in the server, --beside: by artifact-store gc instead
  gc-again    artifact-store gc, with nothing left to do
  structure   artifact-store fsck --structure-only
  scrub       the server's scrub of everything, at its default rate, --scrub-bytes: at another
  fsck        artifact-store fsck, which reads all there is

examples:
  python -m tests.bench.care FOLDER --blobs 100000 --manifests 10000 --garbage 10
  python -m tests.bench.care FOLDER --blobs 1000000 --manifests 100000 --garbage 10 --json care.json
  python -m tests.bench.care FOLDER --blobs 100000 --stages start,idle,structure
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tests.bench.bulk import REPOSITORY, add_shape, filled, manifest_digest, shape_of
from tests.bench.readers import any_of, beside
from tests.bench.report import add_output, parser_for, show
from tests.bench.shape import Shape
from tests.server.program import command, environment

STAGES = ("start", "idle", "dry-run", "gc", "gc-again", "structure", "scrub", "fsck")

_LISTENING = re.compile(r"listening on http://127\.0\.0\.1:(\d+)\n")
_IDLE_SECONDS = 20.0
_QUIET = ("--care-collect", "0", "--care-scrub-bytes", "0")
#: Manifests that are read: more than any cache of the server holds, fewer than take long to name.
_READ = 20_000


@dataclass
class Server:
    """A server that listens. `seconds` is what its start took."""

    process: subprocess.Popen[str]
    port: int
    seconds: float

    def cpu(self) -> float:
        """CPU seconds so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak(self) -> int:
        """Largest resident memory so far, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) >> 10

    def metric(self, name: str) -> float:
        """One sample of /metrics that has no labels; 0 before it is there."""
        with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=60) as answer:
            found = re.search(rf"^artifact_store_{name} (\S+)$", answer.read().decode(), re.MULTILINE)
        return float(found[1]) if found else 0.0


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Server]:
    """A server on the folder, ended with the block."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        command(
            "serve", "--data", str(folder), "--listen", "127.0.0.1:0", "--log-level", "warning", *options
        ),
        env=environment(),
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        listening = _LISTENING.fullmatch(line)
        if not listening:
            raise OSError(f"the server did not start: it said {line!r}")
        yield Server(process, int(listening[1]), time.perf_counter() - begun)
    finally:
        process.terminate()
        process.wait(60)
        assert process.stdout is not None
        process.stdout.close()


class Bench:
    """Runs stages and gathers a row for each."""

    def __init__(self, folder: Path, shape: Shape, *, gc_beside: bool, scrub_bytes: str | None) -> None:
        self._folder = folder
        self._shape = shape
        self._gc_beside = gc_beside
        self._scrub_bytes = scrub_bytes
        self.rows: list[dict[str, Any]] = []
        count = min(shape.manifests, _READ)
        step = shape.manifests // count
        digests = [manifest_digest(shape, number * step) for number in range(count)]
        self._target = any_of(lambda number: f"/v2/{REPOSITORY}/manifests/{digests[number]}", count)

    def run(self, stages: list[str]) -> None:
        """One after another, those without work in the server on one server."""
        quiet = [stage for stage in stages if not self._in_server(stage)]
        for part in (self._split(quiet, before="gc-again"), ["gc"], self._split(quiet, since="gc-again")):
            chosen = [stage for stage in part if stage in stages]
            if chosen == ["gc"] and not self._gc_beside:
                with serving(
                    self._folder, "--care-collect", "1 s", "--care-delay", "0", *_QUIET[2:]
                ) as server:
                    asyncio.run(self._collect(server))
            elif chosen:
                with serving(self._folder, *_QUIET) as server:
                    for stage in chosen:
                        asyncio.run(self._stage(stage, server))
        if "scrub" in stages:
            rate = ("--care-scrub-bytes", self._scrub_bytes) if self._scrub_bytes else ()
            with serving(self._folder, "--care-collect", "0", *rate) as server:
                asyncio.run(self._scrub(server))

    def _in_server(self, stage: str) -> bool:
        return stage == "scrub" or (stage == "gc" and not self._gc_beside)

    @staticmethod
    def _split(stages: list[str], before: str | None = None, since: str | None = None) -> list[str]:
        at = STAGES.index(before or since or STAGES[0])
        return [
            stage for stage in stages if (STAGES.index(stage) < at) is (before is not None) and stage != "gc"
        ]

    async def _stage(self, stage: str, server: Server) -> None:
        if stage == "start":
            self._row(stage, server.seconds, server.cpu(), server.peak(), None)
        elif stage == "idle":
            await self._beside(stage, server, asyncio.sleep(_IDLE_SECONDS))
        else:
            words = {
                "dry-run": ("gc", "--dry-run"),
                "gc": ("gc", "--care-delay", "0"),
                "gc-again": ("gc", "--care-delay", "0"),
                "structure": ("fsck", "--structure-only"),
                "fsck": ("fsck",),
            }[stage]
            await self._command(stage, server, *words)

    async def _command(self, stage: str, server: Server, *words: str) -> None:
        begun = time.perf_counter()
        (usage, said), reads = await beside(
            server.port, self._target, asyncio.to_thread(_run, words, self._folder)
        )
        seconds = time.perf_counter() - begun
        self._row(stage, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss >> 10, asdict(reads), said)

    async def _beside(self, stage: str, server: Server, work: Awaitable[Any], said: str = "") -> None:
        begun, cpu = time.perf_counter(), server.cpu()
        _, reads = await beside(server.port, self._target, work)
        seconds = time.perf_counter() - begun
        self._row(stage, seconds, server.cpu() - cpu, server.peak(), asdict(reads), said)

    async def _collect(self, server: Server) -> None:
        garbage = self._shape.blobs - self._shape.named

        def done() -> bool:
            return server.metric("collection_freed_bytes_total") > 0 and (
                server.metric("collection_removed_total") >= garbage
            )

        await self._beside("gc", server, _until(done), f"in the server; {garbage} objects to go")

    async def _scrub(self, server: Server) -> None:
        left = self._shape.contents() - (self._shape.blobs - self._shape.named)
        await self._beside(
            "scrub", server, _until(lambda: server.metric("scrub_contents_total") >= left), "in the server"
        )

    def _row(
        self, stage: str, seconds: float, cpu: float, peak: int, reads: dict[str, Any] | None, said: str = ""
    ) -> None:
        row = {
            "stage": stage,
            "seconds": round(seconds, 2),
            "CPU s": round(cpu, 2),
            "peak MiB": peak,
            **{f"reads {name}": value for name, value in (reads or _NO_READS).items()},
            "said": said,
        }
        print(" ".join(f"{name} {value}" for name, value in row.items()), flush=True)
        self.rows.append(row)


_NO_READS = {"requests": "", "p50": "", "p99": "", "longest": ""}


def _run(words: tuple[str, ...], folder: Path) -> tuple[Any, str]:
    """A command to its end: what it used, and the last line it said that is no detail of another."""
    process = subprocess.Popen(
        command(*words, "--data", str(folder)), env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as stream:
        said = stream.read().strip()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise OSError(f"{' '.join(words)} ended with {process.returncode}: {said[-500:]}")
    return usage, [line for line in said.splitlines() if not line.startswith(" ")][-1]


async def _until(done: Callable[[], bool]) -> None:
    while not await asyncio.to_thread(done):
        await asyncio.sleep(1.0)


def main() -> None:
    parser = parser_for(__doc__)
    parser.add_argument("folder", type=Path, help="data folder, filled when it is not there")
    add_shape(parser)
    parser.add_argument("--stages", default=",".join(STAGES), help="which, with commas between")
    parser.add_argument("--beside", action="store_true", help="collect by the command, not in the server")
    parser.add_argument("--scrub-bytes", metavar="SIZE", help="rate of the scrub, say `1 GiB`")
    add_output(parser)
    args = parser.parse_args()
    run(parser, args)


def run(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Fill if need be, run the stages, show the figures."""
    stages = args.stages.split(",")
    try:
        shape = shape_of(args)
        if not set(stages) <= set(STAGES):
            raise ValueError(f"the stages are {', '.join(STAGES)}")
        if not shape.manifests:
            raise ValueError("reads need manifests")
    except ValueError as error:
        parser.error(str(error))
    tables: dict[str, list[dict[str, Any]]] = {}
    if not args.folder.exists():
        tables["filled"] = [filled(args.folder, shape)]
    bench = Bench(args.folder, shape, gc_beside=args.beside, scrub_bytes=args.scrub_bytes)
    bench.run(stages)
    show(args, "care", {**tables, "care": bench.rows})


if __name__ == "__main__":
    main()
