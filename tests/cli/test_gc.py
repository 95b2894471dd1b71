"""`gc` and `fsck --repair` as commands, beside a server and alone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tests.server.program import run, serving

LOOSE = b"nobody's " * 20_000
DIGEST = f"sha256:{hashlib.sha256(LOOSE).hexdigest()}"
SOON = ("--care-lease", "0", "--care-delay", "0")


def ask(*arguments: str, code: int = 0) -> Any:
    done = run(*arguments, "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_gc_beside_a_server(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    with serving(tmp_path, "--care-collect", "0") as server, server.client() as client:
        put = client.post(f"/v2/a/b/blobs/uploads/?digest={DIGEST}", content=LOOSE)
        assert put.status_code == 201
        assert ask("gc", "--data", data)["done"]["removed"] == 0
        explained = ask("gc", "--data", data, "--explain", DIGEST)
        assert explained["held"] is True
        assert any("leased until" in line for line in explained["lines"])
        planned = ask("gc", "--data", data, "--dry-run", *SOON)
        assert planned == {
            "dry_run": True,
            "before": {
                "reclaimable_bytes": len(LOOSE),
                "objects": 1,
                "unlinked": 1,
                "manifests": 0,
                "dead_bytes": 0,
                "rewritable_bytes": 0,
            },
        }
        assert client.head(f"/v2/a/b/blobs/{DIGEST}").status_code == 200
        said = run("gc", "--data", data, *SOON)
        assert said.returncode == 0
        assert f"reclaimable: {len(LOOSE)} bytes in 1 object" in said.stdout
        assert f"freed: {len(LOOSE)} bytes of 1 object" in said.stdout
        assert client.head(f"/v2/a/b/blobs/{DIGEST}").status_code == 404
        assert server.metric("collection_freed_bytes_total") == len(LOOSE)
        assert ask("gc", "--data", data, "--explain", DIGEST, code=1)["held"] is None
        assert run("gc", "--data", data, "--explain", "sha256:short").returncode == 2
        refused = run("fsck", "--data", data, "--repair")
        assert refused.returncode == 2
        assert "in use by a server" in refused.stderr
    assert ask("rebuild", "--data", data)["differing"] == []


def test_fsck_repairs_what_a_push_then_heals(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(tmp_path) as server, server.client() as client:
        assert client.post(f"/v2/a/b/blobs/uploads/?digest={DIGEST}", content=LOOSE).status_code == 201
    (path,) = [
        found
        for found in (data / "content").rglob("*")
        if found.is_file() and found.stat().st_size == len(LOOSE)
    ]
    path.write_bytes(b"x" + LOOSE[1:])
    assert ask("fsck", "--data", str(data), "--structure-only")["ok"]
    found = ask("fsck", "--data", str(data), "--repair", code=1)
    assert [fault["kind"] for fault in found["faults"]] == ["content"]
    assert "push it again" in found["repairs"][0]["message"]
    with serving(tmp_path) as server, server.client() as client:
        assert client.head(f"/v2/a/b/blobs/{DIGEST}").status_code == 404
        assert server.metric("content_missing") == 1
        assert client.post(f"/v2/a/b/blobs/uploads/?digest={DIGEST}", content=LOOSE).status_code == 201
        assert client.get(f"/v2/a/b/blobs/{DIGEST}").content == LOOSE
    assert ask("fsck", "--data", str(data), "--subset", "100%")["ok"]
    assert run("fsck", "--data", str(data), "--subset", "9/3").returncode == 2
    assert run("fsck", "--data", str(data), "--resume").returncode == 2


def test_fsck_takes_what_is_missing_from_a_backup(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    tiny = b"tiny"
    names = [f"sha256:{hashlib.sha256(content).hexdigest()}" for content in (LOOSE, tiny)]
    with serving(tmp_path) as server, server.client() as client:
        for name, content in zip(names, (LOOSE, tiny), strict=True):
            assert client.post(f"/v2/a/b/blobs/uploads/?digest={name}", content=content).status_code == 201
    assert run("backup", "--data", str(data), str(copy)).returncode == 0
    for path in [*(data / "content").rglob("*"), *(data / "packs").rglob("*")]:
        if path.is_file():
            path.unlink()
    for wrong in (("--from", str(copy)), ("--repair", "--from", str(tmp_path))):
        refused = run("fsck", "--data", str(data), *wrong)
        assert refused.returncode == 2
        assert ("needs --repair" if len(wrong) == 2 else "holds no store") in refused.stderr
    mended = ask("fsck", "--data", str(data), "--repair", "--from", str(copy))
    assert sum("from another location" in step["message"] for step in mended["repairs"]) == 2
    assert ask("fsck", "--data", str(data))["ok"]
    with serving(tmp_path) as server, server.client() as client:
        for name, content in zip(names, (LOOSE, tiny), strict=True):
            assert client.get(f"/v2/a/b/blobs/{name}").content == content
