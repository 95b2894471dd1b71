"""SIGKILL at every step: what was answered is there, what was not is a stage or nothing, and it goes on."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN, Packing, RestoreStatus
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane import open_local, rebuild_index
from tests.dataplane.crashing import DATA, KEPT, REMOVED, STAGE, TINY
from tests.dataplane.packed import SMALL, dump, loose_files, pack_files, rebuild
from tests.dataplane.placed import SHELF, TAPE, answer_requests, held_at, open_placed
from tests.dataplane.sealed import keys_in
from tests.dataplane.support import all_stages, body, content_of, read_all

EXPECTED = content_of(DATA)


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    """A folder of a memory file system where there is one: a killed process needs no slow disk."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else tmp_path) as folder:
        yield Path(folder)


def crash_at_every_step(root: Path, scenario: str, form: str, stride: int = 1) -> list[Path]:
    """One store for every step that a child died before, the last one of a child that came through."""
    command = [sys.executable, "-m", "tests.dataplane.crashing", str(root), scenario, form, str(stride)]
    subprocess.run(command, check=True, timeout=120)
    return sorted((path for path in root.iterdir() if path.is_dir()), key=lambda path: int(path.name))


@pytest.mark.parametrize("scenario", ["upload", "put"])
async def test_killed_before_any_step(in_memory: Path, scenario: str, form: str) -> None:
    stores = crash_at_every_step(in_memory, scenario, form)
    assert len(stores) > 20
    outcomes = set()
    for root in stores:
        store = open_local(root, keys=keys_in(root))
        held = [address async for _, address, _ in store.contents()]
        stages = await all_stages(store)
        outcomes.add((len(held), len(stages)))
        assert held in ([], [EXPECTED.blake3])
        assert len(stages) <= 1
        if held:
            assert await read_all(store, EXPECTED) == DATA
        else:
            assert not root.with_suffix(".acknowledged").exists()
        if scenario == "upload":
            offset = (await store.staged(STAGE)).offset
            if not held:
                assert offset in (0, 50_000, len(DATA))
            await store.append(STAGE, offset, body(DATA[offset:]))
            assert await store.commit(STAGE, EXPECTED.sha256) == EXPECTED
        assert await store.put(DEFAULT_DOMAIN, DATA) == EXPECTED
        assert (await store.verify(DEFAULT_DOMAIN, EXPECTED.blake3)).fault is None
        await store.close()
    assert stores[-1].with_suffix(".acknowledged").exists()
    assert {(0, 0), (0, 1), (1, 0)} <= outcomes


@pytest.mark.slow
async def test_content_on_the_move_killed_at_any_time(in_memory: Path) -> None:
    """It is somewhere at every moment, whole, and the next who moves it finishes the work."""
    address = EXPECTED.blake3
    stores = crash_at_every_step(in_memory, "moving", "plain", stride=5)
    assert len(stores) > 60
    outcomes = set()
    for root in stores:
        store = open_placed(root)
        outcomes.add(frozenset(await held_at(store, DEFAULT_DOMAIN, address)))
        assert await store.size(DEFAULT_DOMAIN, address) == EXPECTED.size
        if await store.restore(DEFAULT_DOMAIN, address) is not RestoreStatus.AVAILABLE:
            answer_requests(root / TAPE)
        assert await read_all(store, EXPECTED) == DATA
        await store.copy(DEFAULT_DOMAIN, address, SHELF)
        for name in ("local", TAPE):
            await store.release(DEFAULT_DOMAIN, address, name)
        assert await read_all(store, EXPECTED) == DATA
        assert await held_at(store, DEFAULT_DOMAIN, address) == {SHELF}
        await store.reap(time.time_ns() // 1000 + 1)
        await store.close()
        left = [path for path in (root / TAPE).rglob("*") if address.hex in path.name]
        # After a crash nobody knows any more whether it was on a tape.
        assert {path.relative_to(root / TAPE).parts[0] for path in left} <= {"deletions"}
    assert {frozenset(names) for names in (["local"], [SHELF], [SHELF, TAPE], [TAPE])} <= outcomes


async def test_tiny_blobs_killed_before_any_step(in_memory: Path, form: str) -> None:
    """Answered is there, whatever is there is whole, and an index made anew from the packs says the same."""
    stores = crash_at_every_step(in_memory, "tiny", form)
    assert len(stores) > 20
    outcomes = set()
    for root in stores:
        store = open_local(root, keys=keys_in(root))
        held = {address async for _, address, _ in store.contents()}
        outcomes.add(len(held))
        for address in held:
            assert (await store.verify(DEFAULT_DOMAIN, address)).fault is None
        await store.close()
        rebuild_index(root, keys=keys_in(root))
        again = open_local(root, keys=keys_in(root))
        assert {address async for _, address, _ in again.contents()} == held
        if root.with_suffix(".acknowledged").exists():
            assert held == {content_of(TINY).blake3}
        for data in (TINY, REMOVED):
            assert await again.put(DEFAULT_DOMAIN, data) == content_of(data)
            assert await read_all(again, content_of(data)) == data
        await again.close()
    assert stores[-1].with_suffix(".acknowledged").exists()
    assert outcomes == {0, 1, 2}


async def test_packing_and_rewriting_killed_before_any_step(in_memory: Path, form: str) -> None:
    """Nothing lost, nothing back, nothing left behind, and the next run finishes the work."""
    stores = crash_at_every_step(in_memory, "packing", form)
    assert len(stores) > 20
    expected = {content_of(data).blake3 for data in KEPT}
    loose = set()
    for root in stores:
        store = open_local(root, settings=SMALL, keys=keys_in(root))
        loose.add(len(loose_files(root)))
        assert {address async for _, address, _ in store.contents()} == expected
        for data in KEPT:
            assert await read_all(store, content_of(data)) == data
        assert [step.fault async for step in store.pack(Packing()) if step.fault] == []
        assert [step async for step in store.rewrite(0.0, 0)] != []
        assert loose_files(root) == []
        await store.close()
        found = dump(root)
        assert {path.stem for path in pack_files(root)} == {row[0].lower() for row in found["packs"]}
        rebuild(root)
        assert dump(root) == found
    assert stores[-1].with_suffix(".acknowledged").exists()
    assert {0, 2} <= loose


async def test_a_store_killed_while_it_was_made_opens(tmp_path: Path) -> None:
    """Without its format file there is nothing in it yet, so nothing to repair."""
    (tmp_path / ".FORMAT").write_text("artifact-st")
    store = open_local(tmp_path)
    assert not (tmp_path / ".FORMAT").exists()
    with pytest.raises(StoreError) as absent:
        await store.size(DEFAULT_DOMAIN, EXPECTED.blake3)
    assert absent.value.kind is ErrorKind.CONTENT_UNKNOWN
    await store.close()
