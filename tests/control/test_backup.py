"""A backup opens as a store, holds everything, and the next one costs what is new."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.errors import ErrorKind
from registry.contract.names import Tag
from registry.control import collection
from registry.control.backup import BackedUp, backup
from registry.control.work import hold
from registry.dataplane import open_local, open_memory
from tests.control.servers import PostgresServer
from tests.control.tiers.world import LARGE, TO_SHELF, TO_TAPE, move_all, open_tiered
from tests.control.world import DEMO, World, blake3, image, open_world, refused


async def copy(world: World, folder: Path) -> BackedUp:
    folder.mkdir(exist_ok=True)
    target = open_local(folder)
    try:
        return await backup(world.store.core, target, folder / "ledger.sqlite")
    finally:
        await target.close()


async def expect(folder: Path, tags: dict[str, bytes]) -> None:
    """The copy opens and is sound."""
    dataplane = open_local(folder)
    async with open_world(folder / "ledger.sqlite", dataplane) as world:
        for tag, data in tags.items():
            assert (await world.session.manifests.get(DEMO, Tag(tag))).data == data
        await world.check()
    await dataplane.close()


async def test_a_copy_is_a_store_and_the_next_copies_what_is_new(tmp_path: Path) -> None:
    dataplane = open_local(tmp_path / "data")
    async with open_world(tmp_path / "data" / "ledger.sqlite", dataplane) as world:
        await world.push_image("v1")
        first = await copy(world, tmp_path / "copy")
        assert (first.contents, first.kept, first.faults) == (3, 0, 0)
        assert first.bytes == len(b"{}") + len(b"layer") + len(image())
        await expect(tmp_path / "copy", {"v1": image()})
        await world.push_image("v2", [b"new"])
        second = await copy(world, tmp_path / "copy")
        assert (second.contents, second.kept, second.faults) == (2, 3, 0)
        await expect(tmp_path / "copy", {"v1": image(), "v2": image([b"new"])})
    await dataplane.close()


async def test_what_is_away_is_told_and_what_is_at_hand_elsewhere_is_copied(tmp_path: Path) -> None:
    for tiers, copied, away in ((TO_SHELF, 3, 0), (TO_TAPE, 1, 2)):
        root = tmp_path / tiers.rules[0].to
        root.mkdir()
        async with open_tiered(root / "ledger.sqlite", root, tiers) as world:
            await world.push_image("v1", [LARGE])
            await move_all(world)
            done = await copy(world, root / "copy")
            assert (done.contents, done.away, done.faults) == (copied, away, 0)


async def test_what_a_server_left_beside_an_older_copy_is_dropped(tmp_path: Path) -> None:
    """A crash of a server on the copy leaves a log, which must not be played into the newer file."""
    dataplane = open_local(tmp_path / "data")
    async with open_world(tmp_path / "data" / "ledger.sqlite", dataplane) as world:
        await world.push_image("v1")
        await copy(world, tmp_path / "copy")
        with closing(sqlite3.connect(tmp_path / "copy" / "ledger.sqlite")) as crashed:
            crashed.execute("PRAGMA wal_autocheckpoint = 0")
            crashed.execute("UPDATE tags SET name = 'spoilt'")
            crashed.commit()
            log = (tmp_path / "copy" / "ledger.sqlite-wal").read_bytes()
        (tmp_path / "copy" / "ledger.sqlite-wal").write_bytes(log)
        await world.push_image("v2", [b"new"])
        await copy(world, tmp_path / "copy")
        await expect(tmp_path / "copy", {"v1": image(), "v2": image([b"new"])})
    await dataplane.close()


async def test_a_copy_beside_a_live_writer_is_one_moment(tmp_path: Path) -> None:
    dataplane = open_local(tmp_path / "data")
    async with open_world(tmp_path / "data" / "ledger.sqlite", dataplane) as world:
        done = False

        async def write() -> None:
            number = 0
            while not done:
                number += 1
                await world.push_image(f"t{number}", [f"live {number}".encode()])

        writer = asyncio.create_task(write())
        await asyncio.sleep(0.1)
        assert (await copy(world, tmp_path / "copy")).faults == 0
        done = True
        await writer
    await dataplane.close()
    await expect(tmp_path / "copy", {})


async def test_content_that_cannot_be_read_is_counted_and_the_rest_copied(tmp_path: Path) -> None:
    dataplane = open_local(tmp_path / "data")
    async with open_world(tmp_path / "data" / "ledger.sqlite", dataplane) as world:
        await world.push_image("v1")
        await dataplane.remove(DEFAULT_DOMAIN, blake3(b"layer"))
        done = await copy(world, tmp_path / "copy")
        assert (done.contents, done.faults) == (2, 1)
    await dataplane.close()


async def test_a_database_server_has_tools_of_its_own(postgres: PostgresServer, tmp_path: Path) -> None:
    dataplane = open_memory()
    async with open_world(postgres.new_database(), dataplane) as world:
        async with refused(world, ErrorKind.UNAVAILABLE) as seen:
            await copy(world, tmp_path / "copy")
        assert seen.error is not None
        assert "pg_dump" in seen.error.message
    await dataplane.close()


@pytest.mark.parametrize("leftover", [b"", b"half a database"])
async def test_a_backup_that_was_cut_off_is_begun_anew(tmp_path: Path, leftover: bytes) -> None:
    dataplane = open_local(tmp_path / "data")
    async with open_world(tmp_path / "data" / "ledger.sqlite", dataplane) as world:
        await world.push_image("v1")
        (tmp_path / "copy").mkdir()
        (tmp_path / "copy" / "ledger.sqlite.unfinished").write_bytes(leftover)
        await copy(world, tmp_path / "copy")
        assert not (tmp_path / "copy" / "ledger.sqlite.unfinished").exists()
        await expect(tmp_path / "copy", {"v1": image()})
    await dataplane.close()


async def test_a_backup_and_a_collection_never_run_at_once(tmp_path: Path) -> None:
    """A collection between the snapshot and the copies would take content that the snapshot names."""
    dataplane = open_local(tmp_path / "data")
    async with open_world(tmp_path / "data" / "ledger.sqlite", dataplane) as world:
        await world.push_image("v1")
        async with hold(world.store.core, collection.WORK):
            copying = asyncio.create_task(copy(world, tmp_path / "copy"))
            await asyncio.sleep(0.3)
            assert not (tmp_path / "copy" / "ledger.sqlite").exists()
            assert not copying.done()
        assert (await copying).faults == 0
        await expect(tmp_path / "copy", {"v1": image()})
    await dataplane.close()
