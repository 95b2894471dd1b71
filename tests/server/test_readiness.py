"""Readiness is told in time, whatever the parts do that are asked."""

from __future__ import annotations

import asyncio
import time

from registry.contract.errors import ErrorKind, StoreError
from registry.server.operations import Readiness


async def well() -> None:
    """Nothing is wrong."""


async def silent() -> None:
    """Goes on to its end although the waiting task is cancelled, as writes to a bucket do."""
    work = asyncio.ensure_future(asyncio.sleep(1))
    while not work.done():
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            continue
    raise StoreError(ErrorKind.UNAVAILABLE, "the object store does not answer")


async def test_a_part_that_cannot_be_interrupted_keeps_nobody_waiting() -> None:
    readiness = Readiness({"database": well, "storage": silent}, patience=0.1)
    begun = time.monotonic()
    ready, detail = await readiness.examine()
    assert time.monotonic() - begun < 0.8
    assert not ready
    checks = detail["checks"]
    assert isinstance(checks, dict)
    assert checks["database"]["ok"]
    assert checks["storage"] == {**checks["storage"], "ok": False, "detail": "no answer within 0.1 seconds"}


async def test_a_part_that_says_what_is_wrong_is_quoted() -> None:
    async def full() -> None:
        raise StoreError(ErrorKind.STORAGE_FULL, "the disk is full")

    async def broken() -> None:
        raise ZeroDivisionError("of the inside")

    ready, detail = await Readiness({"one": full, "other": broken}).examine()
    assert not ready
    checks = detail["checks"]
    assert isinstance(checks, dict)
    assert checks["one"]["detail"] == "the disk is full"
    assert "inside" not in checks["other"]["detail"]
