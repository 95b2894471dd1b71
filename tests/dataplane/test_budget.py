"""Memory of many uploads at once, measured at the budget, and that nobody waits for a slow client."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.contract.digest import Algorithm, Digest
from registry.dataplane import DataPlaneSettings
from registry.dataplane.drivers.port import Piece
from registry.dataplane.intake import Budget, Intake
from tests.dataplane.support import KINDS, Held, body, content_of, new_stage, open_engine

CHUNK = 64 << 10


async def chunks(seed: int, count: int) -> AsyncIterator[bytes]:
    """`count` chunks of CHUNK bytes that give others their turn in between, as a socket would."""
    for number in range(count):
        await asyncio.sleep(0)
        yield hashlib.shake_128(b"%d %d" % (seed, number)).digest(64) * (CHUNK // 64)


@pytest.mark.parametrize("kind", KINDS)
async def test_64_uploads_at_once_stay_within_the_budget(tmp_path: Path, kind: str) -> None:
    total = 2 << 20
    store = open_engine(kind, tmp_path, DataPlaneSettings(buffer_budget=total))
    stages = [new_stage() for _ in range(64)]
    await asyncio.gather(*(store.append(stage, 0, chunks(n, 20)) for n, stage in enumerate(stages)))
    assert total // 2 < store.budget.high_water <= total + 64 * CHUNK
    assert store.budget.held == 0
    for number, stage in enumerate(stages):
        data = b"".join([chunk async for chunk in chunks(number, 20)])
        await store.commit(stage, Digest.of(data, Algorithm.SHA256))
    await store.close()


async def test_slow_clients_that_fill_the_budget_starve_nobody(tmp_path: Path) -> None:
    """64 clients send a little each, more than the budget in all, and stall; another goes through."""
    store = open_engine("local", tmp_path, DataPlaneSettings(buffer_budget=1 << 20))
    slow = [Held(bytes(32 << 10)) for _ in range(64)]
    waiting = [asyncio.create_task(store.append(new_stage(), 0, held)) for held in slow]
    for held in slow:
        await held.reached.wait()
    stage = new_stage()
    assert await store.append(stage, 0, chunks(1, 50)) == 50 * CHUNK
    assert store.budget.high_water <= (1 << 20) + 65 * CHUNK
    for held in slow:
        held.go_on.set()
    assert await asyncio.gather(*waiting) == [32 << 10] * 64
    await store.close()


async def test_one_chunk_larger_than_the_budget_goes_through(tmp_path: Path) -> None:
    store = open_engine("local", tmp_path, DataPlaneSettings(buffer_budget=100_000))
    stage, data = new_stage(), bytes(5_000_000)
    await store.append(stage, 0, body(data))
    assert await store.commit(stage, None) == content_of(data)
    await store.close()


@pytest.mark.parametrize("size", [CHUNK, 100_000, 3 << 20])
async def test_batches_are_whole_and_at_most_a_mebibyte(size: int) -> None:
    """A fast body is written in batches of exactly 1 MiB, of which never more than two are held."""
    sizes: list[int] = []

    async def write(pieces: list[Piece]) -> None:
        await asyncio.sleep(0)
        sizes.append(sum(len(piece) for piece in pieces))

    budget = Budget(64 << 20, 1 << 20)
    intake = Intake(budget, write)
    for _ in range(10_000_000 // size):
        await intake.add(bytes(size))
    await intake.finish()
    assert set(sizes[:-1]) == {1 << 20}
    assert sum(sizes) == 10_000_000 // size * size
    assert budget.high_water <= (2 << 20) + size
    assert budget.held == 0


async def test_a_failing_write_gives_its_bytes_back() -> None:
    async def write(pieces: list[Piece]) -> None:
        raise OSError("no")

    budget = Budget(1 << 20, 100)
    intake = Intake(budget, write)
    with pytest.raises(OSError):
        for _ in range(10):
            await intake.add(bytes(1000))
    with pytest.raises(OSError):
        await intake.finish()
    assert budget.held == 0
