"""Two processes, or one and its crash, between any two steps of each other: no step undoes an answer."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN, Content, DomainId, Packing
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.drivers.port import Full
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.engine import Engine
from registry.dataplane.index.locks import LockFile
from registry.dataplane.index.port import Change
from registry.dataplane.index.sqlite import SqliteIndex
from registry.dataplane.packs.files import PackFile
from registry.dataplane.packs.packing import PackingJob
from registry.dataplane.packs.records import Record
from registry.dataplane.packs.store import Packs
from registry.dataplane.packs.writer import PackWriter
from tests.dataplane.packed import flip, loose_files, open_small, pack_files, rebuild
from tests.dataplane.support import content_of, read_all
from tests.dataplane.test_recovery import booted, crashed, held, hexes, put_some

pytestmark = pytest.mark.usefixtures("form")

ALL = Packing()


async def packed(store: Engine) -> None:
    async for step in store.pack(ALL):
        assert step.fault is None


async def absent(store: Engine, content: Content) -> None:
    with pytest.raises(StoreError) as refused:
        await store.size(DEFAULT_DOMAIN, content.blake3)
    assert refused.value.kind is ErrorKind.CONTENT_UNKNOWN


class FullIndex:
    """Lets the index take some changes and then, until it is healed, no more."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.left = 1_000_000
        real = SqliteIndex.change

        @contextmanager
        def change(index: SqliteIndex) -> Iterator[Change]:
            with real(index) as changing:
                yield changing
                if self.left == 0:
                    raise Full("content index: injected")
                self.left -= 1

        patch.setattr(SqliteIndex, "change", change)


@pytest.mark.parametrize("size", [100, 30_000])
async def test_a_removal_that_failed_strikes_no_later_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Whatever the put relied on, an index made anew must not know better."""
    index = FullIndex(monkeypatch)
    for changes in range(6):
        root = tmp_path / str(changes)
        one, two = open_small(root), open_small(root)
        content = await one.put(DEFAULT_DOMAIN, b"\1" * size)
        await packed(one)
        index.left = changes
        try:
            await one.remove(DEFAULT_DOMAIN, content.blake3)
        except StoreError as error:
            assert error.kind is ErrorKind.STORAGE_FULL
        index.left = 1_000_000
        await two.put(DEFAULT_DOMAIN, b"\1" * size)
        await one.close()
        await two.close()
        rebuild(root)
        again = open_small(root)
        assert await read_all(again, content) == b"\1" * size
        await again.close()


@pytest.mark.parametrize("reopened", [False, True])
async def test_a_removal_that_failed_is_completed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reopened: bool
) -> None:
    index = FullIndex(monkeypatch)
    for changes in range(6):
        root = tmp_path / str(changes)
        store = open_small(root)
        content = await store.put(DEFAULT_DOMAIN, b"gone")
        index.left = changes
        failed = False
        try:
            await store.remove(DEFAULT_DOMAIN, content.blake3)
        except StoreError:
            failed = True
        index.left = 1_000_000
        assert failed or changes > 2
        if reopened:
            await store.close()
            store = open_small(root)
        await store.remove(DEFAULT_DOMAIN, content.blake3)
        await store.close()
        rebuild(root)
        store = open_small(root)
        await absent(store, content)
        await store.close()


async def test_a_put_that_failed_does_not_outlive_the_removal_of_the_one_that_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = FullIndex(monkeypatch)
    store = open_small(tmp_path)
    await store.put(DEFAULT_DOMAIN, b"first")
    index.left = 0
    with pytest.raises(StoreError):
        await store.put(DEFAULT_DOMAIN, b"twice")
    index.left = 1_000_000
    content = await store.put(DEFAULT_DOMAIN, b"twice")
    await store.remove(DEFAULT_DOMAIN, content.blake3)
    await store.close()
    rebuild(tmp_path)
    store = open_small(tmp_path)
    await absent(store, content)
    await store.close()


@pytest.mark.parametrize("pack", [False, True])
async def test_the_second_of_two_who_found_corrupt_bytes_leaves_what_a_push_healed(
    tmp_path: Path, pack: bool
) -> None:
    store = open_small(tmp_path)
    data = os.urandom(60_000)
    content = await store.put(DEFAULT_DOMAIN, data)
    if pack:
        await packed(store)
    (path,) = pack_files(tmp_path) if pack else loose_files(tmp_path)
    flip(path, 20_000)
    await store.quarantine(DEFAULT_DOMAIN, content.blake3)
    await absent(store, content)
    await store.put(DEFAULT_DOMAIN, data)
    await store.quarantine(DEFAULT_DOMAIN, content.blake3)
    assert await read_all(store, content) == data
    await packed(store)
    await store.quarantine(DEFAULT_DOMAIN, content.blake3)
    assert await read_all(store, content) == data
    await store.close()
    rebuild(tmp_path)
    store = open_small(tmp_path)
    assert await read_all(store, content) == data
    await store.close()


async def test_of_two_records_of_a_blob_only_the_corrupt_one_goes(tmp_path: Path) -> None:
    """A crash left a blob both in a pack and as a file; then the pack's went bad."""
    store = open_small(tmp_path)
    data = os.urandom(60_000)
    content = await store.put(DEFAULT_DOMAIN, data)
    (path,) = loose_files(tmp_path)
    shutil.copy(path, tmp_path / "kept")
    await packed(store)
    shutil.copy(tmp_path / "kept", path)
    flip(pack_files(tmp_path)[0], 20_000)
    await store.quarantine(DEFAULT_DOMAIN, content.blake3)
    assert await read_all(store, content) == data
    await store.close()


async def test_packing_deletes_no_file_that_came_after_a_removal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blob is packed, removed and pushed again before packing comes to delete the file."""
    store = open_small(tmp_path)
    data = os.urandom(60_000)
    content = await store.put(DEFAULT_DOMAIN, data)
    loop = asyncio.get_running_loop()
    real = PackingJob._unlink

    async def again() -> None:
        await store.remove(DEFAULT_DOMAIN, content.blake3)
        await store.put(DEFAULT_DOMAIN, data)

    def late(job: PackingJob, *args: object) -> None:
        asyncio.run_coroutine_threadsafe(again(), loop).result(10)
        real(job, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(PackingJob, "_unlink", late)
    await packed(store)
    assert await read_all(store, content) == data
    await store.close()


async def test_a_pack_whose_switch_never_was_brings_nothing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process died with the pack finished; before the next opening another removed what it holds."""
    root = tmp_path / "store"
    real = PackWriter.finish

    def finish(writer: PackWriter) -> int:
        size = real(writer)
        if not (tmp_path / "copy").exists():
            crashed(root, tmp_path / "copy")
        return size

    async with booted(root, "one") as (store, _):
        content = await store.put(DEFAULT_DOMAIN, os.urandom(60_000))
        monkeypatch.setattr(PackWriter, "finish", finish)
        await packed(store)
    (path,) = loose_files(tmp_path / "copy")
    path.unlink()
    async with booted(tmp_path / "copy", "one") as (store, recovered):
        await absent(store, content)
        assert recovered.deleted == 1
    assert pack_files(tmp_path / "copy") == []


async def test_a_job_whose_switch_failed_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = FullIndex(monkeypatch)
    store = open_small(tmp_path)
    content = await store.put(DEFAULT_DOMAIN, os.urandom(60_000))
    for changes in (0, 1):
        index.left = changes
        with pytest.raises(StoreError) as refused:
            await packed(store)
        assert refused.value.kind is ErrorKind.STORAGE_FULL
        index.left = 1_000_000
        if changes == 0:
            assert pack_files(tmp_path) == []
    assert len(await read_all(store, content)) == 60_000
    await store.close()
    store = open_small(tmp_path)
    assert pack_files(tmp_path) == []
    assert len(await read_all(store, content)) == 60_000
    await store.close()


async def test_who_opens_a_store_while_another_closes_it_leaves_word_that_it_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power loss later on would take changes of the index back, and nobody would look for them."""
    real = Packs._note
    opened: list[Engine] = []
    opening = threading.Thread(target=lambda: opened.append(open_small(tmp_path)))

    def closing(packs: Packs, *, clean: bool) -> None:
        if clean and not opening.ident:
            opening.start()
            opening.join(0.3)  # it waits for us by now
        real(packs, clean=clean)

    store = open_small(tmp_path)
    monkeypatch.setattr(Packs, "_note", closing)
    await store.close()
    opening.join()
    (later,) = opened
    assert not later._driver._inner._packs.index.note().clean  # type: ignore[attr-defined]
    await later.close()


async def test_who_waited_for_one_that_died_while_it_compared_compares(tmp_path: Path) -> None:
    async with booted(tmp_path / "store", "one") as (store, _):
        contents = await put_some(store)
        copy = crashed(tmp_path / "store", tmp_path / "copy")
    (copy / "index" / "content.sqlite").unlink()
    tree = Tree(copy)
    lock = LockFile(tree, "open")
    assert lock.take()
    threading.Timer(0.3, lock.close).start()
    async with booted(copy, "two") as (store, recovered):
        assert recovered.registered == 1
        assert await held(store) == hexes(contents)
    tree.close()


async def test_an_index_of_before_is_found_out_though_it_was_closed(tmp_path: Path) -> None:
    root = tmp_path / "store"
    async with booted(root, "one") as (store, _):
        contents = await put_some(store)
    shutil.copytree(root / "index", tmp_path / "index")
    async with booted(root, "one") as (store, recovered):
        assert recovered.registered == 0
        contents += await put_some(store)
        await store.remove(DEFAULT_DOMAIN, contents.pop(0).blake3)
    shutil.rmtree(root / "index")
    shutil.copytree(tmp_path / "index", root / "index")
    async with booted(root, "one") as (store, recovered):
        assert recovered.registered == 1
        assert await held(store) == hexes(contents)


async def test_a_pack_cut_off_is_corrupt_and_healed(tmp_path: Path) -> None:
    store = open_small(tmp_path)
    data = os.urandom(60_000)
    contents = [await store.put(DEFAULT_DOMAIN, part) for part in (data, b"tiny")]
    await packed(store)
    for path in pack_files(tmp_path):
        os.truncate(path, 140)
    for content in contents:
        assert (await store.verify(DEFAULT_DOMAIN, content.blake3)).fault is not None
        await store.quarantine(DEFAULT_DOMAIN, content.blake3)
        await absent(store, content)
    await store.put(DEFAULT_DOMAIN, data)
    await store.put(DEFAULT_DOMAIN, b"tiny")
    await packed(store)
    assert await read_all(store, contents[0]) == data
    await store.close()


async def test_a_tombstone_stays_with_a_pack_that_a_bad_sector_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be read stays where it is, and so does what is known of the rest of that pack."""
    store = open_small(tmp_path)
    gone, stays = [await store.put(DEFAULT_DOMAIN, os.urandom(60_000)) for _ in range(2)]
    await packed(store)
    (bad,) = pack_files(tmp_path)
    tiny = await store.put(DEFAULT_DOMAIN, os.urandom(1500))
    await store.remove(DEFAULT_DOMAIN, gone.blake3)
    await store.remove(DEFAULT_DOMAIN, tiny.blake3)
    (log,) = set(pack_files(tmp_path)) - {bad}
    await store.close()
    store = open_small(tmp_path)
    real = PackFile.record

    def record(file: PackFile, offset: int, stored: int) -> tuple[Record, bytes]:
        if file.key.id.hex() == bad.stem:
            raise OSError(errno.EIO, "injected")
        return real(file, offset, stored)

    monkeypatch.setattr(PackFile, "record", record)
    async for _ in store.rewrite(0.0, 0):
        pass
    monkeypatch.setattr(PackFile, "record", real)
    assert bad.exists()
    assert not log.exists()
    await store.close()
    rebuild(tmp_path)
    store = open_small(tmp_path)
    assert [address async for _, address, _ in store.contents()] == [stays.blake3]
    assert (await store.verify(DEFAULT_DOMAIN, stays.blake3)).fault is None
    await store.close()


async def test_a_blob_is_not_left_to_a_chunk_that_was_given_up_meanwhile(tmp_path: Path) -> None:
    store = open_small(tmp_path)
    shared = os.urandom(100_000)
    one = await store.put(DEFAULT_DOMAIN, shared + b"one")
    await packed(store)
    two = await store.put(DEFAULT_DOMAIN, shared + b"two")

    (pack,) = pack_files(tmp_path)

    async def chosen() -> AsyncIterator[tuple[DomainId, Digest]]:
        yield DEFAULT_DOMAIN, two.blake3
        flip(pack, 30_000)
        await store.quarantine(DEFAULT_DOMAIN, one.blake3)

    assert [step async for step in store.pack(ALL, chosen())] == []
    assert await read_all(store, two) == shared + b"two"
    await packed(store)
    assert await read_all(store, two) == shared + b"two"
    await store.close()
    rebuild(tmp_path)
    store = open_small(tmp_path)
    assert await read_all(store, two) == shared + b"two"
    assert [address async for _, address, _ in store.contents()] == [content_of(shared + b"two").blake3]
    await store.close()
