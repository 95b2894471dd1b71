"""Several who have a store open do everything at once, and each finds it as the others left it."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import time
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN, Packing
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.engine import Engine
from registry.dataplane.packs import store as packs_store
from tests.dataplane.packed import dump, open_small, pack_files, rebuild
from tests.dataplane.support import read_all

SECONDS = float(os.environ.get("TOGETHER_SECONDS", "4"))
SEED = int(os.environ.get("TOGETHER_SEED", "1"))


class Blob:
    """One content, and whether the store must hold it: known to whoever has the lock."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.address = Digest.of(data, Algorithm.BLAKE3)
        self.held = False
        self.lock = asyncio.Lock()


async def put(store: Engine, blob: Blob) -> None:
    await store.put(DEFAULT_DOMAIN, blob.data)
    blob.held = True


async def remove(store: Engine, blob: Blob) -> None:
    await store.remove(DEFAULT_DOMAIN, blob.address)
    blob.held = False


async def suspect(store: Engine, blob: Blob) -> None:
    """Nothing is corrupt here, so nothing may go."""
    await store.quarantine(DEFAULT_DOMAIN, blob.address)


async def read(store: Engine, blob: Blob) -> None:
    try:
        assert await read_all(store, blob.address) == blob.data
        assert blob.held, "back again"
    except StoreError as error:
        assert error.kind is ErrorKind.CONTENT_UNKNOWN, error
        assert not blob.held, f"lost: {error}"


async def work(stores: list[Engine], blobs: list[Blob], chance: random.Random, end: float) -> None:
    while time.monotonic() < end:
        blob, store = chance.choice(blobs), chance.choice(stores)
        (act,) = chance.choices((put, remove, suspect, read), (9, 3, 1, 7))
        async with blob.lock:
            await act(store, blob)


async def tidy(stores: list[Engine], chance: random.Random, end: float) -> None:
    while time.monotonic() < end:
        store = chance.choice(stores)
        try:
            if chance.random() < 0.5:
                assert [step.fault async for step in store.pack(Packing()) if step.fault] == []
            else:
                async for _ in store.rewrite(chance.choice((0.0, 0.1, 0.3)), 0):
                    pass
        except StoreError as error:
            assert error.kind is ErrorKind.UNAVAILABLE, error  # another packs or rewrites
        await asyncio.sleep(0.01)


@pytest.mark.slow
async def test_puts_reads_removals_packing_and_rewriting_at_once(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    shared = chance.randbytes(60_000)
    blobs = []
    for _ in range(60):
        size = chance.choice((10, 500, 1500, 5000, 30_000))
        blobs.append(Blob(shared[: chance.choice((0, chance.randrange(60_000)))] + chance.randbytes(size)))
    stores = [open_small(tmp_path) for _ in range(3)]
    end = time.monotonic() + SECONDS
    workers = [work(stores, blobs, chance, end) for _ in range(12)]
    await asyncio.gather(*workers, *(tidy(stores, chance, end) for _ in range(2)))
    for store in stores:
        for blob in blobs:
            await read(store, blob)
        await store.close()
    found = dump(tmp_path)
    assert {path.stem for path in pack_files(tmp_path)} == {row[0].lower() for row in found["packs"]}
    rebuild(tmp_path)
    assert dump(tmp_path) == found
    store = open_small(tmp_path)
    for blob in blobs:
        await read(store, blob)
    await store.close()


async def test_packs_that_another_deleted_are_not_kept_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their bytes would take room on the disk as long as this process lives."""
    monkeypatch.setattr(packs_store, "_TIDY", 0.01)
    one, two = open_small(tmp_path), open_small(tmp_path)
    content = await one.put(DEFAULT_DOMAIN, os.urandom(60_000))
    async for _ in one.pack(Packing()):
        pass
    await read_all(two, content)
    await one.remove(DEFAULT_DOMAIN, content.blake3)
    async for _ in one.rewrite(0.0, 0):
        pass
    async with asyncio.timeout(5):
        while any("(deleted)" in path for path in _opened(tmp_path)):
            await asyncio.sleep(0.01)
    await one.close()
    await two.close()


def _opened(root: Path) -> list[str]:
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.append(os.readlink(entry))
        except FileNotFoundError:
            continue
    return [path for path in found if path.startswith(str(root))]


async def test_opening_looks_at_no_more_packs_than_are_at_work(tmp_path: Path) -> None:
    """A start costs the same whatever is stored: SQLite finds those few by an index of their own."""
    store = open_small(tmp_path)
    await store.put(DEFAULT_DOMAIN, b"x")
    asked: list[str] = []
    walks: sqlite3.Connection = store._driver._inner._packs.index._walks._connection  # type: ignore[attr-defined]
    walks.set_trace_callback(asked.append)
    store._driver._inner._packs._recover(False)  # type: ignore[attr-defined]
    walks.set_trace_callback(None)
    assert asked
    for statement in asked:
        (plan,) = walks.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
        assert "packs_at_work" in plan[3]
    await store.close()
