"""Stores in a bucket, and bodies, for the tests of what only S3 can get wrong."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from registry.dataplane import DataPlaneSettings, S3Settings, open_s3
from registry.dataplane.engine import Engine

MIB = 1 << 20
QUICK = DataPlaneSettings(threads=4, patience=0.05)


@asynccontextmanager
async def opened(where: S3Settings, settings: DataPlaneSettings = QUICK) -> AsyncIterator[Engine]:
    """A store, closed afterwards with nothing held."""
    engine = await open_s3(where, settings=settings)
    assert isinstance(engine, Engine)
    try:
        yield engine
        assert engine.budget.held == 0
    finally:
        await engine.close()


async def pieces(data: bytes, size: int = 64 << 10) -> AsyncIterator[bytes]:
    """`data` as a socket would bring it."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


def some(size: int) -> bytes:
    """Bytes that nobody has seen."""
    return os.urandom(size)
