"""A database that fails: its disk is full, it is newer than the program, it is damaged, it is silent."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from registry.contract.errors import ErrorKind, StoreError
from registry.control import open_store
from registry.control.sql.faults import translate
from registry.dataplane import open_local, open_memory
from tests.control.servers import PostgresServer
from tests.control.world import World, blake3, open_world


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with 2 MiB of room, by a file system in memory, which takes an administrator to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_full_disk_is_said_and_forgotten_when_there_is_room(small_disk: Path) -> None:
    dataplane = open_memory()
    async with open_world(small_disk / "ledger.sqlite", dataplane) as world:
        await world.push_blob(b"before")
        ballast = small_disk / "ballast"
        room = shutil.disk_usage(small_disk).free
        ballast.write_bytes(b"x" * (room - 64 * 1024))
        stored = await push_until_full(world)
        head = await world.head()
        with pytest.raises(StoreError) as caught:
            await world.push_blob(b"still full" * 100)
        assert caught.value.kind is ErrorKind.STORAGE_FULL
        assert "full" in caught.value.message
        assert await world.head() == head
        assert (await world.session.contents.get(blake3(b"before"))).size == 6
        ballast.unlink()
        await world.push_blob(b"after")
        for number in range(stored):
            assert (await world.session.contents.get(blake3(b"%d" % number))).size
        await world.check()
    await dataplane.close()


async def push_until_full(world: World) -> int:
    """How many blobs went in before the first refusal."""
    for number in range(10_000):
        try:
            await world.push_blob(b"%d" % number)
        except StoreError as error:
            assert error.kind is ErrorKind.STORAGE_FULL, error
            return number
    raise AssertionError("the disk did not fill up")


async def test_a_newer_database_is_refused_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    dataplane = open_memory()
    async with open_world(file, dataplane):
        pass
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError) as caught:
        await open_store(dataplane, file)
    assert "9999" in caught.value.message
    assert "newer" in caught.value.message
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)
    await dataplane.close()


async def test_a_file_that_is_no_database_is_damaged_and_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    file.write_bytes(b"this is no database\n" * 100)
    dataplane = open_memory()
    with pytest.raises(StoreError) as caught:
        await open_store(dataplane, file)
    assert caught.value.kind is ErrorKind.INTERNAL
    assert "damaged" in caught.value.message
    assert file.read_bytes().startswith(b"this is no database")
    await dataplane.close()


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    dataplane = open_memory()
    with pytest.raises(StoreError) as caught:
        await open_store(dataplane, tmp_path / "nowhere" / "ledger.sqlite")
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    await dataplane.close()


async def test_a_server_that_does_not_answer_is_unavailable() -> None:
    dataplane = open_memory()
    with pytest.raises(StoreError) as caught:
        await open_store(dataplane, "postgresql+asyncpg://nobody@127.0.0.1:1/none")
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    await dataplane.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda url: url.replace("/store_", "/no_store_"), "no database of that name"),
        (lambda url: url.replace("://postgres:", "://nobody:"), "refuses this user"),
        (lambda url: f"{url}&sslmode=verify", "URL cannot be used: `sslmode` parameter must be one of"),
    ],
)
async def test_what_an_administrator_has_to_mend_is_said(
    postgres: PostgresServer, change: Callable[[str], str], said: str
) -> None:
    dataplane = open_memory()
    with pytest.raises(StoreError, match=said) as caught:
        await open_store(dataplane, change(postgres.new_database()))
    assert caught.value.kind is ErrorKind.INTERNAL
    await dataplane.close()


async def test_a_database_that_another_program_holds_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A foreign writer, who does not queue on our lock: nothing is lost, and the next one gets through."""
    monkeypatch.setattr("registry.control.sql.sqlite._BUSY_SECONDS", 0.2)
    dataplane = open_local(tmp_path / "data")
    async with open_world(tmp_path / "ledger.sqlite", dataplane) as world:
        with closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as foreign:
            foreign.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError) as caught:
                await world.push_blob(b"blocked")
            assert caught.value.kind is ErrorKind.UNAVAILABLE
            assert caught.value.detail["retry_after"] == 1
            foreign.execute("ROLLBACK")
        await world.push_blob(b"blocked")
        await world.check()
    await dataplane.close()


class PretendError(Exception):
    """No error of a database."""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(28, "No space left on device"), ErrorKind.STORAGE_FULL),
        (ConnectionRefusedError(111, "refused"), ErrorKind.UNAVAILABLE),
        (sqlite3.ProgrammingError("wrong number of parameters"), ErrorKind.INTERNAL),
        (PretendError("disk full, database is locked"), ErrorKind.INTERNAL),
        (StoreError(ErrorKind.HELD, "held"), ErrorKind.HELD),
    ],
)
def test_exceptions_are_told_by_what_they_are(error: Exception, kind: ErrorKind) -> None:
    assert translate(error).kind is kind
