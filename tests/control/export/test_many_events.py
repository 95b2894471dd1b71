"""A long ledger is exported and written back in memory that does not grow with it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.contract.archive import Archive
from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.events import Entry, RepositoryCreated, encode_entry
from registry.contract.names import Repository
from registry.control.export import Export, reading
from registry.control.export.examining import examine
from registry.control.recovery import ledger
from registry.control.sql import recovering
from registry.control.sql.opening import migrate_database, open_offline
from registry.dataplane import open_memory
from tests.control.export.writing import export
from tests.control.world import START, open_world

EVENTS = 100_000
MIB = 1 << 20


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@contextlib.asynccontextmanager
async def growth() -> AsyncIterator[list[int]]:
    """Looks at memory fifty times a second; afterwards has how much more there was at most."""
    before = resident()
    highest = [0]

    async def look() -> None:
        while True:
            highest[0] = max(highest[0], resident() - before)
            await asyncio.sleep(0.02)

    task = asyncio.create_task(look())
    yield highest
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def write_ledger(database: Path, count: int) -> None:
    """A ledger without views: what is exported is the ledger alone."""
    await migrate_database(database)
    at_once = 10_000
    for start in range(0, count, at_once):
        entries = [
            encode_entry(
                Entry(
                    seq, START + seq, "filler", RepositoryCreated(Repository(f"many/r{seq}"), DEFAULT_DOMAIN)
                )
            )
            for seq in range(start + 1, start + at_once + 1)
        ]
        async with open_offline(database) as offline:
            await offline.run(recovering.append, start, entries)


@pytest.mark.slow
async def test_100000_events_pass_through_little_memory(
    tmp_path: Path, archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "ledger.sqlite"
    await write_ledger(database, EVENTS)
    dataplane = open_memory()
    async with open_world(database, dataplane, export=Export(archive)) as world:
        begun = time.perf_counter()
        async with growth() as out:
            assert await export(world.store) == EVENTS
        exported = time.perf_counter() - begun
    signed = await reading.checkpoint(archive)
    assert signed is not None
    begun = time.perf_counter()
    async with growth() as back:
        examined = await examine(archive, signed.checkpoint)
        await ledger.prepare(tmp_path / "back.sqlite", archive, signed.checkpoint, examined, resume=False)
        await ledger.write(tmp_path / "back.sqlite", archive, signed.checkpoint, examined, lambda _: None)
    returned = time.perf_counter() - begun
    count = len([name async for name in archive.names("")])
    with capsys.disabled():
        print(
            f"\n  {EVENTS} events: exported in {exported:.1f} s with {out[0] / MIB:.1f} MiB more, "
            f"{count} objects; verified and written back in {returned:.1f} s "
            f"with {back[0] / MIB:.1f} MiB more"
        )
    assert examined.faults == []
    # A bundle has some 50 KiB, the whole ledger 20 MiB.
    assert out[0] < 8 * MIB
    assert back[0] < 12 * MIB
    await dataplane.close()
