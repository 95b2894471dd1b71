"""Domains over HTTP: what one has is unknown in the other, and what one lets go stays in the other."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from blake3 import blake3

from tests.server.oci_pushes import digest_of, head, push_blob, push_image
from tests.server.program import run, serving

pytestmark = pytest.mark.slow

SETTINGS = """
[[domain]]
name = "one"
[[domain]]
name = "two"
[[repository]]
match = "one/*"
domain = "one"
[[repository]]
match = "two/*"
domain = "two"
"""
#: Larger than what goes to a log, and smaller.
LARGE, SMALL = random.Random(1).randbytes(200_000), b"a small layer"


def settings(folder: Path, text: str = SETTINGS) -> None:
    data = folder / "data"
    data.mkdir(exist_ok=True)
    (data / "artifact-store.toml").write_text(text)


def test_domains_share_nothing_and_hear_nothing_of_each_other(tmp_path: Path) -> None:
    settings(tmp_path, "[care]\nlease = 0\ndelay = 0\n" + SETTINGS)
    with serving(tmp_path) as server, server.client() as client:
        manifest = push_image(client, "one/app", "v1", b"{}", LARGE, SMALL)
        for data in (LARGE, SMALL):
            assert head(client, "one/app", data) == 200
            assert head(client, "two/app", data) == 404
            for source in ("&from=one/app", ""):
                mount = client.post(f"/v2/two/app/blobs/uploads/?mount={digest_of(data)}{source}")
                assert mount.status_code == 202, source
            assert head(client, "two/app", data) == 404
            within = client.post(f"/v2/one/other/blobs/uploads/?mount={digest_of(data)}&from=one/app")
            assert within.status_code == 201
        push_image(client, "two/app", "v1", b"{}", LARGE, SMALL)
        folders = {path.parent.parent.name for path in (tmp_path / "data" / "content").glob("*/*/*")}
        assert folders == {"one", "two"}

        gone = client.delete(f"/v2/one/app/manifests/{digest_of(manifest)}")
        assert gone.status_code == 202
        folder = str(tmp_path / "data")
        for _ in range(2):
            done = run("gc", "--data", folder, "--json")
            assert done.returncode == 0, done.stderr
        for content in (LARGE, SMALL):
            assert head(client, "one/app", content) == 404
            assert client.get(f"/v2/two/app/blobs/{digest_of(content)}").content == content
        assert not list((tmp_path / "data" / "content" / "one").rglob(blake3(LARGE).hexdigest()))
        assert run("fsck", "--data", folder).returncode == 0
        assert server.stop() == 0


def test_a_native_upload_says_for_which_repository_it_is(tmp_path: Path) -> None:
    settings(tmp_path)
    with serving(tmp_path) as server, server.client() as client:
        refused = client.post("/api/v1/uploads", json={})
        assert refused.status_code == 422
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert refused.json()["kind"] == "validation_failed"
        assert [error["path"] for error in refused.json()["errors"]] == ["/repository"]
        by_tus = client.post("/api/v1/uploads", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "5"})
        assert by_tus.status_code == 422

        opened = client.post("/api/v1/uploads", json={"repository": "two/app"})
        assert opened.status_code == 201
        place = opened.headers["Location"]
        assert client.patch(place, content=SMALL, headers={"Upload-Offset": "0"}).status_code == 204
        assert client.post(f"{place}/complete", json={}).status_code == 201
        address = f"blake3:{blake3(SMALL).hexdigest()}"
        files = {"files": [{"relative_path": "a", "content_address": address}]}
        assert client.put("/api/v1/packages/one/app:1", json=files).status_code == 422
        assert client.put("/api/v1/packages/two/app:1", json=files).status_code == 201
        digest = client.get("/api/v1/packages/two/app:1").json()["manifest_digest"]
        crossing = client.put("/api/v1/packages/one/app:1", json={"from": f"two/app@{digest}"})
        assert crossing.status_code == 422
        assert client.get(f"/api/v1/content/{address}").content == SMALL
        assert server.stop() == 0


def test_a_repository_stays_where_it_began_and_doctor_tells(tmp_path: Path) -> None:
    settings(tmp_path)
    with serving(tmp_path) as server, server.client() as client:
        push_blob(client, "one/app", LARGE)
        assert server.stop() == 0
    settings(tmp_path, SETTINGS.replace('match = "one/*"\ndomain = "one"', 'match = "one/*"\ndomain = "two"'))
    found = json.loads(run("doctor", "--data", str(tmp_path / "data"), "--json").stdout)
    (told,) = [finding for finding in found["findings"] if finding["name"] == "domains"]
    assert told["state"] == "notice"
    assert "one/app is in the domain one" in told["text"]
    with serving(tmp_path) as server, server.client() as client:
        push_blob(client, "one/app", SMALL)
        assert head(client, "one/app", LARGE) == 200
        push_blob(client, "one/new", LARGE)
        assert server.stop() == 0
    assert list((tmp_path / "data" / "content" / "one").rglob(blake3(LARGE).hexdigest()))
    assert list((tmp_path / "data" / "content" / "two").rglob(blake3(LARGE).hexdigest()))
