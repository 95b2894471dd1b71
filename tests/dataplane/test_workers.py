"""Threads: a cancelled caller outlasts the work it began, and receives nothing that nobody will close."""

from __future__ import annotations

import asyncio
import threading

import pytest

from registry.contract.errors import StoreError
from registry.dataplane.workers import Workers, uninterrupted
from tests.drivers.leftovers import threads


async def test_a_cancelled_caller_waits_for_the_work_and_undoes_it() -> None:
    workers = Workers(1)
    begun, go_on = threading.Event(), threading.Event()
    undone: list[str] = []

    def work() -> str:
        begun.set()
        go_on.wait()
        return "a descriptor"

    task = asyncio.create_task(workers.run(work, undo=undone.append))
    while not begun.is_set():
        await asyncio.sleep(0.001)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert undone == ["a descriptor"]
    workers.close()
    assert threads() == []


async def test_work_that_never_began_never_begins() -> None:
    workers = Workers(1)
    go_on = threading.Event()
    ran: list[int] = []
    first = asyncio.create_task(workers.run(go_on.wait))
    second = asyncio.create_task(workers.run(lambda: ran.append(1)))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    go_on.set()
    assert await first
    workers.close()
    assert ran == []


async def test_closed_workers_say_so() -> None:
    workers = Workers(1)
    workers.close()
    with pytest.raises(StoreError, match="closed"):
        await workers.run(lambda: None)


async def test_uninterrupted_ends_first_and_is_cancelled_then() -> None:
    inner: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(uninterrupted(inner))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    inner.set_result(1)
    with pytest.raises(asyncio.CancelledError):
        await task
