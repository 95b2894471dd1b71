"""`artifact-store doctor` finds what is wrong, and nothing where nothing is."""

import asyncio
import json
import os
import socket
from pathlib import Path

import pytest
from sqlalchemy import text

from registry.control.sql import migrate
from registry.control.sql.opening import open_offline
from registry.server.doctor import examine
from registry.server.folder import lock_exclusive
from registry.server.settings import load
from tests.control import servers
from tests.server.program import run, serving


def findings(data: Path, **flags: str) -> dict[str, tuple[str, str]]:
    settings = load({"data": str(data), "listen": "127.0.0.1:0", **flags}, {}).settings
    return {finding.name: (finding.state, finding.text) for finding in examine(settings)}


def test_a_healthy_place_is_healthy_before_and_after_the_first_start(tmp_path: Path) -> None:
    before = run("doctor", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0", "--json")
    assert before.returncode == 0, before.stdout
    assert json.loads(before.stdout)["ok"] is True
    assert not (tmp_path / "data").exists()
    with serving(tmp_path) as server:
        listen = server.url.removeprefix("http://")
        beside = run("doctor", "--data", str(tmp_path / "data"), "--listen", listen)
        assert beside.returncode == 0, beside.stdout
        assert "an artifact-store answers" in beside.stdout
        server.stop()
    after = findings(tmp_path / "data")
    assert {state for state, _ in after.values()} <= {"ok", "notice"}
    assert "schema" in after["database"][1]


def test_a_taken_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        # Nobody accepts there, so nobody says that it is an artifact-store.
        state, text = findings(tmp_path, listen=f"127.0.0.1:{taken.getsockname()[1]}")["address"]
    assert state == "trouble"
    assert "in use" in text


def test_an_address_that_would_be_refused(tmp_path: Path) -> None:
    assert findings(tmp_path, listen="0.0.0.0:0")["address"][0] == "trouble"


def test_a_folder_others_can_read(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    state, text = findings(tmp_path)["data folder"]
    assert state == "notice"
    assert "chmod 700" in text


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert findings(tmp_path / "data")["data folder"][0] == "trouble"


def test_a_folder_at_work(tmp_path: Path) -> None:
    with lock_exclusive(tmp_path, "rebuild"):
        state, text = findings(tmp_path)["lock"]
    assert state == "trouble"
    assert "rebuild" in text


@pytest.mark.parametrize("text", ["artifact-store data plane, format 999\n", "what is this"])
def test_a_format_nobody_knows(tmp_path: Path, text: str) -> None:
    (tmp_path / "FORMAT").write_text(text)
    assert findings(tmp_path)["format"][0] == "trouble"


def test_a_database_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(
        b"this is no database at all, but long enough to be read as one" * 20
    )
    assert findings(tmp_path)["database"][0] == "trouble"


def test_a_database_server_that_is_not_there(tmp_path: Path) -> None:
    found = findings(tmp_path, database_url="postgresql+asyncpg://127.0.0.1:1/none")
    assert found["database"][0] == "trouble"


def test_a_schema_of_a_later_release_is_trouble_unless_it_is_good_for_us(tmp_path: Path) -> None:
    server = servers.start()
    try:
        url = server.new_database()
        for oldest, expected in (("9999", "trouble"), (migrate.CURRENT, "notice")):
            asyncio.run(_to_later_schema(url, oldest))
            state, text = findings(tmp_path, database_url=url)["database"]
            assert (state, "newer" in text) == (expected, True)
    finally:
        server.close()


async def _to_later_schema(url: str, oldest: str) -> None:
    async with open_offline(url) as offline:
        for statement in (
            "UPDATE alembic_version SET version_num = '9998'",
            f"COMMENT ON TABLE alembic_version IS 'works with programs from schema {oldest} on'",
        ):
            await offline.run(lambda connection, words: connection.execute(text(words)), statement)


def test_a_clock_that_was_set_back(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").touch()
    os.utime(tmp_path / "ledger.sqlite", (4e9, 4e9))
    state, text = findings(tmp_path)["clock"]
    assert state == "trouble"
    assert "set the clock" in text


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("nothing")
    pair = {"tls_cert": str(tmp_path / "cert.pem"), "tls_key": str(tmp_path / "cert.pem")}
    state, text = findings(tmp_path, **pair)["certificate"]
    assert (state, "as PEM" in text) == ("trouble", True)
    missing = {"tls_cert": str(tmp_path / "none.pem"), "tls_key": str(tmp_path / "none.pem")}
    state, text = findings(tmp_path, **missing)["certificate"]
    assert (state, text) == ("trouble", f"cannot read {tmp_path / 'none.pem'}: No such file or directory")
