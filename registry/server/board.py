"""Numbers of all workers, side by side in memory they share, so that any of them can answer `/metrics`.

One row a worker, made before the workers are forked; each writes its own row from its event loop alone, so
that nothing is locked, and a count costs less than a microsecond. A worker that is started again goes on in
its predecessor's row, so that counters never fall. Readers add the rows up.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from collections.abc import Iterator, MutableSequence, Sequence
from dataclasses import dataclass
from typing import cast

from registry.server.routes import Route

ROUTES: tuple[Route, ...] = tuple(Route)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "other")
#: Statuses the faces use, then one for the rest; 499 stands for a client that left before its answer.
_KNOWN_STATUSES = (
    *(200, 201, 202, 204, 206, 301, 302, 304, 307),
    *(400, 401, 403, 404, 405, 409, 410, 411, 412, 413, 414, 415, 416, 422, 423, 428, 429, 431, 499),
    *(500, 501, 503, 507),
)
STATUSES = (*map(str, _KNOWN_STATUSES), "other")
#: Upper bounds of the latency buckets in seconds; the last bucket has none.
LATENCY_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
#: Operations of a storage driver, as the data plane names them, then one for the rest.
STORAGE_OPERATIONS = (
    *("open", "read", "size", "put", "delete", "set_aside", "list"),
    *("stage", "hold", "write", "read_stage", "settle", "commit", "drop"),
    *("free", "probe", "other"),
)
OUTCOMES = ("ok", "error")
#: Upper bounds of mutations that shared one transaction; the last bucket has none.
BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

ROUTE_INDEX = {route: index for index, route in enumerate(ROUTES)}
METHOD_INDEX = {method: index for index, method in enumerate(METHODS)}
STATUS_INDEX = {status: index for index, status in enumerate(_KNOWN_STATUSES)}
_STORAGE_INDEX = {name: index for index, name in enumerate(STORAGE_OPERATIONS)}

_PAIRS = len(ROUTES) * len(METHODS)
_LATENCY = len(LATENCY_BOUNDS) + 1
_STORED = len(STORAGE_OPERATIONS)


#: A memoryview of doubles, which type checkers take for one of integers.
_Cells = MutableSequence[float]


@dataclass(frozen=True, slots=True)
class _Area:
    """Where one family lies inside a row, in cells."""

    start: int
    size: int


def _areas(**sizes: int) -> tuple[dict[str, _Area], int]:
    areas, at = {}, 0
    for name, size in sizes.items():
        areas[name] = _Area(at, size)
        at += size
    return areas, at


_AREAS, _ROW = _areas(
    pid=1,
    restarts=1,
    in_flight=1,
    connections=1,
    log_lost=1,
    requests=_PAIRS * len(STATUSES),
    latency=_PAIRS * _LATENCY,
    latency_sum=_PAIRS,
    bytes_in=len(ROUTES),
    bytes_out=len(ROUTES),
    storage=_STORED * _LATENCY,
    storage_sum=_STORED,
    storage_outcome=_STORED * len(OUTCOMES),
    batches=len(BATCH_BOUNDS) + 1,
    batches_sum=1,
)
_REQUESTS = _AREAS["requests"].start
_LATENCIES = _AREAS["latency"].start
_LATENCY_SUMS = _AREAS["latency_sum"].start
_BYTES_IN = _AREAS["bytes_in"].start
_BYTES_OUT = _AREAS["bytes_out"].start
_STORAGE = _AREAS["storage"].start
_STORAGE_SUMS = _AREAS["storage_sum"].start
_STORAGE_OUTCOMES = _AREAS["storage_outcome"].start
_BATCHES = _AREAS["batches"].start
_BATCHES_SUM = _AREAS["batches_sum"].start


class Board:
    """All rows. Anonymous shared memory: children of a fork see one another's numbers."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._cells = cast(_Cells, memoryview(mmap.mmap(-1, workers * _ROW * 8)).cast("d"))

    def row(self, worker: int) -> Row:
        """The row of one worker, from 0."""
        return Row(self._cells[worker * _ROW : (worker + 1) * _ROW])

    def total(self, name: str) -> list[float]:
        """One family's cells, added up over the workers."""
        return [sum(column) for column in zip(*self.each(name), strict=True)]

    def each(self, name: str) -> Iterator[Sequence[float]]:
        """One family's cells of each worker in turn."""
        area = _AREAS[name]
        for worker in range(self.workers):
            start = worker * _ROW + area.start
            yield self._cells[start : start + area.size]


class Row:
    """What one worker counts."""

    __slots__ = ("_cells",)

    def __init__(self, cells: _Cells) -> None:
        self._cells = cells

    def request(
        self, route: Route, method: str, status: int, *, seconds: float, bytes_in: int, bytes_out: int
    ) -> None:
        """Count one answered request."""
        cells = self._cells
        place = ROUTE_INDEX[route]
        pair = place * len(METHODS) + METHOD_INDEX.get(method, len(METHODS) - 1)
        cells[_REQUESTS + pair * len(STATUSES) + STATUS_INDEX.get(status, len(STATUSES) - 1)] += 1
        cells[_LATENCIES + pair * _LATENCY + bisect_left(LATENCY_BOUNDS, seconds)] += 1
        cells[_LATENCY_SUMS + pair] += seconds
        cells[_BYTES_IN + place] += bytes_in
        cells[_BYTES_OUT + place] += bytes_out

    def storage(self, operation: str, seconds: float, outcome: str) -> None:
        """Count one operation of a storage driver; this is the data plane's observer."""
        cells = self._cells
        place = _STORAGE_INDEX.get(operation, len(STORAGE_OPERATIONS) - 1)
        cells[_STORAGE + place * _LATENCY + bisect_left(LATENCY_BOUNDS, seconds)] += 1
        cells[_STORAGE_SUMS + place] += seconds
        cells[_STORAGE_OUTCOMES + place * len(OUTCOMES) + (outcome != "ok")] += 1

    def batch(self, mutations: int) -> None:
        """Count one transaction of the writer that carried so many mutations."""
        self._cells[_BATCHES + bisect_left(BATCH_BOUNDS, mutations)] += 1
        self._cells[_BATCHES_SUM] += mutations

    def add(self, name: str, amount: float) -> None:
        """Add to one of the single cells: `restarts`, `in_flight`, `connections`, `log_lost`."""
        self._cells[_AREAS[name].start] += amount

    def set(self, name: str, value: float) -> None:
        """Set one of the single cells."""
        self._cells[_AREAS[name].start] = value
