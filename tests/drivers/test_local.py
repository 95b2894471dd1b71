"""What only the local driver can get wrong: symlinks, permissions, a vanished disk, power loss, format."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from registry.contract.dataplane import DomainId
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.drivers import staging
from registry.dataplane.drivers.local import LocalDriver
from registry.dataplane.drivers.port import Area, Missing, ObjectKey, Permanent, StageKey
from registry.dataplane.workers import Workers
from tests.drivers.leftovers import open_below, threads

DOMAIN = DomainId("default")
KEY = ObjectKey(Area.CONTENT, DOMAIN, "ab" * 32)
STAGE = StageKey(DOMAIN, "01234567-89ab-cdef-0123-456789abcdef")


@contextmanager
def opened(root: Path, boot: str = "this-boot") -> Iterator[LocalDriver]:
    workers = Workers(2)
    driver = None
    try:
        driver = LocalDriver(root, workers, boot)
        yield driver
    finally:
        workers.close()
        if driver is not None:
            driver.close()
        assert open_below(root) == []
        assert threads() == []


async def stage_bytes(driver: LocalDriver, offset: int, data: bytes) -> None:
    hold = await driver.hold(STAGE, offset, [data])
    try:
        await hold.settle()
    finally:
        await hold.release()


async def test_files_are_0600_and_folders_0700_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with opened(tmp_path / "store") as driver:
            await driver.put(KEY, b"x")
            await stage_bytes(driver, 0, b"x")
    finally:
        os.umask(before)
    for path in (tmp_path / "store", *(tmp_path / "store").rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("planted", ["content", "content/default", "content/default/ab"])
async def test_a_symlink_among_the_folders_is_not_followed(tmp_path: Path, planted: str) -> None:
    root, elsewhere = tmp_path / "store", tmp_path / "elsewhere"
    elsewhere.mkdir()
    with opened(root) as driver:
        link = root / planted
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.exists():
            link.rmdir()
        link.symlink_to(elsewhere)
        with pytest.raises(OSError):
            await driver.put(KEY, b"x")
        await stage_bytes(driver, 0, b"x")
        hold = await driver.hold(STAGE)
        with pytest.raises(OSError):
            await hold.commit(KEY)
        await hold.release()
    assert list(elsewhere.iterdir()) == []


async def test_a_symlink_instead_of_a_stage_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    with opened(tmp_path / "store") as driver:
        await stage_bytes(driver, 0, b"x")
        path = next((tmp_path / "store" / "staging").rglob(STAGE.id))
        path.unlink()
        path.symlink_to(target)
        with pytest.raises(OSError) as refused:
            await driver.hold(STAGE)
        assert refused.value.errno == errno.ELOOP
    assert target.read_bytes() == b"precious"


async def test_a_symlink_instead_of_an_object_is_replaced_and_never_read(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    with opened(tmp_path / "store") as driver:
        await driver.put(KEY, b"x")
        path = next((tmp_path / "store" / "content").rglob(KEY.hex))
        path.unlink()
        path.symlink_to(target)
        with pytest.raises(OSError):
            await driver.open(KEY)
        with pytest.raises(Permanent):
            await driver.size(KEY)
        await driver.put(KEY, b"12345678")
        assert await driver.size(KEY) == 8
        assert not path.is_symlink()
    assert target.read_bytes() == b"precious"


@pytest.mark.parametrize("lost", ["FORMAT", "content"])
async def test_a_store_that_is_not_there_makes_nothing_missing(tmp_path: Path, lost: str) -> None:
    with opened(tmp_path / "store") as driver:
        await driver.put(KEY, b"x")
        (tmp_path / "store" / lost).rename(tmp_path / "away")
        with pytest.raises(Permanent):
            await driver.size(KEY._replace(hex="cd" * 32))
        with pytest.raises(Permanent):
            await driver.delete(KEY._replace(hex="cd" * 32))
        (tmp_path / "away").rename(tmp_path / "store" / lost)
        with pytest.raises(Missing):
            await driver.size(KEY._replace(hex="cd" * 32))


async def test_strange_names_in_the_tree_are_not_listed(tmp_path: Path) -> None:
    root = tmp_path / "store"
    with opened(root) as driver:
        await driver.put(KEY, b"x")
        await stage_bytes(driver, 0, b"x")
        (root / "content" / "default" / "ab" / "README").write_text("hello")
        (root / "content" / "default" / "cd").write_text("not a folder")
        (root / "content" / "Not A Domain").mkdir()
        (root / "staging" / "this-boot" / "default" / "notes").write_text("hello")
        assert [key async for key, _ in driver.objects(Area.CONTENT)] == [KEY]
        assert [key async for key, _ in driver.stages()] == [STAGE]


class TestPowerLoss:
    """A boot later, a stage is what was surely on the disk."""

    async def test_without_a_mark_nothing_of_a_stage_is_trusted(self, tmp_path: Path) -> None:
        with opened(tmp_path / "store", "one") as driver:
            await stage_bytes(driver, 0, b"never synced")
        with opened(tmp_path / "store", "two") as driver:
            with pytest.raises(Missing):
                await driver.stage(STAGE)
        assert [path.name for path in (tmp_path / "store" / "staging").iterdir()] == ["two"]

    async def test_a_zero_filled_tail_is_cut_to_the_mark(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(staging, "MARK_AT", 4)
        with opened(tmp_path / "store", "one") as driver:
            await stage_bytes(driver, 0, b"durable")
            await stage_bytes(driver, 7, b"not")
        path = next((tmp_path / "store" / "staging").rglob(STAGE.id))
        os.truncate(path, 7)
        os.truncate(path, 4096)
        with opened(tmp_path / "store", "two") as driver:
            assert (await driver.stage(STAGE)).length == 7
            hold = await driver.hold(STAGE, 7, [b" and on"])
            assert await hold.read(0, 14) == b"durable and on"
            await hold.commit(KEY)
            await hold.release()
        assert os.listxattr(next((tmp_path / "store" / "content").rglob(KEY.hex))) == []

    async def test_a_stage_that_is_also_an_object_is_dropped(self, tmp_path: Path) -> None:
        with opened(tmp_path / "store", "one") as driver:
            await driver.put(KEY, b"precious")
        folder = tmp_path / "store" / "staging" / "one" / "default"
        path = next((tmp_path / "store" / "content").rglob(KEY.hex))
        (folder / STAGE.id).hardlink_to(path)
        with opened(tmp_path / "store", "two") as driver:
            assert [stage async for stage in driver.stages()] == []
        assert path.read_bytes() == b"precious"

    async def test_stages_of_this_boot_stay(self, tmp_path: Path) -> None:
        with opened(tmp_path / "store") as driver:
            await stage_bytes(driver, 0, b"abc")
        with opened(tmp_path / "store") as driver:
            assert (await driver.stage(STAGE)).length == 3

    async def test_a_failed_sync_cuts_to_the_mark(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(fd: int) -> None:
            raise OSError(errno.EIO, "injected")

        monkeypatch.setattr(staging, "MARK_AT", 4)
        with opened(tmp_path / "store") as driver:
            await stage_bytes(driver, 0, b"durable")
            monkeypatch.setattr(staging, "MARK_AT", 1000)
            await stage_bytes(driver, 7, b"lost by the disk")
            hold = await driver.hold(STAGE)
            with monkeypatch.context() as patch:
                patch.setattr(os, "fdatasync", fail)
                with pytest.raises(OSError):
                    await hold.commit(KEY)
            await hold.release()
            assert (await driver.stage(STAGE)).length == 7
            with pytest.raises(Missing):
                await driver.size(KEY)

    async def test_short_writes_go_on(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        real = os.pwritev

        def short(fd: int, pieces: list[bytes], offset: int) -> int:
            return real(fd, [memoryview(b"".join(pieces))[:3]], offset)

        monkeypatch.setattr(os, "pwritev", short)
        with opened(tmp_path / "store") as driver:
            hold = await driver.hold(STAGE, 0, [b"one", b"two", b"three"])
            assert await hold.read(0, 11) == b"onetwothree"
            await hold.release()


class TestFormat:
    def test_a_newer_format_is_refused_with_what_to_do(self, tmp_path: Path) -> None:
        (tmp_path / "FORMAT").write_text("artifact-store data plane, format 3\n")
        with pytest.raises(StoreError, match="version that wrote it") as refused, opened(tmp_path):
            pass
        assert refused.value.kind is ErrorKind.INTERNAL

    @pytest.mark.parametrize("text", ["", "something else\n", "artifact-store data plane, format x\n"])
    def test_a_damaged_format_file_is_refused(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "FORMAT").write_text(text)
        with pytest.raises(StoreError, match="damaged"), opened(tmp_path):
            pass

    def test_content_without_a_format_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "content").mkdir()
        with pytest.raises(StoreError, match="backup"), opened(tmp_path):
            pass

    def test_opening_again_changes_nothing(self, tmp_path: Path) -> None:
        with opened(tmp_path / "store"):
            pass
        before = (tmp_path / "store" / "FORMAT").stat()
        with opened(tmp_path / "store"):
            pass
        assert (tmp_path / "store" / "FORMAT").stat().st_mtime_ns == before.st_mtime_ns
