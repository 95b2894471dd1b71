"""Slow and silent clients are cut off, and nobody else notices them."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.faults.history import sha256
from tests.faults.wire import ask, connected, head, hung_up, read
from tests.server.program import Running, serving

pytestmark = pytest.mark.slow

LIMITS = ("--limits-idle", "2", "--limits-stall", "2", "--limits-keepalive", "3")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("slow"), *LIMITS) as running:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log.read_text()


def begin(server: Running) -> str:
    return ask(server, "POST", "/v2/slow/blobs/uploads/").headers["location"]


def works(server: Running) -> None:
    """Somebody else pushes and pulls, at once."""
    start, data = time.monotonic(), os.urandom(100_000)
    assert ask(server, "POST", f"/v2/other/blobs/uploads/?digest={sha256(data)}", data).status == 201
    assert ask(server, "GET", f"/v2/other/blobs/{sha256(data)}").body == data
    assert time.monotonic() - start < 2


def test_a_body_that_stops_coming_is_408_and_its_bytes_are_kept(server: Running) -> None:
    place = begin(server)
    with connected(server) as line:
        line.sendall(head("PATCH", place, Content_Length="1000") + bytes(10))
        works(server)
        start = time.monotonic()
        assert read(line).status == 408
        assert time.monotonic() - start < 6
        hung_up(line, 2)
    assert ask(server, "GET", place).headers["range"] == "0-9"


def test_a_byte_a_second_is_slow_but_not_silent(server: Running) -> None:
    place, data = begin(server), b"slowly"
    with connected(server) as line:
        line.sendall(head("PATCH", place, Content_Length=str(len(data))))
        for byte in data:
            time.sleep(0.8)
            line.sendall(bytes([byte]))
        assert read(line).status == 202
    assert ask(server, "PUT", f"{place}?digest={sha256(data)}").status == 201


def test_a_head_that_comes_a_byte_a_second_is_cut(server: Running) -> None:
    with connected(server) as line:
        start = time.monotonic()
        ended = False
        for byte in head("GET", "/v2/", Padding="x" * 100):
            try:
                line.sendall(bytes([byte]))
                line.settimeout(0.5)
                ended = line.recv(1) == b""
            except TimeoutError:
                continue
            except ConnectionError:
                ended = True
            if ended or time.monotonic() - start > 15:
                break
        assert ended
        assert time.monotonic() - start < 10
    works(server)


@pytest.mark.parametrize("sent", [b"", b"GET /v2/ HT"], ids=["nothing", "half a head"])
def test_a_connection_that_asks_nothing_is_ended(server: Running, sent: bytes) -> None:
    with connected(server) as line:
        line.sendall(sent)
        assert hung_up(line, 10) < 9


@pytest.mark.parametrize("size", [8 * 2**20, 64 * 2**20])
def test_a_reader_that_reads_nothing_is_cut(server: Running, size: int) -> None:
    data = os.urandom(size)
    digest = sha256(data)
    assert ask(server, "POST", f"/v2/slow/blobs/uploads/?digest={digest}", data).status == 201
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.settimeout(20)
        line.connect(("127.0.0.1", server.port))
        line.sendall(head("GET", f"/v2/slow/blobs/{digest}"))
        time.sleep(5)
        works(server)
        received = 0
        try:
            while part := line.recv(1 << 20):
                received += len(part)
        except ConnectionError:
            pass
        assert received < size
    assert ask(server, "GET", f"/v2/slow/blobs/{digest}").body == data


def test_many_silent_clients_leave_room_for_others(server: Running) -> None:
    with ExitStack() as stack:
        for _ in range(200):
            line = stack.enter_context(connected(server))
            line.sendall(head("POST", "/v2/slow/blobs/uploads/", Content_Length="5")[:-10])
        works(server)
