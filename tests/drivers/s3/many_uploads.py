"""64 uploads of 16 MiB at once in a process of its own; prints what memory they took, in MiB.

python -m tests.drivers.s3.many_uploads SETTINGS COUNT MIB
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from registry.contract.digest import Algorithm, Digest
from registry.dataplane import S3Settings, open_s3
from registry.dataplane.drivers.s3.driver import S3Driver
from registry.dataplane.engine import Engine
from tests.dataplane.support import new_stage

CHUNK = 64 << 10


async def _body(number: int, mib: int) -> AsyncIterator[bytes]:
    for at in range(mib * (1 << 20) // CHUNK):
        await asyncio.sleep(0)
        yield hashlib.shake_128(b"%d %d" % (number, at)).digest(64) * (CHUNK // 64)


async def _digest(number: int, mib: int) -> Digest:
    digest = hashlib.sha256()
    async for piece in _body(number, mib):
        digest.update(piece)
    return Digest(Algorithm.SHA256, digest.hexdigest())


def _peak() -> float:
    """Of this process alone: what getrusage tells begins with the parent's."""
    (line,) = [
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    ]
    return int(line.split()[1]) / 1024


async def _main(where: S3Settings, count: int, mib: int) -> None:
    store = await open_s3(where)
    assert isinstance(store, Engine)
    driver = store._remote
    assert isinstance(driver, S3Driver)
    warm = new_stage()
    await store.append(warm, 0, _body(-1, 1))
    await store.commit(warm, None)
    before = _peak()

    async def push(number: int) -> None:
        stage = new_stage()
        await store.append(stage, 0, _body(number, mib))
        await store.commit(stage, await _digest(number, mib))

    await asyncio.gather(*(push(number) for number in range(count)))
    print(
        json.dumps(
            {
                "before": before,
                "growth": _peak() - before,
                "buffers": driver.buffers.high_water / (1 << 20),
                "bodies": store.budget.high_water / (1 << 20),
            }
        )
    )
    await store.close()


if __name__ == "__main__":
    settings, count, mib = sys.argv[1:]
    asyncio.run(_main(S3Settings(**json.loads(settings)), int(count), int(mib)))
