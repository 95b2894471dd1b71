"""Memory does not grow with the number of uploads nor with their size."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys

import pytest

from registry.dataplane import S3Settings
from tests.objectstore.asking import keys, unfinished

pytestmark = pytest.mark.slow


async def test_64_uploads_of_16_mib_at_once(s3: S3Settings) -> None:
    """With the default budget of 64 MiB: the process grows by that, and what the interpreter adds."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.drivers.s3.many_uploads",
        json.dumps(dataclasses.asdict(s3)),
        "64",
        "16",
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    found = json.loads(output)
    print(found)
    assert found["bodies"] <= 16 + 64 / 16  # a quarter of the budget, and a chunk for each upload
    assert found["buffers"] <= 48
    assert found["growth"] <= 90
    assert not any(key.startswith("uploads/") for key in await keys(s3))
    assert await unfinished(s3) == []
