"""`/metrics`: the board's numbers and a few gauges in Prometheus's text format."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from registry.server.board import (
    BATCH_BOUNDS,
    LATENCY_BOUNDS,
    METHODS,
    OUTCOMES,
    ROUTES,
    STATUSES,
    STORAGE_OPERATIONS,
    Board,
)

_PREFIX = "artifact_store_"


#: A name without the prefix, with its help and value.
Samples = Mapping[str, tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Family:
    """Samples that differ by one label. `counts`: they never fall."""

    name: str
    text: str
    label: str
    counts: bool
    values: Mapping[str, float]


def render(
    board: Board, gauges: Samples, counters: Samples, families: Sequence[Family], version: str
) -> tuple[bytes, str]:
    """The exposition and its content type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Board(board, gauges, counters, families, version))
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Board(Collector):
    def __init__(
        self, board: Board, gauges: Samples, counters: Samples, families: Sequence[Family], version: str
    ) -> None:
        self._board = board
        self._gauges = gauges
        self._counters = counters
        self._families = families
        self._version = version

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily(
            _PREFIX + "build",
            "The program",
            value={"version": self._version, "python": platform.python_version()},
        )
        yield from self._requests()
        yield from self._bytes()
        yield from self._storage()
        yield from self._workers()
        batches = HistogramMetricFamily(
            _PREFIX + "ledger_batch_mutations", "Mutations that shared one transaction"
        )
        cells = self._board.total("batches")
        batches.add_metric([], _buckets(BATCH_BOUNDS, cells), self._board.total("batches_sum")[0])
        yield batches
        for name, (text, value) in self._gauges.items():
            gauge = GaugeMetricFamily(_PREFIX + name, text)
            gauge.add_metric([], value)
            yield gauge
        for name, (text, value) in self._counters.items():
            counter = CounterMetricFamily(_PREFIX + name, text)
            counter.add_metric([], value)
            yield counter
        for found in self._families:
            make = CounterMetricFamily if found.counts else GaugeMetricFamily
            labelled = make(_PREFIX + found.name, found.text, labels=(found.label,))
            for label, value in found.values.items():
                labelled.add_metric([label], value)
            yield labelled

    def _requests(self) -> Iterator[Metric]:
        labels = ("face", "route", "method")
        requests = CounterMetricFamily(
            _PREFIX + "requests", "Requests answered; 499 left before the answer", labels=(*labels, "status")
        )
        latency = HistogramMetricFamily(
            _PREFIX + "request_duration_seconds",
            "From the request's head to the handler's end",
            labels=labels,
        )
        counts = self._board.total("requests")
        cells = self._board.total("latency")
        sums = self._board.total("latency_sum")
        width = len(LATENCY_BOUNDS) + 1
        for place, route in enumerate(ROUTES):
            for number, method in enumerate(METHODS):
                pair = place * len(METHODS) + number
                row = counts[pair * len(STATUSES) : (pair + 1) * len(STATUSES)]
                if not any(row):
                    continue
                names = [*route.value, method]
                for status, count in zip(STATUSES, row, strict=True):
                    if count:
                        requests.add_metric([*names, status], count)
                latency.add_metric(
                    names, _buckets(LATENCY_BOUNDS, cells[pair * width : (pair + 1) * width]), sums[pair]
                )
        yield requests
        yield latency

    def _bytes(self) -> Iterator[Metric]:
        for name, text in (
            ("bytes_in", "Bytes of request bodies"),
            ("bytes_out", "Bytes of responses, where their length was known or counted"),
        ):
            family = CounterMetricFamily(_PREFIX + name, text, labels=("face", "route"))
            for route, count in zip(ROUTES, self._board.total(name), strict=True):
                if count:
                    family.add_metric(list(route.value), count)
            yield family

    def _storage(self) -> Iterator[Metric]:
        latency = HistogramMetricFamily(
            _PREFIX + "storage_operation_seconds", "Operations of the storage driver", labels=("operation",)
        )
        outcomes = CounterMetricFamily(
            _PREFIX + "storage_operations",
            "Operations of the storage driver by outcome",
            labels=("operation", "outcome"),
        )
        cells = self._board.total("storage")
        sums = self._board.total("storage_sum")
        counts = self._board.total("storage_outcome")
        width = len(LATENCY_BOUNDS) + 1
        for place, operation in enumerate(STORAGE_OPERATIONS):
            row = cells[place * width : (place + 1) * width]
            if not any(row):
                continue
            latency.add_metric([operation], _buckets(LATENCY_BOUNDS, row), sums[place])
            for number, outcome in enumerate(OUTCOMES):
                outcomes.add_metric([operation, outcome], counts[place * len(OUTCOMES) + number])
        yield latency
        yield outcomes

    def _workers(self) -> Iterator[Metric]:
        families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {
            "in_flight": GaugeMetricFamily(
                _PREFIX + "requests_in_flight", "Requests being answered", labels=("worker",)
            ),
            "restarts": CounterMetricFamily(
                _PREFIX + "worker_restarts", "Times a worker died and was started again", labels=("worker",)
            ),
            "log_lost": CounterMetricFamily(
                _PREFIX + "log_batches_lost", "Log batches dropped since nobody read them", labels=("worker",)
            ),
        }
        for name, family in families.items():
            for worker, cells in enumerate(self._board.each(name)):
                family.add_metric([str(worker)], cells[0])
            yield family
        yield from self._processes()

    def _processes(self) -> Iterator[Metric]:
        memory = GaugeMetricFamily(_PREFIX + "worker_resident_bytes", "Memory in use", labels=("worker",))
        seconds = CounterMetricFamily(
            _PREFIX + "worker_cpu_seconds", "CPU time of the present process", labels=("worker",)
        )
        files = GaugeMetricFamily(_PREFIX + "worker_open_files", "Open descriptors", labels=("worker",))
        for worker, cells in enumerate(self._board.each("pid")):
            process = Path("/proc") / str(int(cells[0]))
            try:
                # Fields after the name in parentheses, proc(5): 14 utime, 15 stime, 24 rss.
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                opened = sum(1 for _ in (process / "fd").iterdir())
            except (OSError, ValueError):
                continue  # between two lives, or no Linux
            memory.add_metric([str(worker)], int(fields[21]) * os.sysconf("SC_PAGE_SIZE"))
            seconds.add_metric([str(worker)], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
            files.add_metric([str(worker)], opened)
        yield from (memory, seconds, files)


def _buckets(bounds: Sequence[float], cells: Sequence[float]) -> list[tuple[str, float]]:
    """Cumulative counts by upper bound, as the format wants them."""
    names = [*(f"{bound:g}" for bound in bounds), "+Inf"]
    total = 0.0
    found = []
    for name, count in zip(names, cells, strict=True):
        total += count
        found.append((name, total))
    return found
