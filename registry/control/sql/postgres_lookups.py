"""Hot look-ups on PostgreSQL: one prepared statement, one round trip, the driver and nothing above it.

Through SQLAlchemy's pool, its greenlets and its cursor the same look-up takes six times the CPU. A statement
outside a transaction is a snapshot of its own that has seen all commits before it, so there is nothing to
begin and nothing to end. The driver keeps what it has prepared, and prepares anew after a migration.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from registry.control.sql.faults import lost_connection
from registry.control.sql.statements import Row, numbered


class LookUps:
    """Connections of their own, made when they are needed and kept; for one event loop.

    A connection that died while it was idle is found so by who uses it, and all is tried once more on a new
    one. Errors are the driver's, or TimeoutError when none of `connections` is free in `patience` seconds.
    """

    def __init__(self, connect: Callable[[], Awaitable[Any]], connections: int, patience: float) -> None:
        self._connect = connect
        self._free = asyncio.Semaphore(connections)
        self._patience = patience
        #: The one used last is used next, so that few are open when little is asked.
        self._idle: list[Any] = []
        self._closed = False

    async def fetch(self, statement: str, parameters: Mapping[str, Any]) -> list[Row]:
        """All rows."""
        text, arguments = _for_driver(statement, parameters)
        found: list[Row] = await self._ask(lambda connection: connection.fetch(text, *arguments))
        return found

    async def fetch_one(self, statement: str, parameters: Mapping[str, Any]) -> Row | None:
        """The first row."""
        text, arguments = _for_driver(statement, parameters)
        found: Row | None = await self._ask(lambda connection: connection.fetchrow(text, *arguments))
        return found

    async def close(self) -> None:
        """Let go of all; what is under way ends first, and its connection after it."""
        self._closed = True
        while self._idle:
            await self._idle.pop().close()

    async def _ask(self, question: Callable[[Any], Awaitable[Any]]) -> Any:
        try:
            async with self._connection() as connection:
                return await question(connection)
        except Exception as error:
            if not lost_connection(error):
                raise
        async with self._connection() as connection:
            return await question(connection)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        if self._free.locked():
            async with asyncio.timeout(self._patience):
                await self._free.acquire()
        else:
            await self._free.acquire()
        try:
            connection = self._take() or await self._connect()
            try:
                yield connection
            except BaseException as error:
                if isinstance(error, Exception) and not lost_connection(error):
                    self._idle.append(connection)
                else:
                    self._give_up(connection, others=isinstance(error, Exception))
                raise
            if self._closed:
                connection.terminate()
            else:
                self._idle.append(connection)
        finally:
            self._free.release()

    def _take(self) -> Any:
        """One that is open as far as is known without asking."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return None

    def _give_up(self, connection: Any, *, others: bool) -> None:
        """It may be in the midst of something, or was lost, and then so may all that are idle."""
        connection.terminate()
        while others and self._idle:
            self._idle.pop().terminate()


def _for_driver(statement: str, parameters: Mapping[str, Any]) -> tuple[str, list[Any]]:
    text, names = numbered(statement)
    return text, [parameters[name] for name in names]
