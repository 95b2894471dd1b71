"""JSON that a registry sent."""

from __future__ import annotations

import json
from typing import Any

from oci.client.errors import ContentError


def read_object(data: bytes, source: str) -> dict[str, Any]:
    """`data` as a JSON object; raises ContentError that names `source`."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ContentError(f"the answer to {source} is not a JSON object")
    return document
