"""After a crash or a power loss: what was acknowledged is there, and the index follows the packs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN, Content, DomainId, Packing, Place
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.drivers.guard import Guard
from registry.dataplane.drivers.opening import open_packed
from registry.dataplane.engine import Engine
from registry.dataplane.packs.recovery import Recovered
from registry.dataplane.packs.scanning import footer_entries
from registry.dataplane.settings import ignore
from registry.dataplane.workers import Workers
from tests.dataplane.packed import SMALL, dump, flip, open_small, pack_files, rebuild
from tests.dataplane.sealed import keys_in
from tests.dataplane.support import read_all

pytestmark = pytest.mark.usefixtures("form")

OTHER = DomainId("other")


@asynccontextmanager
async def booted(root: Path, boot: str) -> AsyncIterator[tuple[Engine, Recovered]]:
    """The store as opened in a certain boot of the machine, and what opening had to do."""
    workers = Workers(2)
    driver = open_packed(root, workers, SMALL, keys_in(root), boot=boot)
    engine = Engine(Guard(driver, ignore, 8), workers, SMALL, Place("local"), driver.jobs)
    try:
        yield engine, driver._packs.recovered
    finally:
        await engine.close()


async def put_some(store: Engine, count: int = 5) -> list[Content]:
    return [await store.put(DEFAULT_DOMAIN, os.urandom(1000)) for _ in range(count)]


async def held(store: Engine) -> set[str]:
    found = set()
    async for domain, address, _ in store.contents():
        assert (await store.verify(domain, address)).fault is None
        found.add(address.hex)
    return found


def hexes(contents: list[Content]) -> set[str]:
    return {content.blake3.hex for content in contents}


def crashed(root: Path, to: Path) -> Path:
    """The disk as it would be found if every process died now."""
    return Path(shutil.copytree(root, to))


@pytest.mark.parametrize("tail", [b"", b"\xf5rec", bytes(5000), os.urandom(5000)])
@pytest.mark.parametrize("with_index", [True, False])
async def test_an_unfinished_log_is_read_to_its_end_and_closed(
    tmp_path: Path, tail: bytes, with_index: bool
) -> None:
    """Behind what was synced may be anything that power loss makes of unsynced writes."""
    async with booted(tmp_path / "store", "one") as (store, _):
        contents = await put_some(store)
        copy = crashed(tmp_path / "store", tmp_path / "copy")
    (log,) = pack_files(copy)
    with log.open("ab") as file:
        file.write(tail)
    if not with_index:
        shutil.rmtree(copy / "index")
    async with booted(copy, "two") as (store, recovered):
        assert recovered.closed == 1
        assert await held(store) == hexes(contents)
        more = await put_some(store, 1)
    async with booted(copy, "three") as (store, recovered):
        assert recovered == Recovered()
        assert await held(store) == hexes(contents + more)


async def test_a_record_whose_bytes_were_lost_is_left_out_and_those_round_it_stay(tmp_path: Path) -> None:
    async with booted(tmp_path / "store", "one") as (store, _):
        contents = await put_some(store)
        copy = crashed(tmp_path / "store", tmp_path / "copy")
    shutil.rmtree(copy / "index")
    (log,) = pack_files(copy)
    flip(log, 132 + 2 * (88 + 1000) + 500)
    async with booted(copy, "two") as (store, _):
        assert await held(store) == hexes(contents[:2] + contents[3:])


async def test_a_log_of_a_killed_process_is_finished_by_the_next(tmp_path: Path) -> None:
    async with booted(tmp_path / "store", "one") as (store, _):
        contents = await put_some(store)
        copy = crashed(tmp_path / "store", tmp_path / "copy")
    async with booted(copy, "one") as (store, recovered):
        assert (recovered.closed, recovered.registered) == (1, 1)
        assert await held(store) == hexes(contents)
        (pack,) = pack_files(copy)
        with pack.open("rb") as file:
            assert len(footer_entries(bytes.fromhex(pack.stem), file.fileno()) or ()) == 5


@pytest.mark.parametrize("of_before_a_rewrite", [False, True])
async def test_an_index_that_lost_its_last_changes_catches_up(
    tmp_path: Path, of_before_a_rewrite: bool
) -> None:
    """Power loss takes changes of the index back that the packs keep: puts, packing, removals.

    Those of a rewrite it does not; an index that some person put back may lack them too.
    """
    root = tmp_path / "store"
    shared = os.urandom(100_000)
    async with booted(root, "one") as (store, _):
        tiny = await put_some(store, 8)
        blobs = [await store.put(DEFAULT_DOMAIN, shared + os.urandom(20_000)) for _ in range(3)]
        async for _ in store.pack(Packing()):
            pass
    async with booted(root, "two") as (store, _):
        if of_before_a_rewrite:
            shutil.copytree(root / "index", tmp_path / "index")
        await store.remove(DEFAULT_DOMAIN, blobs.pop().blake3)
        assert [step.packs async for step in store.rewrite(0.05, 0)] != []
        if not of_before_a_rewrite:
            shutil.copytree(root / "index", tmp_path / "index")
        later = await put_some(store, 3)
        blobs += [await store.put(DEFAULT_DOMAIN, shared + os.urandom(20_000)) for _ in range(2)]
        for gone in (tiny.pop(), later.pop(), blobs.pop(0)):
            await store.remove(DEFAULT_DOMAIN, gone.blake3)
        async for _ in store.pack(Packing()):
            pass
    after = dump(root)
    shutil.rmtree(root / "index")
    shutil.copytree(tmp_path / "index", root / "index")
    async with booted(root, "three") as (store, recovered):
        assert recovered.registered > 0
        assert bool(recovered.gone) is of_before_a_rewrite
        assert await held(store) == hexes(tiny + later + blobs)
    if not of_before_a_rewrite:
        assert dump(root) == after
    rebuild(root)
    assert dump(root) == after


async def test_opening_what_was_closed_or_died_in_this_boot_looks_at_no_pack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with booted(tmp_path / "store", "one") as (store, _):
        contents = await put_some(store, 3)
        copy = crashed(tmp_path / "store", tmp_path / "copy")
    from registry.dataplane.packs.recovery import Recovery

    def never(self: Recovery) -> None:
        raise AssertionError("the packs were compared")

    monkeypatch.setattr(Recovery, "compare", never)
    for root, boot in ((tmp_path / "store", "two"), (copy, "one")):
        async with booted(root, boot) as (store, _):
            assert await held(store) == hexes(contents)


async def test_a_damaged_index_is_made_anew(tmp_path: Path) -> None:
    async with booted(tmp_path, "one") as (store, _):
        contents = await put_some(store)
    (tmp_path / "index" / "content.sqlite").write_bytes(os.urandom(8192))
    async with booted(tmp_path, "one") as (store, _):
        assert await held(store) == hexes(contents)


async def test_a_damaged_footer_is_replaced_by_a_look_at_the_records(tmp_path: Path) -> None:
    async with booted(tmp_path, "one") as (store, _):
        contents = await put_some(store)
    (pack,) = pack_files(tmp_path)
    flip(pack, pack.stat().st_size - 100)
    rebuild(tmp_path)
    async with booted(tmp_path, "one") as (store, _):
        assert await held(store) == hexes(contents)


async def test_the_index_is_not_made_anew_under_somebody(tmp_path: Path) -> None:
    store = open_small(tmp_path)
    content = await store.put(DEFAULT_DOMAIN, b"x")
    with pytest.raises(StoreError, match="stop the server") as refused:
        rebuild(tmp_path)
    assert refused.value.kind is ErrorKind.UNAVAILABLE
    assert await read_all(store, content) == b"x"
    await store.close()


async def test_a_vanished_pack_is_corrupt_content_and_no_silence(tmp_path: Path) -> None:
    store = open_small(tmp_path)
    content = await store.put(DEFAULT_DOMAIN, b"x")
    await store.close()
    (pack,) = pack_files(tmp_path)
    pack.unlink()
    store = open_small(tmp_path)
    with pytest.raises(StoreError, match="corrupt") as refused:
        await store.get(DEFAULT_DOMAIN, content.blake3, 10)
    assert refused.value.kind is ErrorKind.CONTENT_UNKNOWN
    await store.quarantine(DEFAULT_DOMAIN, content.blake3)
    await store.put(DEFAULT_DOMAIN, b"x")
    assert await read_all(store, content) == b"x"
    await store.close()


async def test_what_one_process_stores_another_sees_at_once(tmp_path: Path) -> None:
    """Also what it packs, rewrites and removes, with nobody told."""
    code = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from registry.contract.dataplane import DEFAULT_DOMAIN, Packing\n"
        "from tests.dataplane.packed import open_small\n"
        "async def main():\n"
        "    store = open_small(Path(sys.argv[1]))\n"
        "    one = await store.put(DEFAULT_DOMAIN, b'tiny')\n"
        "    two = await store.put(DEFAULT_DOMAIN, bytes(100_000))\n"
        "    print('stored', flush=True); sys.stdin.readline()\n"
        "    async for _ in store.pack(Packing()): pass\n"
        "    print('packed', flush=True); sys.stdin.readline()\n"
        "    await store.remove(DEFAULT_DOMAIN, one.blake3)\n"
        "    await store.put(DEFAULT_DOMAIN, b'more')\n"
        "    async for _ in store.rewrite(0.0, 0): pass\n"
        "    print('rewritten', flush=True); sys.stdin.readline()\n"
        "    await store.close()\n"
        "asyncio.run(main())\n"
    )
    store = open_small(tmp_path)
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None and other.stdout is not None
        for stage, count in (("stored", 2), ("packed", 2), ("rewritten", 2)):
            assert other.stdout.readline().strip() == stage
            assert len(await held(store)) == count
            other.stdin.write("go on\n")
            other.stdin.flush()
    await store.close()
