"""A database to oneself for a moment, beside the processes that serve it."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from registry.control.sql.opening import Offline, open_offline
from registry.control.sql.statements import first

#: Whatever its id: a store that is closed has its head under another one (closing.py).
_LOCK = {
    "sqlite": "SELECT seq FROM ledger_head",
    "postgresql": "SELECT seq FROM ledger_head FOR UPDATE",
}


@asynccontextmanager
async def standstill(where: str | Path) -> AsyncIterator[Offline]:
    """A transaction during which no other process writes; those that would wait for its end.

    It works on closed stores as well, and commits when the block ends well. Raises StoreError.
    """
    async with _turn(where), open_offline(where) as offline:
        await offline.run(lambda connection: first(connection, _LOCK[connection.dialect.name]))
        yield offline


@asynccontextmanager
async def _turn(where: str | Path) -> AsyncIterator[None]:
    """The file lock on which SQLite's writers queue. PostgreSQL's queue on the head row."""
    if isinstance(where, str):
        yield
        return
    lock = os.open(f"{where}.writer", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    taking = asyncio.get_running_loop().run_in_executor(None, fcntl.flock, lock, fcntl.LOCK_EX)
    # Who gives up waiting closes the descriptor when the thread has ended, lest its number be given anew.
    try:
        await asyncio.shield(taking)
        yield
    finally:
        if taking.done():
            os.close(lock)
        else:
            taking.add_done_callback(lambda _: os.close(lock))
