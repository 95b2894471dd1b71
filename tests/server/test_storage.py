"""A server whose content is in a bucket: both faces, care, and what happens when the bucket is away."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from registry.dataplane import S3Settings
from tests.objectstore.seaweed import ACCESS_KEY, SECRET_KEY, SeaweedServer
from tests.server.program import Running, run, serving

SECRETS = {
    "ARTIFACT_STORE_STORAGE_ACCESS_KEY": ACCESS_KEY,
    "ARTIFACT_STORE_STORAGE_SECRET_KEY": SECRET_KEY,
}
LARGE = 300_000
CONFIG = b"{}"


def url_of(where: S3Settings) -> str:
    return f"s3://{where.bucket}/{where.prefix}?endpoint={where.endpoint}"


@pytest.fixture
def server(s3: S3Settings, tmp_path: Path) -> Iterator[Running]:
    with serving(tmp_path, "--storage", url_of(s3), **SECRETS) as running:
        yield running


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def push(client: httpx.Client, layer: bytes, tag: str = "v1") -> str:
    """An image of one layer, sent as most clients do. Returns the layer's digest."""
    for data in (CONFIG, layer):
        location = client.post("/v2/demo/blobs/uploads/").headers["Location"]
        half = len(data) // 2
        sent = client.patch(location, content=data[:half])
        assert sent.status_code == 202, sent.text
        done = client.put(sent.headers["Location"], params={"digest": digest_of(data)}, content=data[half:])
        assert done.status_code == 201, done.text
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest_of(CONFIG),
            "size": len(CONFIG),
        },
        "layers": [
            {
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": digest_of(layer),
                "size": len(layer),
            }
        ],
    }
    put = client.put(
        f"/v2/demo/manifests/{tag}",
        content=json.dumps(manifest),
        headers={"Content-Type": str(manifest["mediaType"])},
    )
    assert put.status_code == 201, put.text
    return digest_of(layer)


def test_what_is_pushed_is_in_the_bucket_and_not_in_the_folder(server: Running, tmp_path: Path) -> None:
    layer = os.urandom(LARGE)
    with server.client() as client:
        digest = push(client, layer)
        got = client.get(f"/v2/demo/blobs/{digest}")
        assert got.content == layer
        part = client.get(f"/v2/demo/blobs/{digest}", headers={"Range": "bytes=1000-1999"})
        assert (part.status_code, part.content) == (206, layer[1000:2000])
        assert client.get("/v2/demo/manifests/v1").status_code == 200
        assert client.get("/readyz").status_code == 200
    assert not (tmp_path / "data" / "content").exists()
    assert server.stop() == 0


def test_a_small_blob_sent_with_its_completion_is_one_put(server: Running, s3: S3Settings) -> None:
    data = os.urandom(1000)
    with server.client() as client:
        location = client.post("/v2/demo/blobs/uploads/").headers["Location"]
        done = client.put(location, params={"digest": digest_of(data)}, content=data)
        assert done.status_code == 201
        assert client.get(f"/v2/demo/blobs/{digest_of(data)}").content == data
    assert server.metric("storage_operations_total", operation="put") == 1
    assert server.metric("storage_operations_total", operation="commit") == 0


def test_readers_are_sent_on_where_that_was_set(s3: S3Settings, tmp_path: Path) -> None:
    layer = os.urandom(LARGE)
    with serving(
        tmp_path, "--storage", url_of(s3), "--storage-redirect-bytes", "100 KiB", **SECRETS
    ) as server:
        with server.client() as client:
            digest = push(client, layer)
            sent_on = client.get(f"/v2/demo/blobs/{digest}")
            assert sent_on.status_code == 307
            assert sent_on.headers["Docker-Content-Digest"] == digest
            assert sent_on.headers["Cache-Control"] == "no-store"
            place = sent_on.headers["Location"]
            assert place.startswith(f"{s3.endpoint}/{s3.bucket}/{s3.prefix}content/")
            assert httpx.get(place).content == layer
            followed = client.get(
                f"/v2/demo/blobs/{digest}", headers={"Range": "bytes=5-9"}, follow_redirects=True
            )
            assert (followed.status_code, followed.content) == (206, layer[5:10])
            assert client.head(f"/v2/demo/blobs/{digest}").status_code == 200
            assert client.get(f"/v2/demo/blobs/{digest_of(CONFIG)}").content == CONFIG
            unchanged = client.get(f"/v2/demo/blobs/{digest}", headers={"If-None-Match": f'"{digest}"'})
            assert unchanged.status_code == 304
            native = client.get(f"/api/v1/content/{digest}")
            assert native.status_code == 307
            assert httpx.get(native.headers["Location"]).content == layer


def test_a_bucket_that_is_away_is_503_and_comes_back_by_itself(
    server: Running, seaweed: SeaweedServer
) -> None:
    layer = os.urandom(LARGE)
    with server.client() as client:
        digest = push(client, layer)
        seaweed.kill()
        try:
            begun = time.monotonic()
            refused = client.get(f"/v2/demo/blobs/{digest}", timeout=60)
            assert refused.status_code == 503
            assert int(refused.headers["Retry-After"]) > 0
            assert time.monotonic() - begun < 40
            assert client.get("/readyz", timeout=60).status_code == 503
            assert client.get("/v2/demo/tags/list").json()["tags"] == ["v1"]
        finally:
            seaweed.start()
        assert client.get(f"/v2/demo/blobs/{digest}", timeout=60).content == layer


def test_commands_find_the_bucket(s3: S3Settings, tmp_path: Path) -> None:
    data, storage = str(tmp_path / "data"), url_of(s3)
    with serving(tmp_path, "--storage", storage, **SECRETS) as server:
        with server.client() as client:
            push(client, os.urandom(LARGE))
            unneeded = os.urandom(LARGE)
            client.post("/v2/demo/blobs/uploads/", params={"digest": digest_of(unneeded)}, content=unneeded)
            beside = run("fsck", "--data", data, "--storage", storage, **SECRETS)
            assert beside.returncode == 0, beside.stdout + beside.stderr
        assert server.stop() == 0
    at_once = ("--care-lease", "0", "--care-delay", "0")
    freed = run("gc", "--json", *at_once, "--data", data, "--storage", storage, **SECRETS)
    assert freed.returncode == 0, freed.stdout + freed.stderr
    assert json.loads(freed.stdout)["done"]["freed_bytes"] == LARGE
    done = run("rebuild", "--data", data, "--storage", storage, **SECRETS)
    assert done.returncode == 0, done.stdout + done.stderr
    for command in (["pack"], ["keys", "list"]):
        refused = run(*command, "--data", data, "--storage", storage, **SECRETS)
        assert refused.returncode == 2, refused.stdout
        assert "content lives in a bucket" in refused.stderr
    copied = run("backup", str(tmp_path / "copy"), "--data", data, "--storage", storage, **SECRETS)
    assert copied.returncode == 0, copied.stdout + copied.stderr
    whole = run("fsck", "--data", str(tmp_path / "copy"))
    assert whole.returncode == 0, whole.stdout + whole.stderr
    looked = run("doctor", "--data", data, "--listen", "127.0.0.1:0", "--storage", storage, **SECRETS)
    assert "holds a store; can list, write, read and delete" in looked.stdout
    wrong = run("doctor", "--data", data, "--listen", "127.0.0.1:0", "--storage", storage)
    assert wrong.returncode != 0
