"""fsck reads the export against the ledger, repair writes it again, and a backup has it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from registry.contract.archive import Archive
from registry.contract.tlog.tiles import CHECKPOINT
from registry.control.backup import backup
from registry.control.export import Export, reading
from registry.control.export.checking import export_faults
from registry.control.export.examining import examine
from registry.control.fsck import fsck
from registry.control.fsck_repair import repair
from registry.dataplane import open_local
from registry.dataplane.archives import folder_archive
from tests.control.export.writing import export, fill, objects
from tests.control.world import World, open_world


async def faults(world: World) -> list[str]:
    return [sentence async for sentence in export_faults(world.store.core)]


async def test_an_export_that_is_whole_and_behind_is_no_fault(exported: World) -> None:
    assert await faults(exported) == []
    await fill(exported.store, 600)
    await export(exported.store)
    await fill(exported.store, 10, "more")
    assert await faults(exported) == []


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("tile/entries/001", None, "tile/entries/001 of the ledger's export is missing"),
        ("tile/0/000", b"", "tile/0/000 of the ledger's export has 0 bytes"),
        ("tile/1/000.p/2", b"\0" * 64, "does not follow from the tiles below"),
        ("tile/entries/002.p/88", b"\0\1x" * 88, "event 513 in tile/entries/002.p/88"),
    ],
)
async def test_tiles_that_are_wrong_are_named_and_mended(
    exported: World, archive: Archive, name: str, data: bytes | None, why: str
) -> None:
    await fill(exported.store, 600)
    await export(exported.store)
    right = await objects(archive)
    if data is None:
        await archive.delete(name)
    else:
        await archive.replace(name, data)
    checked = await fsck(exported.store.core)
    found = [fault.message for fault in checked.faults]
    assert any(why in message for message in found), found
    assert {fault.kind for fault in checked.faults} == {"export"}
    steps = await repair(exported.store.core, checked)
    assert "1 objects of the ledger's export were written again" in [step.message for step in steps]
    assert await objects(archive) == right
    assert (await fsck(exported.store.core)).faults == []


async def test_a_checkpoint_that_is_gone_is_told(exported: World, archive: Archive) -> None:
    await fill(exported.store, 10)
    await export(exported.store)
    await archive.delete(CHECKPOINT)
    assert await faults(exported) == [
        "the checkpoint of the 10 events that were exported is missing from storage"
    ]


async def test_a_ledger_that_was_changed_in_the_database_is_told(tmp_path: Path, archive: Archive) -> None:
    dataplane = open_local(tmp_path / "data")
    path = tmp_path / "ledger.sqlite"
    async with open_world(path, dataplane, export=Export(archive)) as world:
        await fill(world.store, 600)
        await export(world.store)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE events SET envelope = x'00' WHERE seq = 300")
            connection.commit()
        assert await faults(world) == [
            "tile/entries/001 in storage has other events than the ledger of this database"
        ]
    await dataplane.close()


async def test_a_backup_has_the_export_and_goes_on_with_it(tmp_path: Path, archive: Archive) -> None:
    dataplane = open_local(tmp_path / "data")
    async with open_world(tmp_path / "one.sqlite", dataplane, export=Export(archive)) as world:
        for count in (300, 300):
            await fill(world.store, count, f"of{count}-{await world.head()}")
            await export(world.store)
            await fill(world.store, 5, f"later{await world.head()}")
            copy = open_local(tmp_path / "copy")
            there = folder_archive(tmp_path / "copy")
            done = await backup(world.store.core, copy, tmp_path / "copy" / "ledger.sqlite", archive=there)
            assert done.faults == 0
            await copy.close()
        head, clock = await world.head(), world.clock
    signed = await reading.checkpoint(there)
    assert signed is not None
    assert (signed.checkpoint.size, head) == (605, 610)
    assert (await examine(there, signed.checkpoint)).faults == []
    assert not any(name.startswith(("tile/0/000.p", "tile/0/001.p")) for name in await objects(there))
    copy = open_local(tmp_path / "copy")
    database = tmp_path / "copy" / "ledger.sqlite"
    async with open_world(database, copy, clock=clock, export=Export(there)) as back:
        assert await faults(back) == []
        await fill(back.store, 1, "own")
        assert await export(back.store) == head + 1
    await copy.close()
    await dataplane.close()
