"""Run as a program: forks children that die by SIGKILL before their 1st, 2nd, 3rd … change to the disk.

`python -m tests.dataplane.crashing ROOT SCENARIO` gives every child a store of its own, `ROOT/<n>`, and ends
when a child came through alive. A child writes `ROOT/<n>.acknowledged` when its work was answered.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from registry.contract.dataplane import DEFAULT_DOMAIN, Stage
from registry.dataplane import open_local
from tests.dataplane.support import body

STAGE = Stage(DEFAULT_DOMAIN, "01234567-89ab-cdef-0123-456789abcdef")
DATA = bytes(range(256)) * 400
TINY = b"a manifest, say"
REMOVED = b"another"
#: Every call by which the data plane changes a disk.
CHANGES = (
    "open",
    "mkdir",
    "pwrite",
    "pwritev",
    "write",
    "fdatasync",
    "fsync",
    "rename",
    "unlink",
    "replace",
    "ftruncate",
)


def die_before(step: int) -> None:
    """Let this process be killed where its `step`th change to the disk would begin."""
    left = step

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return change(*args, **options)

        return call

    for name in CHANGES:
        setattr(os, name, counted(getattr(os, name)))


async def upload(root: Path) -> None:
    store = open_local(root)
    await store.append(STAGE, 0, body(DATA[:50_000]))
    await store.append(STAGE, 50_000, body(DATA[50_000:]))
    await store.commit(STAGE, None)
    await store.close()


async def put(root: Path) -> None:
    store = open_local(root)
    await store.put(DEFAULT_DOMAIN, DATA)
    await store.close()


async def tiny(root: Path) -> None:
    """Two uploads at once that share a sync, and the first of them removed."""
    store = open_local(root)
    await store.append(STAGE, 0, body(TINY))
    removed, _, _ = await asyncio.gather(
        store.put(DEFAULT_DOMAIN, REMOVED), store.put(DEFAULT_DOMAIN, TINY), store.commit(STAGE, None)
    )
    await store.remove(DEFAULT_DOMAIN, removed.blake3)
    await store.close()


def child(root: Path, step: int, scenario: str) -> None:
    marker = root / f"{step}.acknowledged"
    die_before(step)
    asyncio.run({"upload": upload, "put": put, "tiny": tiny}[scenario](root / str(step)))
    marker.touch()
    os._exit(0)


def main() -> None:
    root, scenario = Path(sys.argv[1]), sys.argv[2]
    for step in range(1, 1000):
        pid = os.fork()
        if pid == 0:
            child(root, step, scenario)
        _, status = os.waitpid(pid, 0)
        if os.WIFEXITED(status):
            sys.exit(os.WEXITSTATUS(status))
    sys.exit("no child came through")


if __name__ == "__main__":
    main()
