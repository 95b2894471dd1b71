"""What lies in the data folder is lost or spoilt behind the server's back, or wanted by two at once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from tests.faults.history import OCI_IMAGE, sha256
from tests.faults.wire import Answer, ask
from tests.server.program import Running, run, serving

pytestmark = pytest.mark.slow

SIZE = 100_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with serving(tmp_path) as running:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log.read_text()


def push(server: Running, data: bytes, repository: str = "stored") -> Answer:
    return ask(server, "POST", f"/v2/{repository}/blobs/uploads/?digest={sha256(data)}", data)


def blob(server: Running, data: bytes, method: str = "GET") -> Answer:
    return ask(server, method, f"/v2/stored/blobs/{sha256(data)}")


def content(folder: Path, data: bytes) -> Path:
    """The file that holds the bytes."""
    (found,) = (folder / "data" / "content").rglob(blake3(data).hexdigest())
    return found


def fsck(folder: Path) -> tuple[int, str]:
    done = run("fsck", "--data", str(folder / "data"), "--json")
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.dumps(json.loads(done.stdout)["faults"])


def test_a_file_that_is_lost_is_404_named_and_healed_by_a_push(server: Running, tmp_path: Path) -> None:
    data = os.urandom(SIZE)
    assert push(server, data).status == 201
    content(tmp_path, data).unlink()
    assert blob(server, data, "HEAD").status == 404
    assert blob(server, data).status == 404
    assert ask(server, "GET", f"/api/v1/content/{sha256(data)}").status == 404
    code, faults = fsck(tmp_path)
    assert code == 1
    assert blake3(data).hexdigest() in faults or sha256(data) in faults
    assert push(server, data).status == 201
    assert blob(server, data).body == data
    assert fsck(tmp_path) == (0, "[]")


def test_a_lost_file_cannot_be_mounted_or_named_by_a_manifest(server: Running, tmp_path: Path) -> None:
    data = os.urandom(SIZE)
    assert push(server, data).status == 201
    content(tmp_path, data).unlink()
    mount = ask(server, "POST", f"/v2/else/blobs/uploads/?mount={sha256(data)}&from=stored")
    assert mount.status == 202, "a mount of what is not there begins an upload"
    layer = {"mediaType": "a/b", "digest": sha256(data), "size": SIZE}
    document = {"schemaVersion": 2, "mediaType": OCI_IMAGE, "config": layer, "layers": []}
    body = json.dumps(document).encode()
    put = ask(server, "PUT", "/v2/stored/manifests/v1", body, Content_Type=OCI_IMAGE)
    assert put.status == 400
    assert put.json()["errors"][0]["code"] == "MANIFEST_BLOB_UNKNOWN"
    assert push(server, data).status == 201
    assert ask(server, "PUT", "/v2/stored/manifests/v1", body, Content_Type=OCI_IMAGE).status == 201


def test_a_flipped_bit_is_named_and_healed_by_a_push(server: Running, tmp_path: Path) -> None:
    data = os.urandom(SIZE)
    assert push(server, data).status == 201
    assert fsck(tmp_path) == (0, "[]")
    path = content(tmp_path, data)
    path.chmod(0o600)
    spoilt = bytearray(data)
    spoilt[SIZE // 2] ^= 1
    path.write_bytes(spoilt)
    code, faults = fsck(tmp_path)
    assert code == 1
    assert blake3(data).hexdigest() in faults or sha256(data) in faults
    path.unlink()
    assert push(server, data).status == 201
    assert blob(server, data).body == data
    assert fsck(tmp_path) == (0, "[]")


def test_a_truncated_file_is_never_given_out_as_whole(server: Running, tmp_path: Path) -> None:
    data = os.urandom(SIZE)
    assert push(server, data).status == 201
    os.truncate(content(tmp_path, data), SIZE // 2)
    assert blob(server, data, "HEAD").status == 404
    assert blob(server, data).status == 404
    assert fsck(tmp_path)[0] == 1
    assert push(server, data).status == 201
    assert blob(server, data).body == data
    assert fsck(tmp_path) == (0, "[]")


def test_two_servers_share_a_folder_and_rebuild_does_not(server: Running, tmp_path: Path) -> None:
    data, other = os.urandom(SIZE), os.urandom(SIZE)
    assert push(server, data).status == 201
    second_log = tmp_path / "second"
    second_log.mkdir()
    (second_log / "data").symlink_to(tmp_path / "data")
    with serving(second_log) as second:
        assert blob(second, data).body == data
        assert push(second, other).status == 201
        assert blob(server, other).body == other
        refused = run("rebuild", "--data", str(tmp_path / "data"))
        assert refused.returncode == 2
        assert "Traceback" not in refused.stderr
        assert "serv" in refused.stderr
        assert second.stop() == 0
    assert blob(server, other).body == other
    assert fsck(tmp_path) == (0, "[]")
