"""A PostgreSQL server that is cut off, restarted, busy, read-only, or waits for a process that sleeps."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from asyncpg.exceptions import InternalClientError  # type: ignore[import-untyped]
from sqlalchemy import text

from registry.contract.errors import ErrorKind, StoreError
from registry.control.core import SystemClock
from registry.control.sql import progress
from registry.control.sql.faults import lost_connection, translate
from registry.control.sql.opening import migrate_database, open_offline
from registry.control.sql.postgres import PostgresDatabase
from registry.control.sql.postgres_engine import Patience
from registry.control.sql.transaction import Transaction
from tests.control.servers import PostgresServer
from tests.faults.cable import Cable
from tests.replicas.postgres import Postgres, embedded

pytestmark = pytest.mark.slow

#: Seconds, so that a test need not wait for what waits in earnest.
SOON = Patience(connect=0.5, silence=0.4, idle=0.5, lock=1.5, pool=0.5)


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    """A fresh database, without a cable between."""
    return postgres.new_database()


@pytest.fixture
def cable(url: str) -> Iterator[Cable]:
    folder = parse_qs(urlsplit(url).query)["host"][0]
    made = Cable(Path(folder) / ".s.PGSQL.5432")
    yield made
    made.close()


@asynccontextmanager
async def opened(url: str, cable: Cable | None = None, **more: Any) -> AsyncIterator[PostgresDatabase]:
    if cable is not None:
        url = f"postgresql+asyncpg://postgres@127.0.0.1:{cable.port}{urlsplit(url).path}"
    database = PostgresDatabase(url, SystemClock(), patience=SOON, **more)
    try:
        yield database
    finally:
        await database.close()


async def put(database: PostgresDatabase, number: int) -> None:
    def change(tx: Transaction) -> None:
        progress.save(tx.connection, "test", {"number": number})

    await database.write("somebody", change)


def noise(seed: int) -> str:
    """A text that does not compress."""
    return random.Random(seed).randbytes(2000).hex()


async def save(database: PostgresDatabase, name: str, value: str) -> None:
    await database.write("somebody", lambda tx: progress.save(tx.connection, name, {"text": value}))


async def get(database: PostgresDatabase) -> int:
    found = await database.read(lambda connection: progress.load(connection, "test"))
    return int(found["number"])


async def run(url: str, statement: str) -> None:
    """In a transaction of its own."""
    async with open_offline(url) as offline:
        await offline.run(lambda connection: connection.execute(text(statement)))


@asynccontextmanager
async def unavailable_within(seconds: float) -> AsyncIterator[None]:
    begun = time.monotonic()
    with pytest.raises(StoreError) as caught:
        yield
    assert caught.value.kind is ErrorKind.UNAVAILABLE, caught.value
    assert caught.value.detail["retry_after"]
    assert time.monotonic() - begun < seconds


async def test_a_cut_is_noticed_and_over_when_it_is_mended(url: str, cable: Cable) -> None:
    async with opened(url, cable) as database:
        await put(database, 1)
        cable.cut()
        for _ in range(2):  # on a connection that was there, and on a new one
            async with unavailable_within(5):
                await database.head()
            async with unavailable_within(5):
                await get(database)
            async with unavailable_within(5):
                await put(database, 2)
        cable.mend()
        assert await get(database) == 1
        await put(database, 3)
        assert await get(database) == 3


async def test_who_comes_while_a_server_is_silent_is_told_with_those_who_were_there(
    url: str, cable: Cable
) -> None:
    async with opened(url, cable) as database:
        await put(database, 1)
        cable.cut()
        first = asyncio.create_task(put(database, 2))
        await asyncio.sleep(0.2)
        others = [asyncio.create_task(put(database, number)) for number in (3, 4)]
        await asyncio.wait([first])
        await asyncio.sleep(0)
        assert all(write.done() for write in others)
        told = await asyncio.gather(first, *others, return_exceptions=True)
        assert [isinstance(error, StoreError) and error.kind for error in told] == [ErrorKind.UNAVAILABLE] * 3
        cable.mend()
        await put(database, 5)
        assert await get(database) == 5


async def test_long_work_is_not_taken_for_silence(url: str) -> None:
    async with opened(url) as database:
        rows = await database.fetch("SELECT 1, pg_sleep(2)", {})
        assert rows[0][0] == 1


async def test_nobody_hears_of_connections_that_died_while_they_were_idle(url: str, cable: Cable) -> None:
    async with opened(url, cable) as database:
        await put(database, 1)
        await asyncio.gather(*(database.fetch("SELECT pg_sleep(0.1)", {}) for _ in range(4)))
        cable.snap()
        assert await get(database) == 1
        await asyncio.gather(*(database.fetch("SELECT pg_sleep(0.1)", {}) for _ in range(4)))
        cable.snap()
        await put(database, 2)
        await run(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        await put(database, 3)
        assert await get(database) == 3


async def test_a_sleeper_costs_the_other_writers_time_and_no_error(url: str) -> None:
    asleep = threading.Event()
    outcome: list[StoreError] = []

    async def doze() -> None:
        def change(tx: Transaction) -> None:
            progress.save(tx.connection, "test", {"number": 1})
            asleep.set()
            time.sleep(2)
            progress.save(tx.connection, "other", {"number": 1})

        async with opened(url) as sleeper:
            try:
                await sleeper.write("sleeper", change)
            except StoreError as error:
                outcome.append(error)
            await put(sleeper, 3)

    async with opened(url) as database:
        thread = threading.Thread(target=lambda: asyncio.run(doze()))
        thread.start()
        await asyncio.to_thread(asleep.wait)
        begun = time.monotonic()
        await put(database, 2)
        assert time.monotonic() - begun < 1.5
        await asyncio.to_thread(thread.join)
        assert [error.kind for error in outcome] == [ErrorKind.UNAVAILABLE]
        assert await get(database) == 3
        assert await database.read(lambda connection: progress.load(connection, "other")) == {}


def test_a_driver_that_lost_track_is_unavailable() -> None:
    error = InternalClientError('cannot switch to state 12; protocol is in the "failed" state')
    assert translate(error).kind is ErrorKind.UNAVAILABLE
    assert lost_connection(error)


async def test_a_foreign_lock_is_not_waited_for_without_end(url: str) -> None:
    async with opened(url) as database:
        await put(database, 1)
        async with open_offline(url) as foreign:
            await foreign.run(lambda connection: connection.execute(text("LOCK TABLE ledger_head")))
            async with unavailable_within(3):
                await put(database, 2)
        await put(database, 3)
        assert await get(database) == 3


async def test_a_server_that_only_reads_is_left_for_one_that_writes(url: str, cable: Cable) -> None:
    name = urlsplit(url).path.strip("/")
    async with opened(url, cable) as database:
        await put(database, 1)
        await run(url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        cable.snap()
        assert await get(database) == 1
        async with unavailable_within(3):
            await put(database, 2)
        await run(url.replace(name, "postgres"), f"ALTER DATABASE {name} RESET ALL")
        await put(database, 3)
        assert await get(database) == 3


async def test_more_work_than_connections_waits_for_a_while(url: str) -> None:
    async with opened(url, connections=4) as database:  # half of them for look-ups
        quick = [database.fetch("SELECT pg_sleep(0.1)", {}) for _ in range(6)]
        await asyncio.gather(*quick)
        slow = [asyncio.create_task(database.fetch("SELECT pg_sleep(1.5)", {})) for _ in range(2)]
        await asyncio.sleep(0.1)
        async with unavailable_within(1):
            await database.head()
        await asyncio.gather(*slow)
        await put(database, 1)


@pytest.fixture
def on_small_disk() -> Iterator[tuple[Postgres, Path]]:
    """A server of its own with little room, and a file that takes up most of it."""
    folder = Path(tempfile.mkdtemp(prefix="disk-"))
    command = ["mount", "-t", "tmpfs", "-o", "size=110m,mode=755", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        folder.rmdir()
        pytest.skip("mounting a small tmpfs needs root")
    try:
        server = Postgres(embedded(), within=folder, settings={"max_wal_size": "32MB", "wal_recycle": "off"})
        try:
            yield server, folder / "ballast"
        finally:
            server.close()
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


async def test_a_full_disk_is_said_and_forgotten_when_there_is_room(
    on_small_disk: tuple[Postgres, Path],
) -> None:
    server, ballast = on_small_disk
    await migrate_database(server.url())
    async with opened(server.url()) as database:
        ballast.write_bytes(bytes(shutil.disk_usage(ballast.parent).free - (256 << 10)))
        kept = 0
        with pytest.raises(StoreError) as caught:
            while kept < 1000:
                await save(database, f"number {kept}", noise(kept))
                kept += 1
        assert caught.value.kind is ErrorKind.STORAGE_FULL
        assert "full" in caught.value.message
        assert kept
        ballast.unlink()
        await save(database, f"number {kept}", "after")
        for number in range(kept):
            found = await database.read(partial(progress.load, work=f"number {number}"))
            assert found == {"text": noise(number)}
