"""A server that has no descriptor left: 503 in both forms, and all is well when there are some again."""

from __future__ import annotations

import http.client
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path

from tests.faults.history import sha256
from tests.faults.kills import wait_for_leases
from tests.server.program import Running, run, serving, until

#: Seconds that an upload is kept which nobody goes on with.
EXPIRY = 3


def open_files(server: Running) -> int:
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


@contextmanager
def scarce(server: Running, more: int) -> Iterator[None]:
    """The server may open `more` files than it has open."""
    before = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    taken = set(map(int, os.listdir(f"/proc/{server.process.pid}/fd")))
    untaken = (number for number in count() if number not in taken)
    limit = (next(islice(untaken, more, None)), before[1])
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limit)
    try:
        yield
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, before)


def test_no_descriptor_left(tmp_path: Path) -> None:
    """Whatever number is left, the answer is what was asked for or 503, and nothing stays open."""
    data = os.urandom(200_000)
    with serving(tmp_path, "--uploads-expiry", f"{EXPIRY}s") as server:
        line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)

        def ask(method: str, target: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            line.request(method, target, body, named)
            answer = line.getresponse()
            return answer.status, answer.read()

        def push(blob: bytes) -> tuple[int, bytes]:
            return ask("POST", f"/v2/scarce/blobs/uploads/?digest={sha256(blob)}", blob)

        assert push(data)[0] == 201
        assert ask("GET", f"/v2/scarce/blobs/{sha256(data)}") == (200, data)
        usual = open_files(server)
        refused = {"oci": 0, "native": 0, "read": 0}
        for more in range(6):
            with scarce(server, more):
                status, text = push(os.urandom(150_000))
                assert status in (201, 503), (status, text)
                refused["oci"] += status == 503
                if status == 503:
                    assert b'"errors"' in text
                status, text = ask("PUT", f"/api/v1/packages/scarce:v{more}/files/a", os.urandom(150_000))
                assert status in (201, 503), (status, text)
                refused["native"] += status == 503
                if status == 503:
                    assert b'"kind"' in text
                status, text = ask("GET", f"/v2/scarce/blobs/{sha256(data)}")
                assert (status, text == data) == (200, True) or status == 503, (status, text[:200])
                refused["read"] += status == 503
        assert min(refused["oci"], refused["native"]) > 0, refused
        until(lambda: open_files(server) <= usual + 2)
        assert push(os.urandom(150_000))[0] == 201
        assert ask("GET", f"/v2/scarce/blobs/{sha256(data)}") == (200, data)
        line.close()
        assert server.stop() == 0
        assert "Traceback" not in server.log.read_text()
    # Where not even the stage could be deleted it goes as an upload does that nobody goes on with.
    wait_for_leases(tmp_path)
    time.sleep(EXPIRY)
    with serving(tmp_path, "--uploads-expiry", f"{EXPIRY}s") as server:
        until(lambda: not [path for path in (tmp_path / "data" / "staging").rglob("*") if path.is_file()], 20)
        assert server.stop() == 0
    assert run("fsck", "--data", str(tmp_path / "data")).returncode == 0
