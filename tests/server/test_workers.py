"""Several workers on one port: one service, whoever dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.program import Running, serving, until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with serving(tmp_path, "--workers", "2") as running:
        yield running


def ask(server: Running, count: int) -> list[int]:
    """Statuses of requests on a connection each, so that both workers get some."""
    statuses = []
    for _ in range(count):
        with server.client() as client:
            statuses.append(client.get("/v2/").status_code)
    return statuses


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_all_answer_before_the_line_and_end_with_the_parent(server: Running) -> None:
    workers = server.children()
    assert len(workers) == 2
    assert ask(server, 10) == [200] * 10
    assert server.stop() == 0
    assert not any(map(alive, workers))


def test_metrics_are_those_of_all(server: Running) -> None:
    ask(server, 30)
    # Whoever answers says the same, and counts what the others did.
    assert {server.metric("requests_total", face="oci", route="base") for _ in range(6)} == {30}
    assert server.metric("worker_resident_bytes", worker="0") > 2**20
    assert server.metric("worker_resident_bytes", worker="1") > 2**20
    for _ in range(5):
        with server.client() as client:
            assert client.get("/healthz").status_code == 200
            assert client.get("/readyz").status_code == 200


def test_what_one_worker_wrote_the_other_reads(server: Running) -> None:
    with server.client() as client:
        location = client.post("/v2/shared/blobs/uploads/").headers["Location"]
    for number in range(12):
        with server.client() as client:
            answer = client.patch(location, content=b"x", headers={"Content-Range": f"{number}-{number}"})
            assert answer.status_code == 202, answer.text
    with server.client() as client:
        assert client.get(location).headers["Range"] == "0-11"


def test_a_killed_worker_is_replaced_and_the_service_goes_on(server: Running) -> None:
    before = server.children()
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    until(lambda: not alive(victim))
    assert ask(server, 10) == [200] * 10
    until(lambda: len(server.children()) == 2 and victim not in server.children())
    until(lambda: server.log.read_text().count(" answers with ") == 3)
    assert ask(server, 10) == [200] * 10
    assert server.metric("worker_restarts_total") == 1
    # Counters are the seat's, not the process's: they do not fall.
    assert server.metric("requests_total", face="oci", route="base") >= 20
    assert server.stop() == 0


def test_workers_end_when_the_parent_is_killed(server: Running) -> None:
    workers = server.children()
    server.process.kill()
    server.process.wait()
    until(lambda: not any(map(alive, workers)))


def test_a_second_signal_ends_all_at_once(server: Running) -> None:
    workers = server.children()
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)  # none of them can drain
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert server.process.poll() is None
    begun = time.monotonic()
    assert server.stop(5) == 1
    assert time.monotonic() - begun < 3
    assert not any(map(alive, workers))


def test_ctrl_c_at_a_terminal_reaches_all_and_drains(server: Running) -> None:
    for process in (*server.children(), server.process.pid):
        os.kill(process, signal.SIGINT)
    assert server.process.wait(15) == 0


FAILS_LATE = """
import os, sys, time
from registry.server.board import Board
from registry.server.workers import Supervisor

def work(seat, ready):
    ready()
    opened = [os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT) for _ in range(20)]
    time.sleep(0.3)
    raise OSError("this is for the log")

def complain(message):
    raise SystemExit(message)

Supervisor(Board(1), work, drain=1, explain=str, complain=complain).run(lambda: None)
"""


def test_a_worker_that_fails_late_writes_into_no_file_it_has_opened_since(tmp_path: Path) -> None:
    """Its pipe is closed once it is ready, and the number may be the database's."""
    file = tmp_path / "file"
    ended = subprocess.run(
        [sys.executable, "-c", FAILS_LATE, str(file)], capture_output=True, text=True, timeout=30, check=False
    )
    assert "ended" in ended.stderr
    assert file.read_bytes() == b""
