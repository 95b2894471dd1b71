"""Pushes over `/v2/` as clients make them, for tests that talk to a server."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import httpx

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.example.config.v1+json"
LAYER = "application/octet-stream"


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def descriptor(data: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def push_blob(client: httpx.Client, repository: str, data: bytes) -> str:
    """One blob in one request after the session's; answers its digest."""
    place = client.post(f"/v2/{repository}/blobs/uploads/").headers["Location"]
    done = client.put(place, params={"digest": digest_of(data)}, content=data)
    assert done.status_code == 201, done.text
    return digest_of(data)


def push_image(
    client: httpx.Client, repository: str, tag: str, config: bytes, *layers: bytes, **more: Any
) -> bytes:
    """Config, layers and the manifest, whose bytes are the answer."""
    for data in (config, *layers):
        push_blob(client, repository, data)
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(config, CONFIG),
        "layers": [descriptor(layer, LAYER) for layer in layers],
        **more,
    }
    manifest = json.dumps(document).encode()
    done = client.put(
        f"/v2/{repository}/manifests/{tag}", content=manifest, headers={"Content-Type": MANIFEST}
    )
    assert done.status_code == 201, done.text
    return manifest


def head(client: httpx.Client, repository: str, data: bytes) -> int:
    """What HEAD of a blob answers."""
    return client.head(f"/v2/{repository}/blobs/{digest_of(data)}").status_code
