"""The smallest OCI documents: an image manifest over some layers, an index over some manifests."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from registry.contract.manifest import OCI_EMPTY, OCI_INDEX, OCI_MANIFEST

#: The empty config of every `manifest`.
EMPTY = b"{}"


def descriptor(data: bytes, media_type: str = "application/octet-stream", **more: Any) -> dict[str, Any]:
    """Says `data` by its SHA-256."""
    return {
        "mediaType": media_type,
        "digest": f"sha256:{sha256(data).hexdigest()}",
        "size": len(data),
        **more,
    }


def manifest(*layers: bytes, **more: Any) -> bytes:
    """An image manifest with the empty config."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(EMPTY, OCI_EMPTY),
        "layers": [descriptor(layer) for layer in layers],
        **more,
    }
    return json.dumps(document).encode()


def index(*manifests: bytes, **more: Any) -> bytes:
    """An index of image manifests."""
    listed = [descriptor(child, OCI_MANIFEST) for child in manifests]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed, **more}).encode()
