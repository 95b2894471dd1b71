"""Stores whose domains are sealed, and a look for plaintext on their disk."""

from __future__ import annotations

import base64
from pathlib import Path

from registry.dataplane import KeyRing, LocalProvider

KEK = bytes(range(32))
#: Bytes that sealing adds to a record.
SEAL = 56


def sealing(root: Path) -> KeyRing:
    """Keys with which every domain is sealed."""
    return KeyRing(root, LocalProvider(KEK), sealed=lambda domain: True)


def keys_in(root: Path) -> KeyRing | None:
    """The keys of a store in a folder where the fixture `form` said that it is sealed."""
    return sealing(root) if (root / "keys").is_dir() else None


def traces(root: Path, canary: bytes) -> list[Path]:
    """Files below `root` that have the canary in them: as it is, in hexadecimal digits, in base64."""
    begin = [canary[at:][: len(canary) // 3 * 3 - 3] for at in range(3)]  # wherever base64 begins
    forms = (canary, canary.hex().encode(), canary.hex().upper().encode(), *map(base64.b64encode, begin))
    found = []
    for path in root.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            if any(form in data for form in forms):
                found.append(path)
    return found
