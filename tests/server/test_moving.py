"""`migrate-store` as a command: what it takes for FROM and TO, what it refuses, what it says."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from registry.server.moving import MoveError, check_apart, check_sealed, read_end
from registry.server.settings_parsing import SettingsError
from tests.server.program import run, serving

SEALED = """
[keys]
provider = "file:{key}"
[[domain]]
name = "legal"
sealed = true
[[repository]]
match = "legal/*"
domain = "legal"
"""


def written(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def keyed(path: Path) -> Path:
    path.write_bytes(base64.b64encode(bytes(range(32))))
    return path


def push(server_url: str, repository: str, data: bytes) -> None:
    import httpx

    with httpx.Client(base_url=server_url, trust_env=False) as client:
        put = client.put(f"/api/v1/packages/{repository}:v1/files/f", content=data)
        assert put.status_code == 201, put.text
        assert client.post(f"/api/v1/packages/{repository}:v1/finalize").status_code == 201


def test_a_side_is_a_folder_or_a_settings_file_and_has_variables_of_its_own(tmp_path: Path) -> None:
    file = written(tmp_path / "c.toml", '[database]\nurl = "postgresql://me:secret@db/x"\n')
    environ = {
        "ARTIFACT_STORE_DATA": "/elsewhere",
        "ARTIFACT_STORE_TO_STORAGE_URL": "s3://bucket/prefix",
        "ARTIFACT_STORE_FROM_DATA": "/from-there",
    }
    target = read_end(file, "ARTIFACT_STORE_TO_", environ)
    assert target.name == "postgresql://me:****@db/x with s3://bucket/prefix"
    source = read_end(str(tmp_path), "ARTIFACT_STORE_FROM_", environ)
    assert source.name == str(tmp_path)
    with pytest.raises(SettingsError, match="STORAGE_UR"):
        read_end(file, "ARTIFACT_STORE_TO_", {"ARTIFACT_STORE_TO_STORAGE_UR": "s3://b/p"})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("[database]\nurl = 'postgresql://db/x'\n", "[database]\nurl = 'postgresql://db/x'\n"),
        (
            "[storage]\nurl = 's3://bucket/p?endpoint=http://s3&region=a'\n",
            "[database]\nurl = 'postgresql://db/x'\n[storage]\nurl = 's3://bucket/p/?endpoint=http://s3'\n",
        ),
    ],
)
def test_sides_that_share_anything_are_refused(tmp_path: Path, first: str, second: str) -> None:
    ends = [
        read_end(written(tmp_path / f"{number}.toml", f"data = '{tmp_path / str(number)}'\n{text}"), "X_", {})
        for number, text in enumerate((first, second))
    ]
    with pytest.raises(MoveError, match="same"):
        check_apart(*ends)


def test_folders_within_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MoveError, match="not apart"):
        check_apart(read_end(str(tmp_path), "X_", {}), read_end(str(tmp_path / "in"), "X_", {}))


def test_what_is_sealed_does_not_go_where_nothing_is_sealed(tmp_path: Path) -> None:
    rules = SEALED.format(key=keyed(tmp_path / "key"))
    written(tmp_path / "old" / "artifact-store.toml", rules)
    source = read_end(str(tmp_path / "old"), "X_", {})
    plain = read_end(str(tmp_path / "new"), "X_", {})
    with pytest.raises(MoveError, match="do not seal it"):
        check_sealed(source, plain)
    bucket = written(tmp_path / "b.toml", "[storage]\nurl = 's3://bucket/prefix'\n")
    with pytest.raises(MoveError, match="destroy the domain's keys first"):
        check_sealed(source, read_end(bucket, "X_", {}))
    check_sealed(source, read_end(written(tmp_path / "s.toml", rules), "X_", {}))


def test_a_place_without_a_store_is_not_moved(tmp_path: Path) -> None:
    done = run("migrate-store", str(tmp_path / "typo"), str(tmp_path / "new"), "--json")
    assert (done.returncode, "holds no store" in json.loads(done.stdout)["error"]) == (2, True)
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_a_sealed_domain_moves_sealed_and_an_erased_one_is_erased_there(tmp_path: Path) -> None:
    rules = SEALED.format(key=keyed(tmp_path / "key"))
    old, new = tmp_path / "old" / "data", tmp_path / "new" / "data"
    for folder in (old, new):
        written(folder / "artifact-store.toml", rules)
    secret = b"nobody shall read this" * 10_000
    with serving(tmp_path / "old") as server:
        push(server.url, "legal/case", secret)
        push(server.url, "open/case", b"anybody may")
        assert run("migrate-store", str(old), str(new)).returncode == 0
        stored = b"".join(path.read_bytes() for path in new.rglob("*") if path.is_file())
        assert secret[:50] not in stored
        assert b"anybody may" in stored
        assert run("keys", "destroy", "legal", "--yes", "--data", str(old)).returncode == 0
        done = run("migrate-store", str(old), str(new), "--switch")
        assert done.returncode == 0, done.stdout + done.stderr
        refused = run("gc", "--data", str(old))
        assert str(new) in refused.stderr
    assert "destroyed" in run("keys", "list", "--data", str(new)).stdout
    with serving(tmp_path / "new") as server, server.client() as client:
        assert client.get("/api/v1/packages/legal/case:v1").status_code == 410
        assert client.get("/api/v1/packages/open/case:v1/files/f").content == b"anybody may"
    assert run("migrate-store", str(old), str(new), "--undo").returncode == 0
    with serving(tmp_path / "old") as server, server.client() as client:
        assert client.get("/api/v1/packages/open/case:v1/files/f").content == b"anybody may"
