"""What each request costs as the store grows: flat is the goal.

Fills a store further and further (tests/bench/growth.py), and at each size asks it for everything that
tests/bench/operations.py knows, one request at a time: CPU microseconds of the server, and of PostgreSQL and
the S3 server where they are used, and the median and 99th percentile of the time until the answer. The last
column of the tables is the cost at the largest size over that at the smallest.

Rows are kept in FOLDER/rows.jsonl as they come, so that a run that was stopped goes on where it was; embedded
stores stay in FOLDER too. Those on PostgreSQL and S3 are filled anew: a thousand manifests through the
ledger, the others as rows of the database (tests/bench/rows.py), since it is what could grow slow. Other
programs on the machine disturb times much and CPU little.

examples:
  python -m tests.bench.curves FOLDER --sizes 1000,10000
  python -m tests.bench.curves FOLDER --sizes 1000,10000,100000,1000000 --repositories 1,10000
  python -m tests.bench.curves FOLDER --sizes 1000,10000,100000 --engine shared --json curves.json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.asking import Connection
from tests.bench.engines import ENGINES, Engine
from tests.bench.growth import Growth
from tests.bench.operations import OPERATIONS, Operation, Place, prepare
from tests.bench.processes import cpu_of, spent
from tests.bench.readers import summarise
from tests.bench.report import add_output, parser_for, show

#: Requests that are made before those that count.
_WARM = 20
_START = "start"
_CPU = {"server": "server µs", "postgresql": "PostgreSQL µs", "s3": "S3 µs"}


class Rows:
    """What was measured, in a file that each row is added to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.all: list[dict[str, Any]] = []
        if path.exists():
            self.all = [json.loads(line) for line in path.read_text().splitlines()]

    def has(self, **key: object) -> bool:
        return any(key.items() <= row.items() for row in self.all)

    def add(self, row: dict[str, Any]) -> None:
        self.all.append(row)
        with self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(" ".join(f"{name} {value}" for name, value in row.items()), flush=True)


class Curve:
    """One store of one shape, measured at each size."""

    def __init__(self, engine: Engine, growth: Growth, rows: Rows, requests: int) -> None:
        self._engine = engine
        self._growth = growth
        self._rows = rows
        self._requests = requests

    async def run(self, sizes: Sequence[int]) -> None:
        """Fill and measure, from the smallest size on. What is measured already is passed over."""
        held = self._engine.held()
        for size in sizes:
            key = {"engine": self._engine.name, "repositories": self._growth.repositories, "size": size}
            if all(self._rows.has(**key, operation=name) for name in (_START, *OPERATIONS)):
                continue
            if held > size:
                raise ValueError(f"the store has {held} manifests by now: measure {size} in another folder")
            readable = await self._engine.fill(self._growth, held, size)
            held = size
            self._engine.note(size)
            await self._measure(key, Place(self._growth, readable, f"{time.time_ns()}"))

    async def _measure(self, key: dict[str, Any], place: Place) -> None:
        server = self._engine.server
        begun = time.perf_counter()
        await asyncio.to_thread(server.start)
        try:
            seconds = time.perf_counter() - begun
            cpu = sum(cpu_of({"server": server.pid})["server"].values())
            if not self._rows.has(**key, operation=_START):
                row = {
                    "requests": 1,
                    "p50 ms": round(seconds * 1000, 2),
                    "p99 ms": "",
                    "server µs": round(cpu),
                }
                self._rows.add({**key, "operation": _START, **row})
            async with Connection(server.port) as connection:
                for number in range(self._requests + _WARM):
                    await prepare(connection, place, number)
                for name, operation in OPERATIONS.items():
                    row = await self._operation(connection, place, operation)
                    if not self._rows.has(**key, operation=name):
                        self._rows.add({**key, "operation": name, **row})
        finally:
            await asyncio.to_thread(server.stop)

    async def _operation(self, connection: Connection, place: Place, operation: Operation) -> dict[str, Any]:
        for number in range(_WARM):
            await operation(connection, place, number)
        roots = {"server": self._engine.server.pid, **self._engine.services()}
        before = cpu_of(roots)
        taken = []
        for number in range(_WARM, _WARM + self._requests):
            begun = time.perf_counter()
            await operation(connection, place, number)
            taken.append(time.perf_counter() - begun)
        found = spent(before, cpu_of(roots))
        times = summarise(taken)
        cpu = {_CPU[name]: round(count / self._requests) for name, count in found.items()}
        return {"requests": self._requests, "p50 ms": times.p50, "p99 ms": times.p99, **cpu}


def tables(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """A table for each engine, shape and figure: a row an operation, a column a size, and the growth."""
    found: dict[str, list[dict[str, Any]]] = {}
    for engine, repositories in sorted({(row["engine"], row["repositories"]) for row in rows}):
        of_store = [row for row in rows if (row["engine"], row["repositories"]) == (engine, repositories)]
        sizes = sorted({row["size"] for row in of_store})
        for figure in (*_CPU.values(), "p50 ms", "p99 ms"):
            table = []
            for name in (_START, *OPERATIONS):
                by_size = {row["size"]: row.get(figure, "") for row in of_store if row["operation"] == name}
                values = [by_size.get(size, "") for size in sizes]
                if any(value != "" for value in values):
                    cells = dict(zip((f"{size:,}" for size in sizes), values, strict=True))
                    table.append({"": name, **cells, "growth": _growth(values)})
            found[f"{engine}, {repositories:,} repositories: {figure}"] = table
    return found


def _growth(values: Sequence[Any]) -> float | str:
    known = [value for value in values if value != ""]
    return round(known[-1] / known[0], 2) if len(known) > 1 and known[0] else ""


def numbers(text: str) -> list[int]:
    """What an option says with commas between, in order."""
    return sorted(int(word) for word in text.split(","))


def main() -> None:
    parser = parser_for(__doc__)
    parser.add_argument("folder", type=Path, help="where stores and rows are kept")
    parser.add_argument("--engine", choices=ENGINES, default="embedded", help="(%(default)s)")
    parser.add_argument(
        "--sizes", type=numbers, default=[1000, 10_000], help="manifests, with commas between"
    )
    parser.add_argument(
        "--repositories", type=numbers, default=[1, 10_000], help="over how many they are spread"
    )
    parser.add_argument("--requests", type=int, default=200, help="of each kind (%(default)s)")
    add_output(parser)
    args = parser.parse_args()
    run(args)


def run(args: argparse.Namespace) -> None:
    """Measure what is not measured yet, and show all rows of the folder."""
    args.folder.mkdir(parents=True, exist_ok=True)
    rows = Rows(args.folder / "rows.jsonl")
    with ENGINES[args.engine](args.folder, args.repositories) as engines:
        for repositories, engine in engines.items():
            asyncio.run(Curve(engine, Growth(repositories), rows, args.requests).run(args.sizes))
    show(args, "curves", tables(rows.all))


if __name__ == "__main__":
    main()
