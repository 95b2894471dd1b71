"""A local store put together: its folder, and the packs round it."""

from __future__ import annotations

import os
from pathlib import Path

from registry.dataplane.drivers.local import LocalDriver
from registry.dataplane.drivers.packed import PackedDriver
from registry.dataplane.drivers.port import Transient
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.format import ensure_format, raise_format
from registry.dataplane.index.locks import LockFile
from registry.dataplane.packs.jobs import Jobs
from registry.dataplane.packs.store import Packs
from registry.dataplane.paths import INDEX, INDEX_FILE
from registry.dataplane.sealing.form import SealedForms
from registry.dataplane.sealing.keyring import KeyRing
from registry.dataplane.sealing.records import RecordSealer
from registry.dataplane.settings import DataPlaneSettings
from registry.dataplane.workers import Workers


def open_packed(
    root: Path,
    workers: Workers,
    settings: DataPlaneSettings,
    keys: KeyRing | None = None,
    boot: str | None = None,
) -> PackedDriver:
    """Open the store in `root`; an older one becomes one of this format.

    `keys` are those of sealed domains; `boot` names this boot of the machine, by default as the kernel does.
    Raises StoreError, DriverError, OSError.
    """
    ring = keys or KeyRing(root)
    inner = LocalDriver(root, workers, boot, SealedForms(ring))
    try:
        raise_format(root)
        ring.settle()
        packs = Packs(root, inner.tree, inner.boot, workers, settings, RecordSealer(ring))
        return PackedDriver(inner, packs, Jobs(inner, packs, workers))
    except BaseException:
        inner.close()
        raise


def forget_index(root: Path) -> None:
    """Throw the content index away; the next to open the store makes it anew. Raises Transient, OSError."""
    ensure_format(root)
    tree = Tree(root)
    try:
        lock = LockFile(tree, "open")
        try:
            if not lock.take():
                raise Transient("somebody has the store open; stop the server first")
            with tree.folder((INDEX,)) as folder:
                for name in os.listdir(folder):  # noqa: PTH208
                    if name.startswith(INDEX_FILE):
                        os.unlink(name, dir_fd=folder)
        finally:
            lock.close()
    finally:
        tree.close()
