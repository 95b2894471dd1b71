"""A store of the first format and schema, upgraded by `serve`, which is killed while it does so.

The old store is made from one of today: all its content as loose files without packs and index, and its
tables' rows in a database that the first migration made.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from alembic import command as alembic
from alembic.config import Config
from sqlalchemy import Engine, create_engine

from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.digest import Algorithm, Digest
from registry.control.sql import migrate
from registry.dataplane import open_local
from tests.faults.doomed import Doomed, Life, verify_doomed
from tests.faults.kills import EAGER, check
from tests.faults.wire import ask
from tests.server.program import command, environment, serving

_FIRST = "0001"


def make_old(folder: Path, chance: random.Random) -> list[Doomed]:
    """An old store in `folder`/data, and what it holds."""
    held = []
    with serving(folder, "--log-access", "false", "--pack-every", "0", "--care-collect", "0") as server:
        for number in range(6):
            files = [chance.randbytes(size) for size in (700, 90_000)]
            kept = (Doomed.image if number % 2 else Doomed.package)("old/store", f"v{number}", files)
            for method, target, body, headers in kept.pushes():
                assert ask(server, method, target, body, **headers).status == 201
            kept.life = Life.SURE
            held.append(kept)
        assert server.stop() == 0
    data = folder / "data"
    asyncio.run(_make_loose(data))
    _to_first_schema(data / "ledger.sqlite")
    return held


async def _make_loose(data: Path) -> None:
    store = open_local(data)
    contents = [address async for _, address, _ in store.contents()]
    files = {address: await store.get(DEFAULT_DOMAIN, address, 1 << 20) for address in contents}
    await store.close()
    for area in ("packs", "index", "content"):
        shutil.rmtree(data / area)
    for address, whole in files.items():
        assert Digest.of(whole, Algorithm.BLAKE3) == address
        path = data / "content" / DEFAULT_DOMAIN / address.hex[:2] / address.hex
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(whole)
    (data / "FORMAT").write_text("artifact-store data plane, format 1\n")


def _to_first_schema(path: Path) -> None:
    """The database's rows in the tables and columns that the first schema had."""
    today = path.with_name("today.sqlite")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(today),))
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    engine = create_engine(f"sqlite:///{path}")
    _migrate_to_first(engine)
    engine.dispose()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("ATTACH ? AS today", (str(today),))
        tables = [
            name
            for (name,) in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")
            if name != "alembic_version" and not name.startswith("sqlite_")
        ]
        for table in tables:
            columns = ", ".join(_columns(connection, "main", table) & _columns(connection, "today", table))
            if columns:
                connection.execute(f"DELETE FROM main.{table}")
                connection.execute(
                    f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM today.{table}"
                )
    today.unlink()


def _migrate_to_first(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.upgrade(config, _FIRST)


def _columns(connection: sqlite3.Connection, schema: str, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA {schema}.table_info({table})")}


def run_upgrades(folder: Path, seeds: Sequence[int]) -> int:
    """One upgrade for each seed, killed at a random moment, and how many were. Fails with the seed."""
    old = folder / "old"
    old.mkdir()
    held = make_old(old, random.Random("old"))
    begun = time.monotonic()
    _upgrade(old, folder / "measured", None)
    whole = time.monotonic() - begun
    for seed in seeds:
        copy = folder / f"upgrade-{seed}"
        _upgrade(old, copy, random.Random(seed).uniform(0.1, 1.0) * whole)
        with serving(copy, *EAGER) as server:
            verify_doomed(server, held)
            assert server.stop() == 0, f"seed {seed}"
            assert "Traceback" not in server.log.read_text(), f"seed {seed}"
        check(copy)
        shutil.rmtree(copy)
    return len(seeds)


def _upgrade(old: Path, copy: Path, seconds: float | None) -> None:
    """Start a server on a copy of the old store, and kill it then; None waits until it listens."""
    shutil.copytree(old, copy)
    if seconds is None:
        with serving(copy, *EAGER):
            return
    process = subprocess.Popen(
        command("serve", "--data", str(copy / "data"), "--listen", "127.0.0.1:0", *EAGER),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
