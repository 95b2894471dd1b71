"""A database of no lasting, in which the ledger is replayed beside the views it is compared with."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from registry.control.sql import replay

T = TypeVar("T")


class Scratch:
    """Empty views on a thread of their own. Runs the same steps as `registry.control.sql.opening.Offline`."""

    def __init__(self, connection: Connection, thread: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._thread = thread

    async def run(self, step: Callable[..., T], *arguments: Any) -> T:
        """Run `step(connection, *arguments)`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, step, self._connection, *arguments)


@asynccontextmanager
async def open_scratch() -> AsyncIterator[Scratch]:
    """Views in a temporary file, so that their size is no matter of memory."""
    with tempfile.TemporaryDirectory(prefix="artifact-store-") as folder:
        engine = _engine(Path(folder) / "views.sqlite")
        with ThreadPoolExecutor(1, "scratch") as thread, engine.connect() as connection:
            scratch = Scratch(connection, thread)
            await scratch.run(replay.drop_views)
            yield scratch
        engine.dispose()


def _engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite+pysqlite:///{path}", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    event.listen(engine, "connect", _hasten)
    return engine


def _hasten(connection: Any, _record: object) -> None:
    """Nothing here must survive anything."""
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
