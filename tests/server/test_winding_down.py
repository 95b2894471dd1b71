"""Between SIGTERM and the closed door: a balancer sees that the server goes before requests are refused."""

import http.client
import signal
import socket
import time
from pathlib import Path

import httpx
import pytest

from tests.server.program import Running, serving, until

pytestmark = pytest.mark.slow


def status_of(server: Running, path: str) -> int:
    return httpx.get(f"{server.url}{path}", trust_env=False, timeout=10).status_code


@pytest.mark.parametrize("workers", ["1", "2"])
def test_requests_are_taken_while_readiness_says_no(tmp_path: Path, workers: str) -> None:
    with serving(tmp_path, "--drain-delay", "2 s", "--drain", "1 s", "--workers", workers) as server:
        assert status_of(server, "/readyz") == 200
        server.process.send_signal(signal.SIGTERM)
        until(lambda: status_of(server, "/readyz") == 503)
        assert status_of(server, "/v2/") == 200
        assert status_of(server, "/healthz") == 200
        assert server.process.wait(20) == 0


def test_a_proxy_is_told_to_leave_its_idle_connections(tmp_path: Path) -> None:
    with serving(tmp_path, "--drain-delay", "2 s") as server:
        held = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        held.request("GET", "/v2/")
        answer = held.getresponse()
        answer.read()
        assert answer.getheader("Connection") != "close"
        server.process.send_signal(signal.SIGTERM)
        until(lambda: status_of(server, "/readyz") == 503)
        held.request("GET", "/v2/")
        answer = held.getresponse()
        assert (answer.status, answer.getheader("Connection")) == (200, "close")
        held.close()
        assert server.process.wait(20) == 0


def test_what_begins_in_that_time_is_finished_too(tmp_path: Path) -> None:
    with serving(tmp_path, "--drain-delay", "1 s") as server:
        with server.client() as client:
            location = client.post("/v2/demo/blobs/uploads/").headers["Location"]
        server.process.send_signal(signal.SIGTERM)
        until(lambda: status_of(server, "/readyz") == 503)
        with socket.create_connection(("127.0.0.1", server.port), 10) as patch:
            patch.sendall(
                f"PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
                "Content-Length: 6\r\n\r\nfir".encode()
            )
            until(lambda: refused(server.port))
            time.sleep(0.2)
            patch.sendall(b"st.")
            assert patch.recv(65536).startswith(b"HTTP/1.1 202 ")
        assert server.process.wait(20) == 0


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionError:
        return True
    return False
