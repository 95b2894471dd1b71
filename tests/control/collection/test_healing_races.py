"""Pushes beside a scrub that has just found the same content corrupt: what was acknowledged stays."""

from __future__ import annotations

from pathlib import Path

from registry.contract.events import ContentMissing
from registry.control import healing, recording
from registry.control.core import SYSTEM
from registry.control.fsck import fsck
from registry.control.sql.transaction import Transaction
from tests.control.collection.test_scrubbing import LAYERS, MONTH, damage, fill, scrub
from tests.control.collection.world import DOMAIN, World

DATA = LAYERS[1]


async def test_a_push_before_the_quarantine_is_left_alone(world: World, tmp_path: Path) -> None:
    await fill(world)
    address = await world.address_of(DATA)
    for push in (world.push_blob, world.push_staged):
        await damage(world, tmp_path, DATA)
        fault = await healing.examine(world.store.core, DOMAIN, address)
        assert fault is not None
        await push(DATA)
        assert await healing.repair(world.store.core, DOMAIN, address, fault)
        assert await world.read(DATA) == DATA
    assert await world.events("content.missing") == []
    assert (await fsck(world.store.core)).faults == []


async def test_a_push_between_quarantine_and_the_record_is_not_called_missing(
    world: World, tmp_path: Path
) -> None:
    await fill(world)
    address = await world.address_of(DATA)
    await damage(world, tmp_path, DATA)
    assert not await world.dataplane.quarantine(DOMAIN, address)
    await world.push_staged(DATA)
    await recording.note_missing(world.store.core, SYSTEM, DOMAIN, address, "found corrupt a moment ago")
    assert await world.read(DATA) == DATA
    assert await world.events("content.missing") == []


async def test_a_push_heals_what_nobody_has_found_yet(world: World, tmp_path: Path) -> None:
    await fill(world)
    await damage(world, tmp_path, DATA)
    await world.push_staged(DATA)
    assert (await fsck(world.store.core)).faults == []
    assert (await scrub(world, MONTH + 1)).faults == 0


async def test_content_called_missing_whose_bytes_are_there_is_welcomed_back(world: World) -> None:
    """A crash came after the record and before the second look."""
    await fill(world)
    address = await world.address_of(DATA)

    def change(tx: Transaction) -> None:
        tx.emit(ContentMissing(DOMAIN, address, "found corrupt"))

    await world.store.core.database.write(SYSTEM, change)
    assert not await world.has_blob(DATA)
    assert (await scrub(world, MONTH + 1)).healed == 1
    assert await world.read(DATA) == DATA
    await world.rebuilds_to_the_same()
