"""Run as a program: forks children that die by SIGKILL before their 1st, 2nd, 3rd … change to the disk.

`python -m tests.dataplane.crashing ROOT SCENARIO FORM STRIDE` tries every STRIDEth step. It gives every child
a store of its own, `ROOT/<n>`, of the form plain or sealed, and ends when a child came through alive. A child
writes `ROOT/<n>.acknowledged` when its work was answered.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from registry.contract.dataplane import DEFAULT_DOMAIN, Packing, Stage
from registry.contract.digest import Algorithm, Digest
from registry.dataplane import open_local
from registry.dataplane.paths import KEYS
from tests.dataplane.packed import SMALL
from tests.dataplane.placed import SHELF, TAPE, answer_requests, open_placed, prepare_places
from tests.dataplane.sealed import keys_in
from tests.dataplane.support import body

STAGE = Stage(DEFAULT_DOMAIN, "01234567-89ab-cdef-0123-456789abcdef")
DATA = bytes(range(256)) * 400
TINY = b"a manifest, say"
REMOVED = b"another"
_noise = random.Random(1).randbytes
_SHARED = _noise(40_000)
#: What the packing scenario must never lose.
KEPT = (_SHARED + _noise(9000), b"tiny", _noise(5000) + _SHARED, bytes(30_000), b"tiny too")
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
    store = open_local(root, keys=keys_in(root))
    await store.append(STAGE, 0, body(DATA[:50_000]))
    await store.append(STAGE, 50_000, body(DATA[50_000:]))
    await store.commit(STAGE, None)
    await store.close()


async def put(root: Path) -> None:
    store = open_local(root, keys=keys_in(root))
    await store.put(DEFAULT_DOMAIN, DATA)
    await store.close()


async def tiny(root: Path) -> None:
    """Two uploads at once that share a sync, and the first of them removed."""
    store = open_local(root, keys=keys_in(root))
    await store.append(STAGE, 0, body(TINY))
    removed, _, _ = await asyncio.gather(
        store.put(DEFAULT_DOMAIN, REMOVED), store.put(DEFAULT_DOMAIN, TINY), store.commit(STAGE, None)
    )
    await store.remove(DEFAULT_DOMAIN, removed.blake3)
    await store.close()


async def prepare_packing(root: Path) -> None:
    """Loose and tiny blobs, some packed already, and one packed that is removed."""
    store = open_local(root, settings=SMALL, keys=keys_in(root))
    for data in (*KEPT[:2], REMOVED):
        await store.put(DEFAULT_DOMAIN, data)
    async for _ in store.pack(Packing()):
        pass
    for data in KEPT[2:]:
        await store.put(DEFAULT_DOMAIN, data)
    await store.remove(DEFAULT_DOMAIN, Digest.of(REMOVED, Algorithm.BLAKE3))
    await store.close()


async def packing(root: Path) -> None:
    store = open_local(root, settings=SMALL, keys=keys_in(root))
    async for _ in store.pack(Packing()):
        pass
    async for _ in store.rewrite(0.0, 0):
        pass
    await store.close()


async def prepare_moving(root: Path) -> None:
    root.mkdir(exist_ok=True)
    await prepare_places(root)
    store = open_placed(root, keys=keys_in(root))
    await store.put(DEFAULT_DOMAIN, DATA)
    await store.close()


async def moving(root: Path) -> None:
    """Content to the shelf, on to the tape, and from there back."""
    address = Digest.of(DATA, Algorithm.BLAKE3)
    store = open_placed(root, keys=keys_in(root))
    for to, source in ((SHELF, "local"), (TAPE, SHELF)):
        await store.copy(DEFAULT_DOMAIN, address, to)
        await store.release(DEFAULT_DOMAIN, address, source)
    await store.restore(DEFAULT_DOMAIN, address)
    answer_requests(root / TAPE)
    await store.copy(DEFAULT_DOMAIN, address, "local")
    await store.release(DEFAULT_DOMAIN, address, TAPE)
    await store.close()


SCENARIOS = {"upload": upload, "put": put, "tiny": tiny, "packing": packing, "moving": moving}
PREPARE = {"packing": prepare_packing, "moving": prepare_moving}


def child(root: Path, step: int, scenario: str, form: str) -> None:
    marker = root / f"{step}.acknowledged"
    if form == "sealed":
        (root / str(step) / KEYS).mkdir(parents=True)
    if scenario in PREPARE:
        asyncio.run(PREPARE[scenario](root / str(step)))
    die_before(step)
    asyncio.run(SCENARIOS[scenario](root / str(step)))
    marker.touch()
    os._exit(0)


def main() -> None:
    root, scenario, form, stride = Path(sys.argv[1]), *sys.argv[2:]
    for step in range(1, 1000, int(stride)):
        pid = os.fork()
        if pid == 0:
            child(root, step, scenario, form)
        _, status = os.waitpid(pid, 0)
        if os.WIFEXITED(status):
            sys.exit(os.WEXITSTATUS(status))
    sys.exit("no child came through")


if __name__ == "__main__":
    main()
