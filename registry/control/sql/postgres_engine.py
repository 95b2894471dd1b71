"""Connections to PostgreSQL, and how soon it is noticed that one of them, or the server, is gone.

No connection is asked whether it lives before it is used: that would be three round trips for a look-up that
takes one. Who finds a connection lost says so and begins again on a new one, where nothing was done yet.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from registry.control.sql.faults import lost_connection
from registry.control.sql.postgres_lookups import LookUps

#: Connections of one process, at most.
CONNECTIONS = 16

_DIALECT = "postgresql+asyncpg://"

#: Where a connection's record notes when it was opened.
_OPENED = "opened_at"

#: What the names of our connections begin with, in pg_stat_activity and in the server's log.
_PROGRAM = "artifact-store"
_OTHERS = """
SELECT DISTINCT application_name FROM pg_stat_activity
WHERE datname = current_database() AND starts_with(application_name, $1) AND pid <> pg_backend_pid()
ORDER BY application_name
"""

#: What the kernel is asked for on both sides, so that a peer which vanished is noticed on connections that
#: are idle, and on those that wait for it: within some 25 seconds, and 10.
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 10_000}
_SERVER_KEEPALIVE = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server may take, in seconds."""

    #: Until a connection is there.
    connect: float = 5.0
    #: Until a server that something waits for has to prove that it lives, and for that.
    silence: float = 5.0
    #: Between two statements of a transaction. One that sleeps longer loses its transaction, since it keeps
    #: all other writers from the head row.
    idle: float = 5.0
    #: For a row that another transaction has locked: longer than `idle`, so that who is stopped costs others
    #: time and no error.
    lock: float = 15.0
    #: For one of the process's connections.
    pool: float = 10.0


class Pool:
    """The connections of a store in use. Its reads see every commit that came before them."""

    def __init__(self, url: str, patience: Patience, connections: int) -> None:
        limits = {
            "idle_in_transaction_session_timeout": _milliseconds(patience.idle),
            "lock_timeout": _milliseconds(patience.lock),
            **_SERVER_KEEPALIVE,
        }
        connect = partial(_connect, url, patience.connect, limits)
        quick = connections // 2
        kept = (connections - quick + 1) // 2
        #: For single statements outside transactions.
        self.lookups = LookUps(partial(_connect_kept_alive, connect), quick, patience.pool)
        self.engine = create_async_engine(
            _DIALECT,
            async_creator=connect,
            pool_size=kept,
            max_overflow=connections - quick - kept,
            pool_timeout=patience.pool,
        )
        self._lost_at = 0.0
        event.listen(self.engine.sync_engine, "connect", _keep_alive)
        event.listen(self.engine.sync_engine, "connect", _note_age)
        event.listen(self.engine.sync_engine, "checkout", self._check)

    @asynccontextmanager
    async def connected(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        """A connection of `engine`, which has this pool; given up when it was lost, or left half used."""
        async with engine.connect() as connection:
            try:
                yield connection
            except BaseException as error:
                lost = lost_connection(error)
                if lost:
                    self._lost_at = time.monotonic()
                if lost or not isinstance(error, Exception):
                    await connection.invalidate()
                raise

    async def close(self) -> None:
        await self.lookups.close()
        await self.engine.dispose()

    def _check(self, connection: Any, record: Any, _proxy: object) -> None:
        """What is known without asking: that a connection has ended, or is older than the loss of another."""
        if connection.driver_connection.is_closed() or record.info[_OPENED] <= self._lost_at:
            raise InvalidatePoolError


def open_async_engine(url: str) -> AsyncEngine:
    """An engine for a tool, whose statements may take as long as they need. It keeps no connection.

    The server lets go of what a tool has locked when its machine has vanished.
    """
    creator = partial(_connect, url, Patience().connect, _SERVER_KEEPALIVE)
    engine = create_async_engine(_DIALECT, async_creator=creator, poolclass=NullPool)
    event.listen(engine.sync_engine, "connect", _keep_alive)
    return engine


async def others_at_work(url: str) -> list[str]:
    """The names of other connections of this program, such as `artifact-store HOST PID`."""
    connection = await _connect(url, Patience().connect, {})
    try:
        return [row[0] for row in await connection.fetch(_OTHERS, _PROGRAM)]
    finally:
        await connection.close()


async def _connect(url: str, seconds: float, settings: dict[str, str]) -> Any:
    """By the driver itself, which takes URLs as libpq does."""
    name = f"{_PROGRAM} {socket.gethostname()} {os.getpid()}"
    return await asyncpg.connect(
        url.replace(_DIALECT, "postgresql://", 1),
        timeout=seconds,
        server_settings={"application_name": name, **settings},
    )


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))


async def _connect_kept_alive(connect: Callable[[], Awaitable[Any]]) -> Any:
    connection = await connect()
    _keep_alive_driver(connection)
    return connection


def _keep_alive(connection: Any, _record: object) -> None:
    _keep_alive_driver(connection.driver_connection)


def _keep_alive_driver(connection: Any) -> None:
    """The driver neither sets these options nor takes a socket of ours."""
    line = connection._transport.get_extra_info("socket")
    if line is None or line.family not in (socket.AF_INET, socket.AF_INET6):
        return
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):  # macOS has not all of them
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _note_age(_connection: object, record: Any) -> None:
    record.info[_OPENED] = time.monotonic()
