"""A replica in a process of its own, which does one step of an upload and tells when it is done.

    python -m tests.drivers.s3.replica SETTINGS STEP UPLOAD OFFSET SIZE SEED

SETTINGS are JSON. STEP `append` sends `SIZE` bytes made of SEED and prints the length; `hang` sends them and
then waits for ever in the middle of the body.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator

from registry.contract.dataplane import DEFAULT_DOMAIN, Stage
from registry.dataplane import S3Settings, open_s3

CHUNK = 64 << 10


def content(seed: int, size: int) -> bytes:
    """The bytes that a seed stands for."""
    return random.Random(seed).randbytes(size)


async def _body(data: bytes, *, hang: bool) -> AsyncIterator[bytes]:
    for start in range(0, len(data), CHUNK):
        yield data[start : start + CHUNK]
    if hang:
        await asyncio.sleep(1)  # what was sent is being written
        print("hanging", flush=True)
        await asyncio.Event().wait()


async def _main(where: S3Settings, step: str, upload: str, offset: int, size: int, seed: int) -> None:
    store = await open_s3(where)
    stage = Stage(DEFAULT_DOMAIN, upload)
    reached = await store.append(stage, offset, _body(content(seed, size), hang=step == "hang"))
    print(reached, flush=True)
    await store.close()


if __name__ == "__main__":
    settings, step, upload, offset, size, seed = sys.argv[1:]
    asyncio.run(_main(S3Settings(**json.loads(settings)), step, upload, int(offset), int(size), int(seed)))
