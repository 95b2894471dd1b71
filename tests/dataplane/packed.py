"""Stores with small packs and chunks, and a look at what is on their disk."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from registry.dataplane import DataPlaneSettings, rebuild_index
from registry.dataplane.engine import Engine
from tests.dataplane.sealed import keys_in
from tests.dataplane.support import open_engine

SMALL = DataPlaneSettings(
    patience=0.05,
    threads=4,
    tiny_bytes=2000,
    pack_bytes=300_000,
    chunk_least=2 << 10,
    chunk_average=8 << 10,
    chunk_most=32 << 10,
)


def open_small(root: Path) -> Engine:
    return open_engine("local", root, SMALL)


def rebuild(root: Path) -> None:
    """Make the index of such a store anew."""
    rebuild_index(root, settings=SMALL, keys=keys_in(root))


def loose_files(root: Path) -> list[Path]:
    return sorted(path for path in (root / "content").rglob("*") if path.is_file())


def pack_files(root: Path) -> list[Path]:
    return sorted((root / "packs").rglob("*.pack"))


def flip(path: Path, position: int) -> None:
    """Flip one bit of a file."""
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 4]))


def dump(root: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What the index of a closed store says, without the numbers it gave by itself."""
    connection = sqlite3.connect(root / "index" / "content.sqlite")
    try:
        return {
            "packs": sorted(
                connection.execute("SELECT hex(uuid), domain, state, size, payload, live FROM packs")
            ),
            "objects": sorted(
                connection.execute(
                    "SELECT d.name, hex(o.address), hex(p.uuid), o.offset, o.stored, o.raw, o.kind "
                    "FROM objects o JOIN packs p ON p.id = o.pack JOIN domains d ON d.id = o.domain"
                )
            ),
            "chunks": sorted(
                connection.execute(
                    "SELECT d.name, hex(c.digest), hex(p.uuid), c.offset, c.stored, c.raw, c.kind, c.refs "
                    "FROM chunks c LEFT JOIN packs p ON p.id = c.pack JOIN domains d ON d.id = c.domain"
                )
            ),
        }
    finally:
        connection.close()
