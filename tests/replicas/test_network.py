"""A replica in a network namespace of its own, whose packets to the database are dropped without a word."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.faults.cable import Cable
from tests.ports import free_ports
from tests.replicas.cluster import Cluster, settings_of
from tests.replicas.replica import Replica
from tests.server.oci_pushes import digest_of

pytestmark = pytest.mark.slow

_HERE, _THERE = "10.213.77.1", "10.213.77.2"


def do(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True)


@dataclass(frozen=True)
class Remote:
    """A replica behind a link, and the ports of the link's near end that lead to the database."""

    replica: Replica
    database: int

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Drop whatever comes to the database; nobody is told."""
        rule = ("INPUT", "-p", "tcp", "-d", _HERE, "--dport", str(self.database), "-j", "DROP")
        do("iptables", "-I", *rule)
        try:
            yield
        finally:
            do("iptables", "-D", *rule)


@pytest.fixture
def remote(three: Cluster, tmp_path: Path) -> Iterator[Remote]:
    name, near, far = f"store-{os.getpid()}", f"n{os.getpid()}", f"f{os.getpid()}"
    with ExitStack() as stack:
        try:
            do("ip", "netns", "add", name)
            stack.callback(do, "ip", "netns", "del", name)
            do("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
            do("ip", "address", "add", f"{_HERE}/30", "dev", near)
            do("ip", "link", "set", near, "up")
            for words in (("address", "add", f"{_THERE}/30", "dev", far), ("link", "set", far, "up")):
                do("ip", "-n", name, *words)
            do("iptables", "-L", "INPUT", "-n")
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"network namespaces need root, ip and iptables: {error}")
        database = Cable(three.postgres.port, _HERE)
        stack.callback(database.close)
        storage = Cable(int(str(three.bucket.endpoint).rpartition(":")[2]), _HERE)
        stack.callback(storage.close)
        settings = settings_of(three.postgres.url(), three.bucket)
        settings["ARTIFACT_STORE_DATABASE_URL"] = f"postgresql://postgres@{_HERE}:{database.port}/store"
        endpoint = f"http://{_HERE}:{storage.port}"
        place = three.bucket
        settings["ARTIFACT_STORE_STORAGE_URL"] = f"s3://{place.bucket}/{place.prefix}?endpoint={endpoint}"
        (port,) = free_ports(1)
        through = ("ip", "netns", "exec", name)
        replica = Replica(tmp_path / "remote", port, settings, through, _THERE)
        stack.callback(replica.close)
        replica.start()
        yield Remote(replica, database.port)


def push(client: httpx.Client, data: bytes) -> httpx.Response:
    digest = digest_of(data)
    return client.post("/v2/network/blobs/uploads/", params={"digest": digest}, content=data)


def told_in_time(ask: Callable[[], httpx.Response]) -> None:
    """The request is refused with 503 within seconds."""
    begun = time.monotonic()
    answer = ask()
    assert time.monotonic() - begun < 30
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["errors"][0]["code"] == "UNAVAILABLE"


def test_a_cut_to_the_database_is_said_in_time_and_heals(three: Cluster, remote: Remote) -> None:
    with remote.replica.client(timeout=60) as client, three.client() as others:
        assert push(client, b"before").status_code == 201
        begun = time.monotonic()
        with remote.cut():
            told_in_time(lambda: push(client, b"cut off"))
            told_in_time(lambda: client.get("/v2/network/tags/list"))
            assert client.get("/readyz").status_code == 503
            assert client.get("/healthz").status_code == 200
            assert "\nartifact_store_answers 0.0" in client.get("/metrics").text
            for number in range(5):
                assert push(others, b"meanwhile %d" % number).status_code == 201
            # Longer than both sides' TCP waits for the other.
            time.sleep(max(0.0, begun + 12 - time.monotonic()))
        remote.replica.await_ready(15)
        assert push(client, b"after").status_code == 201
        assert "\nartifact_store_answers 1.0" in client.get("/metrics").text
        assert others.get(f"/v2/network/blobs/{digest_of(b'after')}").content == b"after"
    assert "Traceback" not in remote.replica.log()
