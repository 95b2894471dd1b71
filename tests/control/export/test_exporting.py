"""What an export leaves in storage at each moment, and what a kill at any step leaves of it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from registry.contract.archive import Archive
from registry.contract.events import decode_entry
from registry.contract.tlog import ed25519, note, tiles
from registry.contract.tlog.merkle import leaf_hash, tree_hash
from registry.contract.tlog.tiles import CHECKPOINT, Place
from registry.control.export import Export, reading
from registry.control.export.examining import examine, read_bundles
from registry.control.export.exporter import VERIFIER
from registry.control.export.runner import run
from registry.control.export.state import WORK, status
from registry.control.work import load
from tests.control.export.writing import Doomed, Killed, export, fill, objects
from tests.control.world import World


async def verify(world: World, archive: Archive) -> int:
    """The archive is whole and is the beginning of the ledger; how many events it has."""
    signed = await reading.checkpoint(archive)
    assert signed is not None
    stored = signed.checkpoint
    examined = await examine(archive, stored)
    assert (examined.faults, examined.events) == ([], stored.size)
    page = await world.session.ledger.page(after=0, limit=max(1, stored.size))
    envelopes = [event.envelope for event in page.items]
    found: list[bytes] = []
    async for _, entries in read_bundles(archive, stored.size):
        assert isinstance(entries, list)
        found += entries
    assert found == envelopes
    assert stored.root == tree_hash([leaf_hash(envelope) for envelope in envelopes])
    return stored.size


async def test_the_ledger_is_in_storage_as_a_tiled_log(exported: World, archive: Archive) -> None:
    await fill(exported.store, 600)
    assert await export(exported.store) == 600
    assert await verify(exported, archive) == 600
    names = set(await objects(archive))
    assert names == {
        CHECKPOINT,
        VERIFIER,
        *(place.name for place in tiles.all_tiles(600)),
        *(place.name for place in tiles.bundles(600)),
    }
    bundle = await archive.get(Place(None, 1).name)
    assert bundle is not None
    entries = tiles.part(bundle, 256)
    assert [decode_entry(entry).seq for entry in entries] == list(range(257, 513))


async def test_an_export_goes_on_where_it_was_and_drops_partial_tiles_that_are_full(
    exported: World, archive: Archive
) -> None:
    total = 0
    for count in (1, 1, 98, 155, 1, 0, 300, 212, 1):
        await fill(exported.store, count, f"more{total}")
        total += count
        assert await export(exported.store) == total
        assert await verify(exported, archive) == total
    found = await objects(archive)
    partial = sorted(name for name in found if ".p/" in name)
    assert partial == sorted(
        [
            *(f"tile/1/000.p/{width}" for width in (1, 2, 3)),
            "tile/0/003.p/1",
            "tile/entries/003.p/1",
        ]
    )


async def test_the_checkpoint_is_signed_by_one_key_that_stays(exported: World, archive: Archive) -> None:
    await fill(exported.store, 3)
    await export(exported.store)
    key = (await load(exported.store.core, WORK))["key"]
    await fill(exported.store, 3, "others")
    await export(exported.store)
    signed = await reading.checkpoint(archive)
    assert signed is not None
    note.verify(signed, ed25519.signer(key, signed.checkpoint.origin).public)
    note.verify(signed, ed25519.verifier((await archive.get(VERIFIER) or b"").decode()))
    assert signed.checkpoint.origin.startswith("artifact-store.dev/ledger/")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_who_is_killed_at_any_step_is_followed_by_one_who_completes_it(
    exported: World, archive: Archive, *, after: bool
) -> None:
    """The first export ends in partial tiles, the second makes them full: every write of both is a step."""
    safe = 0
    await fill(exported.store, 250)
    for stage in range(2):
        step = 1
        while True:
            doomed = Doomed(archive, step, after=after)
            try:
                await export(exported.store, doomed)
                break
            except Killed:
                step += 1
            if safe:
                assert await verify(exported, archive) >= safe
        assert step > 3
        safe = await verify(exported, archive)
        assert safe == await exported.head()
        if stage == 0:
            await fill(exported.store, 300, "second")
    await fill(exported.store, 1, "third")
    assert await export(exported.store) == safe + 1
    leftovers = {name for name in await objects(archive) if name.startswith(("tile/0/000.p", "tile/0/001.p"))}
    assert leftovers == set()


async def test_a_running_export_stays_within_its_bound(
    exported: World, archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    core = exported.store.core
    task = asyncio.create_task(run(core, Export(archive, lag=0.2)))
    try:
        for number in range(3):
            await fill(exported.store, 40, f"turn{number}")
            async with asyncio.timeout(5):
                while (await status(core)).exported < await exported.head():
                    await asyncio.sleep(0.05)
        found = await status(core)
        assert (found.exported, found.head, found.lag_seconds, found.fault) == (120, 120, 0.0, None)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await verify(exported, archive) == 120
    assert caplog.records == []


async def test_two_processes_export_one_ledger(exported: World, archive: Archive) -> None:
    core = exported.store.core
    tasks = [asyncio.create_task(run(core, Export(archive, lag=0.05))) for _ in range(3)]
    try:
        for number in range(10):
            await fill(exported.store, 100, f"turn{number}")
            await asyncio.sleep(0.05)
        async with asyncio.timeout(10):
            while (await status(core)).exported < 1000:
                await asyncio.sleep(0.05)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert await verify(exported, archive) == 1000


async def test_lag_is_told(exported: World) -> None:
    await fill(exported.store, 10)
    await export(exported.store)
    await fill(exported.store, 5, "later")
    exported.clock.advance(3_000_000)
    found = await status(exported.store.core)
    assert (found.exported, found.head) == (10, 15)
    assert 3.0 <= found.lag_seconds < 4.0
