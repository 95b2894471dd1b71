"""What an export refuses to write over: the ledger of another store, of another past, tiles that differ."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from registry.contract.archive import Archive
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.tlog.tiles import CHECKPOINT
from registry.control import collection
from registry.control.collection import collect
from registry.control.export import Export, runner
from registry.control.export.lineage import stranger
from registry.control.export.state import WORK, Exported, status
from registry.control.work import hold, load
from registry.dataplane import open_local
from tests.control.export.writing import export, fill, objects
from tests.control.world import DAY, World, open_world


@asynccontextmanager
async def beside(folder: Path, archive: Archive, name: str) -> AsyncIterator[World]:
    """A store of its own that exports to the same place."""
    dataplane = open_local(folder / "data")
    async with open_world(folder / f"{name}.sqlite", dataplane, export=Export(archive)) as world:
        yield world
    await dataplane.close()


async def refused(world: World, archive: Archive, why: str) -> None:
    """The export stops, and storage stays as it was."""
    before = await objects(archive)
    with pytest.raises(StoreError, match=why) as caught:
        await export(world.store)
    assert caught.value.kind is ErrorKind.CONFLICT
    assert await objects(archive) == before
    assert await stranger(world.store.core) is not None


async def test_two_stores_do_not_export_to_one_place(tmp_path: Path, archive: Archive) -> None:
    async with beside(tmp_path, archive, "one") as one:
        await fill(one.store, 10)
        await export(one.store)
        async with beside(tmp_path, archive, "two") as two:
            await refused(two, archive, "this database has 0: it is new, or older than the storage")
            await fill(two.store, 5, "other")
            await refused(two, archive, "this database has 5: it is new, or older")
            await fill(two.store, 20, "others")
            await refused(two, archive, "two stores share one place")
        await fill(one.store, 1, "more")
        assert await export(one.store) == 11


async def test_an_older_copy_of_the_database_that_went_its_own_way_is_found(
    tmp_path: Path, archive: Archive
) -> None:
    async with beside(tmp_path, archive, "one") as one:
        await fill(one.store, 300)
        await export(one.store)
        await one.store.core.database.backup(str(tmp_path / "older.sqlite"))
        await fill(one.store, 300, "more")
        await export(one.store)
    async with beside(tmp_path, archive, "older") as older:
        await refused(older, archive, "the storage holds 600 events .* and this database has 300")
        await fill(older.store, 400, "another past")
        await refused(older, archive, "hold different ledgers of 600 events")


async def test_an_export_that_was_lost_with_its_note_is_caught_up_with(
    tmp_path: Path, archive: Archive
) -> None:
    """A database put back from before its note of an export, whose events are the same, goes on."""
    async with beside(tmp_path, archive, "one") as one:
        await fill(one.store, 700)
        await one.store.core.database.backup(str(tmp_path / "before.sqlite"))
        await export(one.store)
    async with beside(tmp_path, archive, "before") as before:
        await fill(before.store, 3, "more")
        assert await export(before.store) == 703


async def test_an_older_state_of_the_storage_is_caught_up_with(tmp_path: Path, archive: Archive) -> None:
    async with beside(tmp_path, archive, "one") as one:
        await fill(one.store, 300)
        await export(one.store)
        shutil.copytree(tmp_path / "storage", tmp_path / "older")
        await fill(one.store, 300, "more")
        await export(one.store)
        now = await objects(archive)
        shutil.rmtree(tmp_path / "storage")
        shutil.copytree(tmp_path / "older", tmp_path / "storage")
        await fill(one.store, 1, "last")
        assert await export(one.store) == 601
        assert {name for name in now if ".p/" not in name} <= set(await objects(archive))


async def test_a_checkpoint_that_is_gone_is_written_anew(tmp_path: Path, archive: Archive) -> None:
    async with beside(tmp_path, archive, "one") as one:
        await fill(one.store, 300)
        await export(one.store)
        await archive.delete(CHECKPOINT)
        await archive.delete("tile/entries/000")
        await fill(one.store, 1, "last")
        assert await export(one.store) == 301
        assert await archive.get("tile/entries/000") is not None


async def test_a_tile_with_other_bytes_stops_the_export(tmp_path: Path, archive: Archive) -> None:
    async with beside(tmp_path, archive, "one") as one:
        await fill(one.store, 10)
        await export(one.store)
        await fill(one.store, 10, "more")
        await archive.replace("tile/entries/000.p/20", b"somebody else's")
        with pytest.raises(StoreError, match=r"tile/entries/000.p/20 is in storage with other bytes"):
            await export(one.store)
        assert Exported.of(await load(one.store.core, WORK)).size == 10


@pytest.mark.parametrize("data", [b"", b"torn\n1\n", b"a\nb\nc\n\n\xe2\x80\x94 a AAAAAAAAAAAA\n"])
async def test_a_checkpoint_that_is_none_stops_the_export(
    tmp_path: Path, archive: Archive, data: bytes
) -> None:
    async with beside(tmp_path, archive, "one") as one:
        await fill(one.store, 10)
        await export(one.store)
        await archive.replace(CHECKPOINT, data)
        await fill(one.store, 10, "more")
        await refused(one, archive, "the ledger's checkpoint in storage (is|has)")


async def test_a_fault_is_told_until_it_is_gone(
    tmp_path: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runner, "_REST", 0.05)
    monkeypatch.setattr(runner, "_PULSE", 0.02)
    async with beside(tmp_path, archive, "one") as one:
        core = one.store.core
        await fill(one.store, 10)
        await export(one.store)
        kept = await archive.get(CHECKPOINT)
        assert kept is not None
        await archive.replace(CHECKPOINT, b"nothing")
        await fill(one.store, 10, "more")
        task = asyncio.create_task(runner.run(core, Export(archive, lag=0.0)))
        try:
            async with asyncio.timeout(5):
                while (await status(core)).fault is None:
                    await asyncio.sleep(0.02)
                assert "the ledger's export has stopped" in caplog.text
                await archive.replace(CHECKPOINT, kept)
                while (await status(core)).exported < 20:
                    await asyncio.sleep(0.02)
            assert (await status(core)).fault is None
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_new_database_does_not_collect_what_the_lost_one_knew(
    tmp_path: Path, archive: Archive
) -> None:
    """To an empty database all content is without a name. It must not be deleted for that."""
    async with beside(tmp_path, archive, "lost") as lost:
        await lost.push_image("v1")
        await export(lost.store)
    async with beside(tmp_path, archive, "new") as new:
        for _ in range(3):
            new.clock.advance(3 * DAY)
            async with hold(new.store.core, collection.WORK) as work:
                done = await collect(work)
            assert (done.orphans, done.freed) == (0, 0)
        assert len([found async for found in new.dataplane.contents()]) == 3


async def test_a_ledger_that_lost_an_event_is_not_exported(tmp_path: Path, archive: Archive) -> None:
    async with beside(tmp_path, archive, "one") as one:
        await fill(one.store, 10)
        with closing(sqlite3.connect(tmp_path / "one.sqlite")) as connection:
            connection.execute("DELETE FROM events WHERE seq = 5")
            connection.commit()
        await refused_without_checkpoint(one, archive)


async def refused_without_checkpoint(world: World, archive: Archive) -> None:
    with pytest.raises(StoreError, match="has 9 of the 10 events"):
        await export(world.store)
    assert await archive.get(CHECKPOINT) is None
