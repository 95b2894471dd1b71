"""fsck, rebuild, backup and migrate as commands, on a folder that nobody serves and beside a live server."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from oci.client.registry import RegistryClient
from oci.client.transport import Transport, TransportSettings
from registry.contract.names import Repository, Tag
from tests.cli.conftest import Runner

DEMO = Repository("demo")


@asynccontextmanager
async def serving(cli: Runner, data: Path) -> AsyncIterator[str]:
    """A server of its own on `data`, as `host:port`."""
    process = await cli.start("serve", "--data", data, "--listen", "127.0.0.1:0")
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
    assert line.startswith("listening on http://"), line
    try:
        yield line.removeprefix("listening on http://").strip()
    finally:
        process.terminate()
        assert (await cli.end(process)).code == 0


@pytest.fixture
async def data(cli: Runner, tmp_path: Path, folder: Path) -> Path:
    """A data folder with a package in it; nobody serves it any more."""
    place = tmp_path / "data"
    async with serving(cli, place) as server:
        assert (await cli("push", f"{server}/{DEMO}:v1", folder)).code == 0
    return place


def victim(data: Path) -> Path:
    """The largest object of the store, which no metadata depends on."""
    return max(
        (path for path in data.rglob("*") if len(path.name) >= 60), key=lambda path: path.stat().st_size
    )


async def test_a_sound_store(cli: Runner, data: Path) -> None:
    shown = await cli("fsck", "--data", data)
    assert (shown.code, shown.err) == (0, "")
    assert "no fault" in shown.out
    told = await cli("fsck", "--data", data, "--json")
    assert told.code == 0
    assert told.document["ok"] is True
    assert told.document["faults"] == []
    assert told.document["bytes"] > 3 * 1024 * 1024
    quick = await cli("fsck", "--data", data, "--structure-only", "--json")
    assert (quick.code, quick.document["bytes"]) == (0, 0)


async def test_faults_are_named_and_end_with_1(cli: Runner, data: Path) -> None:
    target = victim(data)
    target.chmod(0o600)
    target.write_bytes(b"x" + target.read_bytes()[1:])
    told = await cli("fsck", "--data", data, "--json")
    assert told.code == 1
    assert [fault["kind"] for fault in told.document["faults"]] == ["content"]
    assert target.name[-60:] in told.document["faults"][0]["message"]
    shown = await cli("fsck", "--data", data)
    assert shown.code == 1
    assert "corrupt" in shown.out


async def test_rebuild_mends_views(cli: Runner, data: Path) -> None:
    with closing(sqlite3.connect(data / "ledger.sqlite")) as connection, connection:
        connection.execute("DELETE FROM tags")
    assert (await cli("fsck", "--data", data)).code == 1
    told = await cli("rebuild", "--data", data, "--json")
    assert told.code == 0
    assert told.document["differing"] == ["tags"]
    assert (await cli("fsck", "--data", data)).code == 0
    again = await cli("rebuild", "--data", data)
    assert again.code == 0
    assert "every view was as it should be" in again.out


async def test_rebuild_says_what_bytes_are_gone(cli: Runner, data: Path) -> None:
    for path in (data / "packs").rglob("*.pack"):
        path.unlink()
    told = await cli("rebuild", "--data", data, "--json")
    assert told.code == 1
    assert told.document["ok"] is False
    assert "not there" in told.document["faults"][0]


@pytest.mark.parametrize("command", ["fsck", "rebuild", "backup", "migrate"])
async def test_a_folder_without_a_store_is_not_made_one(cli: Runner, tmp_path: Path, command: str) -> None:
    more = [tmp_path / "copy"] if command == "backup" else []
    told = await cli(command, "--data", tmp_path / "nowhere", *more)
    assert told.code == 2
    assert "no store" in told.err
    assert not (tmp_path / "nowhere").exists()


async def test_beside_a_live_server(cli: Runner, data: Path, folder: Path, tmp_path: Path) -> None:
    """fsck and backup run; rebuild needs the folder for itself and says so."""
    async with serving(cli, data) as server:
        pushing = await cli.start("push", f"{server}/{DEMO}:v2", folder)
        checked, copied = await asyncio.gather(
            cli("fsck", "--data", data, "--json"), cli("backup", "--data", data, tmp_path / "copy", "--json")
        )
        assert (await cli.end(pushing)).code == 0
        assert (checked.code, checked.document["faults"]) == (0, [])
        assert (copied.code, copied.document["faults"]) == (0, 0)
        refused = await cli("rebuild", "--data", data)
        assert refused.code == 2
        assert "in use" in refused.err
    assert (await cli("rebuild", "--data", data)).code == 0


async def test_a_backup_is_served_as_it_is(cli: Runner, data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    first = await cli("backup", "--data", data, copy, "--json")
    assert (first.code, first.document["kept"]) == (0, 0)
    assert first.document["contents"] > 0
    second = await cli("backup", "--data", data, copy, "--json")
    assert (second.document["contents"], second.document["kept"]) == (0, first.document["contents"])
    assert (await cli("fsck", "--data", copy)).code == 0
    async with serving(cli, copy) as server, Transport(server, TransportSettings()) as transport:
        tags = [tag async for tag in RegistryClient(transport).tags(DEMO)]
    assert tags == [Tag("v1")]


async def test_migrate_finds_the_schema_as_it_should_be(cli: Runner, data: Path) -> None:
    shown = await cli("migrate", "--data", data)
    assert (shown.code, shown.out.strip()) == (0, "the database is up to date")
    told = await cli("migrate", "--data", data, "--json")
    assert told.document == {"ok": True, "changed": False}


async def test_a_newer_database_is_refused_by_every_command(cli: Runner, data: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(data / "ledger.sqlite")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for command in (["fsck"], ["backup", tmp_path / "copy"], ["migrate"], ["rebuild"]):
        told = await cli(command[0], "--data", data, *command[1:])
        assert told.code == 2, command
        assert "newer" in told.err
