"""What an operator asks of replicas: nothing on their own disks, and commands that work or say what does."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.replicas.cluster import Cluster
from tests.server.program import run

pytestmark = pytest.mark.slow


def ask(three: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command beside the replicas, told what they are told, and no data folder."""
    return run(*arguments, "--data", "/nowhere", **three.replicas[0].settings)


def test_a_replica_leaves_nothing_on_its_disk(three: Cluster) -> None:
    with three.client() as client:
        assert client.put("/api/v1/packages/a/b:1/files/x", content=b"bytes").status_code in (200, 201)
    assert {path.name for path in (three.folder / "r0").iterdir()} == {"log"}


def test_a_replica_says_nothing_of_a_disk_that_it_does_not_use(three: Cluster) -> None:
    with three.replicas[0].client() as client:
        text = client.get("/metrics").text
    assert "artifact_store_ledger_head" in text
    assert "storage_free_bytes" not in text


def test_doctor_looks_at_the_database_server_instead_of_the_disk(three: Cluster) -> None:
    done = ask(three, "doctor", "--listen", "127.0.0.1:0", "--json")
    found = {each["name"]: each for each in json.loads(done.stdout)["findings"]}
    assert "keeps nothing" in found["data folder"]["text"]
    assert "keeps nothing" in found["fsync"]["text"]
    # The tests' server does not sync: what it acknowledges may be lost.
    assert found["server"]["state"] == "trouble"
    assert "fsync is off" in found["server"]["text"]
    assert done.returncode == 1


def test_doctor_finds_nothing_wrong_with_a_store_that_is_not_made_yet(three: Cluster) -> None:
    three.postgres.execute("CREATE DATABASE fresh")
    fresh = {
        "ARTIFACT_STORE_DATABASE_URL": three.postgres.url("fresh"),
        "ARTIFACT_STORE_STORAGE_URL": f"s3://{three.bucket.bucket}/fresh/?endpoint={three.bucket.endpoint}",
    }
    for _ in ("before the schema is made", "after"):
        settings = {**three.replicas[0].settings, **fresh}
        done = run("doctor", "--listen", "127.0.0.1:0", "--json", "--data", "/nowhere", **settings)
        troubles = [each for each in json.loads(done.stdout)["findings"] if each["state"] == "trouble"]
        assert {each["name"] for each in troubles} == {"server"}, troubles
        assert run("migrate", "--data", "/nowhere", **settings).returncode == 0


def test_commands_that_work_beside_replicas(three: Cluster) -> None:
    for arguments in (["gc", "--dry-run"], ["fsck"], ["migrate"]):
        done = ask(three, *arguments)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pack", "--now"], "blobs stay whole"),
        (["keys", "list"], "nothing is sealed"),
        (["backup", "/nowhere/copy"], "pg_dump"),
        (["rebuild"], "stop all replicas first"),
        (["fsck", "--repair"], "stop all replicas first"),
    ],
)
def test_commands_that_do_not_say_what_to_do(three: Cluster, arguments: list[str], said: str) -> None:
    done = ask(three, *arguments)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_rebuild_and_repair_work_when_all_replicas_are_stopped(three: Cluster) -> None:
    for replica in three.replicas:
        replica.stop()
    for arguments in (["rebuild"], ["fsck", "--repair"]):
        done = ask(three, *arguments)
        assert done.returncode == 0, done.stderr
    assert not Path("/nowhere").exists()
