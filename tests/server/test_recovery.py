"""The program after its database is lost: it does not serve, it recovers, it serves what it had."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path

import httpx
import pytest

from registry.dataplane import S3Settings
from tests.control.servers import PostgresServer, start
from tests.server.program import Running, run, serving, until
from tests.server.test_storage import SECRETS, push, url_of

LAG = ("--recovery-lag", "0.2")


def fill(server: Running) -> dict[str, str]:
    """Pushes by both faces, a tag that moves, deletions, a schema; what is to be served: digests by tag."""
    with server.client() as client:
        for number in range(3):
            push(client, os.urandom(5000), f"v{number}")
        push(client, os.urandom(5000), "v0")
        assert client.delete("/v2/demo/manifests/v2").status_code == 202
        schema = {"type": "object", "required": ["n"]}
        assert client.put("/api/v1/schemas/test.run.v1", json=schema).status_code == 201
        for number in range(2):
            file = f"/api/v1/packages/team/run:{number}/files/a.txt"
            assert client.put(file, content=f"result {number}".encode()).status_code == 201
            body = {"variant": "test.run.v1", "metadata": {"n": number}}
            assert client.post(f"/api/v1/packages/team/run:{number}/finalize", json=body).status_code == 201
        return served(client)


def served(client: httpx.Client) -> dict[str, str]:
    """Every tag with its digest, each manifest and layer read and compared."""
    found = {}
    for repository in client.get("/v2/_catalog").json()["repositories"]:
        for tag in client.get(f"/v2/{repository}/tags/list").json()["tags"]:
            manifest = client.get(f"/v2/{repository}/manifests/{tag}")
            digest = manifest.headers["Docker-Content-Digest"]
            assert f"sha256:{hashlib.sha256(manifest.content).hexdigest()}" == digest
            for layer in manifest.json()["layers"]:
                data = client.get(f"/v2/{repository}/blobs/{layer['digest']}").content
                assert f"sha256:{hashlib.sha256(data).hexdigest()}" == layer["digest"]
            found[f"{repository}:{tag}"] = digest
    return found


def settled(server: Running) -> bool:
    """Whether all events are in storage."""
    return server.metric("export_lag_events") == 0 and server.metric("export_events") > 0


def test_a_data_folder_without_its_database_is_recovered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    with serving(tmp_path, *LAG) as server:
        expected = fill(server)
        until(lambda: settled(server))
        assert server.metric("export_stopped") == 0
        server.process.kill()
        server.process.wait()
    (data / "ledger.sqlite").unlink()
    refused = run("serve", "--data", str(data), "--listen", "127.0.0.1:0")
    assert refused.returncode == 2
    assert "`artifact-store recover` rebuilds the database from storage" in refused.stderr
    for path in data.glob("ledger.sqlite*"):
        path.unlink()
    done = run("recover", "--data", str(data), "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    report = json.loads(done.stdout)
    assert report["signed_by"]
    after = json.loads(run("fsck", "--data", str(data), "--json").stdout)
    assert after["faults"] == []
    assert after["contents"] == report["present"] == report["contents"]
    with serving(tmp_path, *LAG) as server:
        with server.client() as client:
            assert served(client) == expected
            push(client, os.urandom(100), "after")
        until(lambda: settled(server))
        assert server.stop() == 0
    with capsys.disabled():
        counts = f"{report['events']} events, {after['contents']} contents, {len(expected)} tags"
        print(f"\n  embedded, database deleted: before and after {counts}")


def test_sealed_content_is_recovered_with_its_keys(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    key = tmp_path / "master.key"
    key.write_text(base64.b64encode(os.urandom(32)).decode())
    (data / "artifact-store.toml").write_text(
        f'[keys]\nprovider = "file:{key}"\n[[domain]]\nname = "legal"\nsealed = true\n'
        '[[repository]]\nmatch = "demo"\ndomain = "legal"\n'
    )
    with serving(tmp_path, *LAG) as server:
        expected = fill(server)
        assert server.stop() == 0
    for path in data.glob("ledger.sqlite*"):
        path.unlink()
    done = run("recover", "--data", str(data), "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    assert json.loads(done.stdout)["orphans"] == 0
    with serving(tmp_path, *LAG) as server:
        with server.client() as client:
            assert served(client) == expected
        assert server.stop() == 0


def test_replicas_without_their_database_are_recovered_into_a_new_one(
    tmp_path: Path, s3: S3Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    postgres: PostgresServer = start()
    try:
        where = ("--storage", url_of(s3))
        with serving(tmp_path, *where, "--database", public(postgres), *LAG, **SECRETS) as server:
            expected = fill(server)
            assert server.stop() == 0
        fresh = public(postgres)
        done = run("recover", *where, "--database", fresh, "--json", **SECRETS)
        assert done.returncode == 0, done.stderr + done.stdout
        report = json.loads(done.stdout)
        with serving(tmp_path, *where, "--database", fresh, *LAG, **SECRETS) as server:
            with server.client() as client:
                assert served(client) == expected
                push(client, os.urandom(100), "after")
            until(lambda: settled(server))
            doctor = run("doctor", *where, "--database", fresh, **SECRETS)
            assert "events are in storage, signed by artifact-store.dev/ledger/" in doctor.stdout
            assert server.stop() == 0
        with capsys.disabled():
            counts = f"{report['events']} events, {report['present']} contents, {len(expected)} tags"
            print(f"\n  PostgreSQL dropped, bucket left: before and after {counts}")
    finally:
        postgres.close()


def public(postgres: PostgresServer) -> str:
    """A new empty database's URL as people write it."""
    return postgres.new_database(empty=True).replace("postgresql+asyncpg://", "postgresql://")


def test_a_folder_that_holds_nothing_is_left_alone(tmp_path: Path) -> None:
    done = run("recover", "--data", str(tmp_path / "mistyped"))
    assert (done.returncode, "holds no content to recover from" in done.stderr) == (2, True)
    assert not (tmp_path / "mistyped").exists()
