"""A sealed domain over HTTP: no plaintext on the disk, keys that rotate, and keys that are destroyed."""

from __future__ import annotations

import base64
import json
import os
import random
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.oci_pushes import MANIFEST, digest_of, head, push_blob, push_image
from tests.server.program import run, serving

pytestmark = pytest.mark.slow

SETTINGS = """
[keys]
provider = "file:{key}"
{former}
[care]
lease = 0
delay = 0
orphans = 0
[[domain]]
name = "legal"
sealed = true
[[repository]]
match = "legal/*"
domain = "legal"
"""
CANARY = b"canary-7a4e91"
#: Bytes larger than what goes to the log, that compress and repeat the canary in every chunk.
LARGE = b"".join(CANARY + random.Random(seed).randbytes(500) for seed in range(2000))
SMALL = b"small " + CANARY
CONFIG = json.dumps({"note": CANARY.decode()}).encode()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return new_key(tmp_path / "kek")


def new_key(path: Path) -> Path:
    path.write_bytes(base64.b64encode(os.urandom(32)))
    path.chmod(0o600)
    return path


def settings(folder: Path, key: Path, former: Path | None = None) -> None:
    data = folder / "data"
    data.mkdir(exist_ok=True)
    line = f'former = "file:{former}"' if former else ""
    (data / "artifact-store.toml").write_text(SETTINGS.format(key=key, former=line))


def plaintext(data: Path) -> list[str]:
    """Files of the data folder in which a canary can be read."""
    marks = (CANARY, base64.b64encode(CANARY)[:-2], CANARY.hex().encode())
    found = []
    for path in data.rglob("*"):
        if path.is_file() and any(mark in path.read_bytes() for mark in marks):
            found.append(path.relative_to(data).as_posix())
    return found


def fill(client: httpx.Client) -> bytes:
    """Blobs, a manifest with a secret that no view takes up, a package, unfinished uploads by all roads."""
    manifest = push_image(client, "legal/case", "v1", CONFIG, LARGE, SMALL, unknown={"x": CANARY.decode()})
    path = "/api/v1/packages/legal/case:p1"
    for name, data in (("a.bin", LARGE + b"!"), ("b.txt", SMALL + b"!")):
        assert client.put(f"{path}/files/{name}", content=data).status_code == 201
    assert client.post(f"{path}/finalize", json={}).status_code == 201
    assert client.put("/api/v1/packages/legal/case:draft/files/c", content=SMALL + b"?").status_code == 201
    place = client.post("/v2/legal/case/blobs/uploads/").headers["Location"]
    assert client.patch(place, content=LARGE[:600_000]).status_code == 202
    opened = client.post("/api/v1/uploads", json={"repository": "legal/case"}).headers["Location"]
    assert client.patch(opened, content=LARGE[:90_000], headers={"Upload-Offset": "0"}).status_code == 204
    return manifest


def reads(client: httpx.Client, manifest: bytes) -> None:
    for data in (LARGE, SMALL, CONFIG):
        assert client.get(f"/v2/legal/case/blobs/{digest_of(data)}").content == data
    some = client.get(f"/v2/legal/case/blobs/{digest_of(LARGE)}", headers={"Range": "bytes=70000-70099"})
    assert (some.status_code, some.content) == (206, LARGE[70_000:70_100])
    assert client.get("/v2/legal/case/manifests/v1", headers={"Accept": MANIFEST}).content == manifest
    assert client.get("/api/v1/packages/legal/case:p1/files/a.bin").content == LARGE + b"!"


def command(server_folder: Path, *arguments: str, code: int = 0) -> Any:
    name, *rest = arguments
    done = run(name, *rest, "--data", str(server_folder / "data"), "--json")
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_no_byte_of_content_lies_in_plaintext(tmp_path: Path, key: Path) -> None:
    settings(tmp_path, key)
    data = tmp_path / "data"
    with serving(tmp_path) as server, server.client() as client:
        manifest = fill(client)
        assert plaintext(data) == []
        reads(client, manifest)
        assert command(tmp_path, "pack", "--now")["blobs"] >= 2
        assert plaintext(data) == []
        reads(client, manifest)
        push_blob(client, "open/app", SMALL)
        assert [name.split("/")[0] for name in plaintext(data)] == ["packs"]  # the canary can be found
        command(tmp_path, "fsck")
        server.process.kill()
        server.process.wait()
    assert {name.split("/")[1] for name in plaintext(data)} == {"default"}
    with serving(tmp_path) as server, server.client() as client:
        reads(client, manifest)
        assert server.stop() == 0
    with serving(tmp_path, "--config", str(_without_keys(tmp_path))) as server, server.client() as client:
        assert client.get(f"/v2/legal/case/blobs/{digest_of(LARGE)}").status_code == 500
        assert client.get(f"/v2/open/app/blobs/{digest_of(SMALL)}").content == SMALL
        assert server.stop() == 0


def _without_keys(folder: Path) -> Path:
    path = folder / "none.toml"
    path.write_text('[[domain]]\nname = "legal"\n[[repository]]\nmatch = "legal/*"\ndomain = "legal"\n')
    return path


def test_keys_rotate_and_the_data_stays_as_it_is(tmp_path: Path, key: Path) -> None:
    settings(tmp_path, key)
    with serving(tmp_path) as server, server.client() as client:
        manifest = fill(client)
        before = stored(tmp_path / "data")
        new = new_key(tmp_path / "new")
        settings(tmp_path, new, key)
        assert command(tmp_path, "keys", "rotate") == {"rewrapped": 1}
        reads(client, manifest)
        assert server.stop() == 0
    assert before.items() <= stored(tmp_path / "data").items()
    settings(tmp_path, new)
    with serving(tmp_path) as server, server.client() as client:
        reads(client, manifest)
        command(tmp_path, "keys", "renew", "legal")
        push_blob(client, "legal/case", SMALL + b"later")
        assert head(client, "legal/case", SMALL + b"later") == 200
        reads(client, manifest)
        assert server.stop() == 0
    listed = command(tmp_path, "keys", "list")
    assert [entry["current"] for entry in listed["keys"]] == [False, True]
    assert len({entry["provider"] for entry in listed["keys"]}) == 1


def stored(data: Path) -> dict[str, bytes]:
    return {path.as_posix(): path.read_bytes() for path in (data / "content").rglob("*") if path.is_file()}


def test_a_destroyed_key_erases_one_domain_and_no_other(tmp_path: Path, key: Path) -> None:
    settings(tmp_path, key)
    copy = tmp_path / "copy"
    with serving(tmp_path) as server, server.client() as client:
        manifest = fill(client)
        for data in (LARGE, SMALL):
            push_blob(client, "open/app", data)
        push_image(client, "open/app", "v1", CONFIG, LARGE, SMALL)
        assert run("backup", "--data", str(tmp_path / "data"), str(copy / "data")).returncode == 0
        assert not any("legal" in name for name in plaintext(copy / "data"))
        assert run("keys", "destroy", "legal", "--data", str(tmp_path / "data")).returncode == 2
        done = command(tmp_path, "keys", "destroy", "legal", "--yes")
        assert done == {"domain": "legal", "destroyed": 1, "noted": True}
        erased(client, manifest)
        assert command(tmp_path, "keys", "list") == {"keys": [], "destroyed": ["legal"]}
        looked_after(tmp_path)
        assert server.stop() == 0
    assert command(tmp_path, "rebuild")["differing"] == []
    with serving(tmp_path) as server, server.client() as client:
        erased(client, manifest)
        looked_after(tmp_path)
        assert not list((tmp_path / "data" / "content" / "legal").rglob("*.sealed"))
        assert server.stop() == 0
    backed_up(copy, key, manifest)
    assert run("backup", "--data", str(tmp_path / "data"), str(copy / "data")).returncode == 0
    with serving(copy) as server, server.client() as client:
        erased(client, manifest)
        assert server.stop() == 0


def backed_up(copy: Path, key: Path, manifest: bytes) -> None:
    """What was copied before opens with the same provider: its keys are its own."""
    settings(copy, key)
    with serving(copy) as server, server.client() as client:
        reads(client, manifest)
        assert server.stop() == 0


def erased(client: httpx.Client, manifest: bytes) -> None:
    for data in (LARGE, SMALL, CONFIG):
        gone = client.get(f"/v2/legal/case/blobs/{digest_of(data)}")
        assert (gone.status_code, gone.json()["errors"][0]["code"]) == (404, "BLOB_UNKNOWN")
        assert head(client, "legal/case", data) == 404
        assert client.get(f"/v2/open/app/blobs/{digest_of(data)}").content == data
        assert client.get(f"/api/v1/content/{digest_of(data)}").content == data
    gone = client.get(f"/v2/legal/case/manifests/{digest_of(manifest)}")
    assert (gone.status_code, gone.json()["errors"][0]["code"]) == (404, "MANIFEST_UNKNOWN")
    package = client.get("/api/v1/packages/legal/case:p1")
    assert (package.status_code, package.json()["kind"]) == (410, "erased")
    only_there = client.get(f"/api/v1/content/{digest_of(SMALL + b'!')}")
    assert (only_there.status_code, only_there.json()["kind"]) == (410, "erased")
    refused = client.put("/api/v1/packages/legal/case:new/files/x", content=b"more")
    assert (refused.status_code, refused.json()["kind"]) == (410, "erased")


def looked_after(folder: Path) -> None:
    """Everything that looks after a store finds nothing to complain of."""
    found = command(folder, "fsck")
    assert (found["faults"], found["ok"]) == ([], True)
    assert found["erased"] > 5
    command(folder, "gc")
    command(folder, "pack", "--now")
    told = command(folder, "doctor", code=0)
    assert [finding["text"] for finding in told["findings"] if finding["name"] == "keys"] == [
        "sealed: legal; destroyed: legal"
    ]


def test_what_was_stored_before_sealing_is_told(tmp_path: Path, key: Path) -> None:
    settings(tmp_path, key)
    with serving(tmp_path, "--config", str(_without_keys(tmp_path))) as server, server.client() as client:
        push_blob(client, "legal/case", SMALL)
        assert server.stop() == 0
    (told,) = [one for one in command(tmp_path, "doctor")["findings"] if one["name"] == "keys"]
    assert told["state"] == "notice"
    assert "legal" in told["text"]
