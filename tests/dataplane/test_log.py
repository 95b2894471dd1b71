"""The log of tiny blobs: many share a sync, a failing disk harms nothing, packs fill and close."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN, DomainId
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane import DataPlaneSettings
from registry.dataplane.drivers.port import Transient
from registry.dataplane.packs.codec import Records
from registry.dataplane.packs.records import Kind
from registry.dataplane.packs.writer import PackWriter
from tests.dataplane.packed import SMALL, dump, loose_files, open_small, pack_files, rebuild
from tests.dataplane.support import body, content_of, new_stage, open_engine, read_all

pytestmark = pytest.mark.usefixtures("form")


async def test_many_that_wait_share_a_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_small(tmp_path)
    await store.put(DEFAULT_DOMAIN, b"begun")
    real, syncs = os.fdatasync, 0

    def counted(fd: int) -> None:
        nonlocal syncs
        syncs += 1
        real(fd)

    monkeypatch.setattr(os, "fdatasync", counted)
    blobs = [b"blob %d" % number for number in range(200)]
    contents = await asyncio.gather(*(store.put(DEFAULT_DOMAIN, blob) for blob in blobs))
    assert 0 < syncs < 30
    for content, blob in zip(contents, blobs, strict=True):
        assert await store.get(DEFAULT_DOMAIN, content.blake3, 100) == blob
    await store.close()


async def test_tiny_is_by_size_for_puts_and_uploads(tmp_path: Path) -> None:
    store = open_small(tmp_path)
    for size, loose in ((2000, 0), (2001, 2)):
        await store.put(DEFAULT_DOMAIN, bytes(size))
        stage = new_stage()
        await store.append(stage, 0, body(b"\1" * size))
        await store.commit(stage, None)
        assert len(loose_files(tmp_path)) == loose
        assert await read_all(store, content_of(b"\1" * size)) == b"\1" * size
    await store.close()


async def test_the_same_at_once_is_stored_once(tmp_path: Path, seal: int) -> None:
    store = open_small(tmp_path)
    await asyncio.gather(*(store.put(DEFAULT_DOMAIN, b"same") for _ in range(50)))
    await store.put(DEFAULT_DOMAIN, b"same")
    used = await store.use()
    assert (used.objects, used.content) == (1, 4 + seal)
    await store.close()


async def test_two_processes_that_store_the_same_at_once_leave_nothing_when_it_is_removed(
    tmp_path: Path, seal: int
) -> None:
    one, two = open_small(tmp_path), open_small(tmp_path)
    for number in range(5):
        data = b"same %d" % number
        await asyncio.gather(one.put(DEFAULT_DOMAIN, data), two.put(DEFAULT_DOMAIN, data))
        assert await two.remove(DEFAULT_DOMAIN, content_of(data).blake3) in (6 + seal, 12 + 2 * seal)
    await one.close()
    await two.close()
    rebuild(tmp_path)
    store = open_small(tmp_path)
    assert [found async for found in store.contents()] == []
    await store.close()


async def test_full_packs_are_closed_and_few(tmp_path: Path, seal: int) -> None:
    store = open_small(tmp_path)
    other = DomainId("other")
    blobs = [os.urandom(1000) for _ in range(1000)]
    await asyncio.gather(*(store.put(DEFAULT_DOMAIN, blob) for blob in blobs))
    await store.put(other, b"x")
    assert 4 <= len(pack_files(tmp_path)) <= 6
    for blob in blobs[::100]:
        assert await read_all(store, content_of(blob)) == blob
    await store.close()
    total = sum(path.stat().st_size for path in pack_files(tmp_path))
    assert total < 1000 * (1000 + 160 + seal) + 2000


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, ErrorKind.STORAGE_FULL), (errno.EIO, ErrorKind.UNAVAILABLE)],
)
async def test_a_failing_disk_is_told_and_what_it_lost_is_not_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, kind: ErrorKind
) -> None:
    store = open_small(tmp_path)
    kept = await store.put(DEFAULT_DOMAIN, b"kept")
    real: Callable[..., Any] = getattr(os, call)

    def failing(*args: Any) -> Any:
        raise OSError(number, "injected")

    stage = new_stage()
    await store.append(stage, 0, body(b"lost too"))
    monkeypatch.setattr(os, call, failing)
    for work in (store.put(DEFAULT_DOMAIN, b"lost"), store.commit(stage, None)):
        with pytest.raises(StoreError) as refused:
            await work
        assert refused.value.kind is kind
    monkeypatch.setattr(os, call, real)
    assert (await store.staged(stage)).offset == 8
    with pytest.raises(StoreError) as absent:
        await store.size(DEFAULT_DOMAIN, content_of(b"lost").blake3)
    assert absent.value.kind is ErrorKind.CONTENT_UNKNOWN
    assert await store.commit(stage, None) == content_of(b"lost too")
    await store.close()
    rebuild(tmp_path)
    again = open_small(tmp_path)
    found = {address async for _, address, _ in again.contents()}
    assert found == {kept.blake3, content_of(b"lost too").blake3}
    await again.close()


async def test_writes_cancelled_while_they_wait_are_whole(tmp_path: Path) -> None:
    store = open_small(tmp_path)
    for turns in range(8):
        data = b"turn %d" % turns
        task = asyncio.create_task(store.put(DEFAULT_DOMAIN, data))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert await store.put(DEFAULT_DOMAIN, data) == content_of(data)
        assert await read_all(store, content_of(data)) == data
    await store.close()


async def test_descriptors_of_packs_are_bounded(tmp_path: Path) -> None:
    few = replace(SMALL, pack_files=3, pack_bytes=3000)
    store = open_engine("local", tmp_path, few)
    contents = [await store.put(DEFAULT_DOMAIN, os.urandom(1500)) for _ in range(20)]
    opened = [await store._driver.open(_key(content.blake3.hex)) for content in contents[:6]]
    for content in contents * 2:
        await read_all(store, content)
    packs = [path for path in _open_packs() if str(tmp_path) in path]
    assert len(packs) <= 3 + 6 + 1
    for blob in opened:
        assert len(await blob.read(0, 1500)) == 1500
        blob.close()
        blob.close()
    await store.close()


def _key(hexadecimal: str) -> Any:
    from registry.dataplane.drivers.port import Area, ObjectKey

    return ObjectKey(Area.CONTENT, DEFAULT_DOMAIN, hexadecimal)


def _open_packs() -> list[str]:
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.append(os.readlink(entry))
        except FileNotFoundError:
            continue
    return [path for path in found if path.endswith(".pack")]


async def test_nothing_is_tiny_where_a_setting_says_so(tmp_path: Path) -> None:
    store = open_engine("local", tmp_path, DataPlaneSettings(tiny_bytes=-1))
    await store.put(DEFAULT_DOMAIN, b"")
    assert (len(loose_files(tmp_path)), len(pack_files(tmp_path))) == (1, 0)
    await store.close()


async def test_a_full_disk_gathers_no_packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often clients try again, and whether or not the log was begun before."""
    for begun in (False, True):
        root = tmp_path / str(begun)
        store = open_small(root)
        if begun:
            await store.put(DEFAULT_DOMAIN, b"begun")
        real: Callable[..., int] = os.pwrite

        def failing(*args: Any) -> int:
            raise OSError(errno.ENOSPC, "injected")

        monkeypatch.setattr(os, "pwrite", failing)
        for number in range(5):
            with pytest.raises(StoreError) as refused:
                await store.put(DEFAULT_DOMAIN, b"blob %d" % number)
            assert refused.value.kind is ErrorKind.STORAGE_FULL
        monkeypatch.setattr(os, "pwrite", real)
        assert len(pack_files(root)) == begun
        await store.put(DEFAULT_DOMAIN, b"after")
        assert len(pack_files(root)) == 1
        await store.close()
        assert len(dump(root)["packs"]) == 1


async def test_no_write_after_a_failed_sync_goes_to_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel may have dropped pages, and later syncs of that file say nothing of it."""
    store = open_small(tmp_path)
    kept = await store.put(DEFAULT_DOMAIN, b"kept")
    (first,) = pack_files(tmp_path)
    size = first.stat().st_size
    real = os.fdatasync

    def failing(fd: int) -> None:
        raise OSError(errno.EIO, "injected")

    monkeypatch.setattr(os, "fdatasync", failing)
    with pytest.raises(StoreError):
        await store.put(DEFAULT_DOMAIN, b"lost")
    monkeypatch.setattr(os, "fdatasync", real)
    later = await store.put(DEFAULT_DOMAIN, b"later")
    assert first.stat().st_size == size
    assert len(pack_files(tmp_path)) == 2
    assert await read_all(store, kept) == b"kept"
    await store.close()
    store = open_small(tmp_path)  # which closes the pack that was left
    assert {row[2] for row in dump(tmp_path)["packs"]} == {3}
    assert {address async for _, address, _ in store.contents()} == {kept.blake3, later.blake3}
    await store.close()


async def test_a_write_that_cannot_be_made_concerns_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_small(tmp_path)
    real = Records.encode

    def encode(self: Records, domain: DomainId, kind: Kind, digest: bytes, data: bytes, **more: Any) -> Any:
        if data == b"bad":
            raise Transient("the key cannot be had now")
        return real(self, domain, kind, digest, data, **more)

    monkeypatch.setattr(Records, "encode", encode)
    blobs = [b"bad", *(b"good %d" % number for number in range(10))]
    done = await asyncio.gather(*(store.put(DEFAULT_DOMAIN, blob) for blob in blobs), return_exceptions=True)
    assert isinstance(done[0], StoreError)
    assert done[1:] == [content_of(blob) for blob in blobs[1:]]
    await store.close()


async def test_packs_of_many_domains_are_not_all_kept_open(tmp_path: Path) -> None:
    store = open_small(tmp_path)
    names = [DomainId(f"tenant-{number}") for number in range(100)]
    contents = await asyncio.gather(*(store.put(name, name.encode()) for name in names))
    assert len([path for path in _open_packs() if str(tmp_path) in path]) <= 32
    for name, content in zip(names, contents, strict=True):
        assert await store.get(name, content.blake3, 20) == name.encode()
    await store.close()


async def test_nobody_waits_for_ever_whatever_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_small(tmp_path)
    real = PackWriter.keep

    def broken(self: PackWriter) -> None:
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(PackWriter, "keep", broken)
    async with asyncio.timeout(5):
        with pytest.raises(StoreError):
            await store.put(DEFAULT_DOMAIN, b"one")
    monkeypatch.setattr(PackWriter, "keep", real)
    assert await store.put(DEFAULT_DOMAIN, b"two") == content_of(b"two")
    await store.close()
