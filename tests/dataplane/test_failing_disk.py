"""Every call by which packs, log and index change a disk fails once: who was told it failed may try again.

After it nothing that was answered is gone, nothing that was refused is left behind, and the index says what
one made anew says.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN, Packing
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.drivers.port import Full
from registry.dataplane.engine import Engine
from registry.dataplane.index.port import Change
from registry.dataplane.index.sqlite import SqliteIndex
from tests.dataplane.packed import dump, open_small, pack_files, rebuild
from tests.dataplane.support import all_stages, read_all

pytestmark = pytest.mark.slow

_noise = random.Random(7).randbytes
_SHARED = _noise(40_000)
KEPT = (_SHARED + _noise(9000), b"tiny", _noise(5000) + _SHARED, bytes(30_000), _noise(900))
GONE = (_SHARED + _noise(7000), b"tiny and gone")
CALLS = ("open", "mkdir", "pwrite", "pwritev", "fdatasync", "fsync", "rename", "unlink", "ftruncate")
ERRORS = (errno.ENOSPC, errno.EIO, errno.EMFILE)


class Failing:
    """Lets `left` calls pass, fails one, and lets all others pass."""

    def __init__(self, error: Callable[[], Exception]) -> None:
        self._error = error
        self._lock = threading.Lock()
        self.left = -1

    def meet(self) -> None:
        with self._lock:
            if self.left < 0:
                return
            self.left -= 1
            if self.left < 0:
                raise self._error()


def address(data: bytes) -> Digest:
    return Digest.of(data, Algorithm.BLAKE3)


async def tried(work: Callable[[], Awaitable[object]]) -> None:
    """Do it; where it fails, once more."""
    try:
        await work()
    except StoreError as error:
        assert error.kind in (ErrorKind.STORAGE_FULL, ErrorKind.UNAVAILABLE), error
        await work()


async def pack(store: Engine) -> None:
    assert [step.fault async for step in store.pack(Packing()) if step.fault] == []


async def rewrite(store: Engine) -> None:
    async for _ in store.rewrite(0.0, 0):
        pass


async def story(store: Engine) -> None:
    """Puts at once, packing, removals, and a rewrite."""
    for data in KEPT[2:]:
        await tried(lambda data=data: store.put(DEFAULT_DOMAIN, data))  # type: ignore[misc]
    await tried(lambda: pack(store))
    for data in GONE:
        await tried(lambda data=data: store.remove(DEFAULT_DOMAIN, address(data)))  # type: ignore[misc]
    await tried(lambda: rewrite(store))


async def prepare(root: Path) -> None:
    store = open_small(root)
    await asyncio.gather(*(store.put(DEFAULT_DOMAIN, data) for data in KEPT[:2] + GONE))
    await pack(store)
    await store.close()


async def check(root: Path) -> None:
    """The store is as if nothing had failed, now and by its packs alone."""
    for again in (False, True):
        store = open_small(root)
        assert {found async for _, found, _ in store.contents()} == {address(data) for data in KEPT}
        for data in KEPT:
            assert await read_all(store, address(data)) == data
        assert await all_stages(store) == []
        await store.close()
        found = dump(root)
        assert {path.stem for path in pack_files(root)} == {row[0].lower() for row in found["packs"]}
        if not again:
            rebuild(root)
            assert dump(root) == found


async def sweep(root: Path, failing: Failing, first: int = 0, every: int = 1) -> int:
    """Tell the story with the call `first` failing, and then with each `every`th that follows; how many calls
    there were."""
    await prepare(root / "prepared")
    for step in range(first, 1000, every):
        here = root / str(step)
        shutil.copytree(root / "prepared", here)
        store = open_small(here)
        failing.left = step
        await story(store)
        met = failing.left < 0
        failing.left = -1
        await store.close()
        await check(here)
        shutil.rmtree(here)
        if not met:
            return step
    raise AssertionError("the story has no end")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(len(ERRORS)))
async def test_any_call_to_the_kernel_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    """Each call with one of the errors: what is done about it depends little on which."""
    failing = Failing(lambda: OSError(ERRORS[first], "injected"))

    def faulty(call: Callable[..., Any]) -> Callable[..., Any]:
        def met(*args: Any, **options: Any) -> Any:
            failing.meet()
            return call(*args, **options)

        return met

    for name in CALLS:
        monkeypatch.setattr(os, name, faulty(getattr(os, name)))
    assert await sweep(tmp_path, failing, first, len(ERRORS)) > 30


@pytest.mark.timeout(600)
@pytest.mark.parametrize("committed", [False, True])
async def test_any_change_of_the_index_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    """Also one of which the commit says that it failed although it did not."""
    failing = Failing(lambda: Full("content index: injected"))
    real = SqliteIndex.change

    @contextmanager
    def change(index: SqliteIndex) -> Iterator[Change]:
        with real(index) as changing:
            yield changing
            if not committed:
                failing.meet()
        if committed:
            failing.meet()

    monkeypatch.setattr(SqliteIndex, "change", change)
    assert await sweep(tmp_path, failing) > 10
