"""`artifact-store serve`: how it begins, answers, drains and ends."""

import hashlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from registry.server.folder import lock_exclusive
from tests.server.program import Running, command, environment, run, serving, until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with serving(tmp_path) as running:
        yield running


def open_upload(server: Running) -> str:
    with server.client() as client:
        location = client.post("/v2/slow/blobs/uploads/").headers["Location"]
    assert location.startswith("/v2/")
    return str(location)


class SlowPatch:
    """A PATCH whose body stops half way until `finish`."""

    def __init__(self, server: Running, location: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port))
        self.socket.settimeout(20)
        head = f"PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n"
        self.socket.sendall(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode())
        self.socket.sendall(b"01234")

    def __enter__(self) -> "SlowPatch":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def finish(self) -> bytes:
        """Send the rest; all that the server answers until it closes."""
        self.socket.sendall(b"56789")
        answer = b""
        while part := self.socket.recv(65536):
            answer += part
        return answer


def test_it_says_one_line_and_answers(server: Running) -> None:
    with server.client() as client:
        assert client.get("/v2/").status_code == 200
        assert client.get("/healthz").json() == {"status": "alive"}
        assert client.get("/").json()["service"] == "artifact-store"
        assert client.get("/nowhere").status_code == 404
        assert client.post("/healthz").status_code == 405
    assert server.stop() == 0
    assert server.process.stdout is not None
    assert server.process.stdout.read() == ""


def test_as_json_the_line_is_a_document(tmp_path: Path) -> None:
    with subprocess.Popen(
        command(
            "serve", "--data", str(tmp_path), "--listen", "127.0.0.1:0", "--json", "--log-format", "json"
        ),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["listening"].startswith("http://127.0.0.1:")
        process.terminate()
        _, log = process.communicate(timeout=20)
    assert process.returncode == 0
    assert all(json.loads(line)["time"] for line in log.splitlines())


def test_data_survives_a_restart(tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        with first.client() as client:
            location = client.post("/v2/kept/blobs/uploads/").headers["Location"]
            client.patch(location, content=b"half")
        assert first.stop() == 0
    with serving(tmp_path) as second, second.client() as client:
        assert client.get(location).headers["Range"] == "0-3"


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_sigterm_lets_a_request_in_flight_finish(tmp_path: Path, loop: str) -> None:
    with serving(tmp_path, "--loop", loop) as server, ExitStack() as held:
        patch = held.enter_context(SlowPatch(server, open_upload(server)))
        idle = held.enter_context(socket.create_connection(("127.0.0.1", server.port), 10))
        until(lambda: server.metric("requests_in_flight") == 2)  # the PATCH, and the question itself
        server.process.send_signal(signal.SIGTERM)
        # The idle connection goes at once, and nobody new gets in.
        assert idle.recv(1) == b""
        until(lambda: is_refused(server.port))
        assert server.process.poll() is None
        answer = patch.finish()
        assert answer.startswith(b"HTTP/1.1 202 ")
        assert b"0-9" in answer
        assert server.process.wait(10) == 0


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionError:
        return True
    return False


def test_draining_ends_after_its_time(tmp_path: Path) -> None:
    with serving(tmp_path, "--drain", "300 ms") as server:
        location = open_upload(server)
        with SlowPatch(server, location):
            until(lambda: server.metric("requests_in_flight") == 2)
            begun = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - begun < 8
    # What had arrived was kept.
    with serving(tmp_path) as server, server.client() as client:
        assert client.get(location).headers["Range"] == "0-4"


def test_a_second_signal_ends_it_at_once(server: Running) -> None:
    with SlowPatch(server, open_upload(server)):
        until(lambda: server.metric("requests_in_flight") == 2)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: is_refused(server.port))
        assert server.stop(3) == 1


def test_an_event_stream_does_not_hold_up_the_end(server: Running) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as follower:
        follower.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
        follower.settimeout(10)
        assert follower.recv(65536).startswith(b"HTTP/1.1 200")
        begun = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun < 5


def test_ctrl_c_is_an_orderly_end_too(server: Running) -> None:
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(10) == 0


def test_request_ids_are_taken_over_when_sane_and_made_up_otherwise(server: Running) -> None:
    with server.client() as client:
        assert client.get("/v2/", headers={"X-Request-Id": "abc-1.x"}).headers["X-Request-Id"] == "abc-1.x"
        made = [
            client.get(path, headers={"X-Request-Id": given}).headers["X-Request-Id"]
            for path in ("/v2/", "/api/v1/packages", "/healthz", "/nowhere")
            for given in ("a b", "x" * 65, "")
        ]
    assert len(set(made)) == len(made)
    assert server.stop() == 0
    log = server.log.read_text()
    assert "id=abc-1.x" in log
    assert all(f"id={each}" in log for each in made)


def test_every_answer_forbids_sniffing(server: Running) -> None:
    with server.client() as client:
        for path in ("/v2/", "/v2/none/manifests/none", "/api/v1/packages", "/api/v1/none", "/healthz", "/x"):
            answer = client.get(path)
            assert answer.headers.get_list("X-Content-Type-Options") == ["nosniff"], path
            assert answer.headers.get_list("Server") == ["artifact-store"], path


def test_what_is_no_http_gets_a_400_and_no_traceback(server: Running) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"\x16\x03\x01 not http\r\n\r\n")
        client.settimeout(5)
        assert client.recv(100).startswith(b"HTTP/1.0 400")
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()


def test_headers_beyond_the_limit_are_refused(tmp_path: Path) -> None:
    with serving(tmp_path, "--limits-header-bytes", "4 KiB") as server, server.client() as client:
        assert client.get("/v2/", headers={"X": "y" * 4000}).status_code == 200
        assert client.get("/v2/", headers={"X": "y" * 9000}).status_code == 400


def test_readiness_tells_each_part(server: Running) -> None:
    with server.client() as client:
        answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    assert {name: check["ok"] for name, check in answer.json()["checks"].items()} == {
        "database": True,
        "storage": True,
    }


def test_metrics_count_requests_and_bytes(server: Running) -> None:
    with server.client() as client:
        client.put(
            client.post("/v2/m/blobs/uploads/").headers["Location"] + "?digest=sha256:0", content=b"12345"
        )
    assert server.metric("requests_total", face="oci", route="upload", method="POST", status="202") == 1
    assert server.metric("requests_total", face="oci", route="upload", method="PUT", status="400") == 1
    assert server.metric("request_duration_seconds_count", face="oci", route="upload") == 2
    assert server.metric("bytes_in_total", face="oci") <= 5
    assert server.metric("storage_free_bytes") > 0
    assert server.metric("uploads_open") == 1
    assert server.metric("ledger_batch_mutations_count") > 0
    assert server.metric("worker_resident_bytes", worker="0") > 2**20


def test_beyond_loopback_it_wants_a_proxy(tmp_path: Path) -> None:
    refused = run("serve", "--data", str(tmp_path / "data"), "--listen", "0.0.0.0:0")
    assert refused.returncode == 2
    assert "--behind-proxy" in refused.stderr
    assert refused.stdout == ""
    assert not (tmp_path / "data").exists()


def test_a_second_owner_of_oci_is_refused(tmp_path: Path) -> None:
    info = tmp_path / "other_oci-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-oci\nVersion: 2.0\n")
    (info / "RECORD").write_text("oci/__init__.py,,\n")
    path = os.pathsep.join((environment()["PYTHONPATH"], str(tmp_path)))
    refused = run("serve", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0", PYTHONPATH=path)
    assert refused.returncode == 2
    assert "other-oci" in refused.stderr
    assert "environment" in refused.stderr
    found = run("doctor", "--data", str(tmp_path / "data"), "--json", PYTHONPATH=path)
    assert found.returncode == 1
    assert {
        entry["name"] for entry in json.loads(found.stdout)["findings"] if entry["state"] == "trouble"
    } == {"oci"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--listen", "5000"), "HOST:PORT"),
        (("--workers", "0"), "at least one"),
        (("--workers", "many"), "whole number"),
        (("--tls-cert", "x.pem"), "go together"),
        (("--config", "/none.toml"), "cannot be read"),
        (("--loop", "twisted"), "one of"),
    ],
)
def test_bad_settings_are_sentences(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    refused = run("serve", "--data", str(tmp_path / "data"), *arguments)
    assert refused.returncode == 2
    assert sentence in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_folder_that_an_offline_command_holds_is_left_alone(tmp_path: Path) -> None:
    with lock_exclusive(tmp_path, "rebuild"):
        refused = run("serve", "--data", str(tmp_path), "--listen", "127.0.0.1:0", "--json")
    assert refused.returncode == 2
    assert "rebuild" in json.loads(refused.stdout)["error"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_store_of_another_format_is_refused_in_words(tmp_path: Path, workers: str) -> None:
    (tmp_path / "FORMAT").write_text("artifact-store data plane, format 999\n")
    refused = run("serve", "--data", str(tmp_path), "--listen", "127.0.0.1:0", "--workers", workers)
    assert refused.returncode == 2
    assert "format 999" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert refused.stdout == ""


#: Each of these costs a tenth of a second of a start, or more, and none is needed before the first answer.
HEAVY = (
    *("aiobotocore", "aiosqlite", "alembic", "asyncpg"),
    *("jsonschema", "prometheus_client", "sigstore", "sqlalchemy.orm"),
)


def test_a_start_loads_nothing_that_can_wait() -> None:
    found = subprocess.run(
        [sys.executable, "-c", "import sys, registry.server.composition; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert not set(found.stdout.split()).intersection(HEAVY)


def test_tls_without_a_proxy(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"),
            *("-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    content = os.urandom(300_000)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    with serving(tmp_path, "--tls-cert", str(cert), "--tls-key", str(key)) as server:
        assert server.url.startswith("https://")
        trust = ssl.create_default_context(cafile=str(cert))
        with httpx.Client(base_url=server.url, verify=trust, trust_env=False) as client:
            location = client.post("/v2/tls/blobs/uploads/").headers["Location"]
            assert client.put(location, params={"digest": digest}, content=content).status_code == 201
            assert client.get(f"/v2/tls/blobs/{digest}").content == content
        assert server.stop() == 0
