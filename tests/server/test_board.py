"""Numbers of several workers, added up, in Prometheus's format."""

import multiprocessing
import time

from prometheus_client.parser import text_string_to_metric_families

from registry.server.board import Board
from registry.server.exposition import Family, render
from registry.server.routes import Route


def scrape(board: Board) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by name and sorted labels."""
    gauges, counters = {"storage_free_bytes": ("Free", 7.0)}, {"scrub_bytes": ("Read", 3.0)}
    families = [
        Family("follower_lag_events", "Behind", "follower", False, {"hook": 4.0, "events": 0.0}),
        Family("follower_delivered", "Taken", "follower", True, {"hook": 9.0}),
    ]
    body, content_type = render(board, gauges, counters, families, "1.0")
    assert content_type.startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def labelled(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return "artifact_store_" + name, tuple(sorted(labels.items()))


def push(board: Board, worker: int) -> None:
    board.row(worker).request(Route.OCI_BLOB, "PUT", 201, seconds=0.002, bytes_in=10, bytes_out=1)


def test_workers_add_up() -> None:
    board = Board(3)
    for worker in (0, 1, 1, 2):
        push(board, worker)
    found = scrape(board)
    where = {"face": "oci", "route": "blob"}
    assert found[labelled("requests_total", **where, method="PUT", status="201")] == 4
    assert found[labelled("bytes_in_total", **where)] == 40
    assert found[labelled("bytes_out_total", **where)] == 4
    assert found[labelled("request_duration_seconds_count", **where, method="PUT")] == 4
    assert found[labelled("request_duration_seconds_bucket", **where, method="PUT", le="0.001")] == 0
    assert found[labelled("request_duration_seconds_bucket", **where, method="PUT", le="0.0025")] == 4
    assert found[labelled("request_duration_seconds_bucket", **where, method="PUT", le="+Inf")] == 4
    assert abs(found[labelled("request_duration_seconds_sum", **where, method="PUT")] - 0.008) < 1e-9


def test_another_process_writes_into_the_same_memory() -> None:
    board = Board(2)
    context = multiprocessing.get_context("fork")
    child = context.Process(target=push, args=(board, 1))
    child.start()
    child.join(10)
    where = {"face": "oci", "route": "blob"}
    assert scrape(board)[labelled("requests_total", **where, method="PUT", status="201")] == 1


def test_what_nobody_foresaw_has_a_place() -> None:
    board = Board(1)
    row = board.row(0)
    row.request(Route.NONE, "BREW", 418, seconds=1e9, bytes_in=0, bytes_out=0)
    row.storage("teleport", 1e9, "Permanent")
    found = scrape(board)
    assert found[labelled("requests_total", face="none", route="none", method="other", status="other")] == 1
    assert found[labelled("storage_operations_total", operation="other", outcome="error")] == 1
    assert found[labelled("storage_operations_total", operation="other", outcome="ok")] == 0


def test_gauges_and_single_cells() -> None:
    board = Board(2)
    board.row(0).add("in_flight", 2)
    board.row(1).add("in_flight", 3)
    board.row(1).set("in_flight", 1)
    board.row(1).add("restarts", 1)
    found = scrape(board)
    assert found[labelled("requests_in_flight", worker="0")] == 2
    assert found[labelled("requests_in_flight", worker="1")] == 1
    assert found[labelled("worker_restarts_total", worker="1")] == 1
    assert found[labelled("storage_free_bytes")] == 7


def test_batches_of_the_ledger() -> None:
    board = Board(1)
    for mutations in (1, 3, 300):
        board.row(0).batch(mutations)
    found = scrape(board)
    assert found[labelled("ledger_batch_mutations_bucket", le="1")] == 1
    assert found[labelled("ledger_batch_mutations_bucket", le="4")] == 2
    assert found[labelled("ledger_batch_mutations_bucket", le="256")] == 2
    assert found[labelled("ledger_batch_mutations_bucket", le="+Inf")] == 3
    assert found[labelled("ledger_batch_mutations_sum")] == 304


def test_counting_a_request_costs_next_to_nothing() -> None:
    row = Board(1).row(0)
    begun = time.process_time()
    for _ in range(20_000):
        row.request(Route.OCI_BLOB, "GET", 200, seconds=0.001, bytes_in=0, bytes_out=1)
    # Some 1.5 µs; ten times that would show in the throughput of small reads.
    assert (time.process_time() - begun) / 20_000 < 15e-6
