"""Stages of earlier boots: cut to what surely reached the disk, and taken over (why: see staging.py)."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from registry.dataplane.drivers.staging import durable_mark
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.paths import STAGING


def adopt(tree: Tree, boot: str) -> None:
    """Bring the stages of earlier boots to what surely reached the disk, and into this boot's folder."""
    with tree.folder((STAGING,), make=True) as staging, _locked(staging):
        for former in tree.names((STAGING,)):
            if former != boot:
                with suppress(NotADirectoryError):
                    _adopt_boot(tree, former, boot)
                with suppress(OSError):
                    os.rmdir(former, dir_fd=staging)


@contextmanager
def _locked(folder: int) -> Iterator[None]:
    fcntl.flock(folder, fcntl.LOCK_EX)  # released with the descriptor's close, also by a crash
    try:
        yield
    finally:
        fcntl.flock(folder, fcntl.LOCK_UN)


def _adopt_boot(tree: Tree, former: str, boot: str) -> None:
    for domain in tree.names((STAGING, former)):
        with (
            tree.folder((STAGING, former, domain)) as source,
            tree.folder((STAGING, boot, domain), make=True) as target,
        ):
            for name in os.listdir(source):  # noqa: PTH208
                _adopt_stage(name, source, target)
        with tree.folder((STAGING, former)) as parent, suppress(OSError):
            os.rmdir(domain, dir_fd=parent)


def _adopt_stage(name: str, source: int, target: int) -> None:
    try:
        fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
    except OSError:  # a planted symlink or folder is left to a person
        return
    try:
        status = os.fstat(fd)
        durable = durable_mark(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1 or durable == 0:
            os.unlink(name, dir_fd=source)
            return
        os.ftruncate(fd, durable)
        os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
    finally:
        os.close(fd)
