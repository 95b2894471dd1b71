"""PostgreSQL: the same mutations through asyncpg, in shared transactions that the head row orders."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.contract.errors import ErrorKind, StoreError
from registry.contract.ports import Clock
from registry.control.sql.database import (
    LARGEST_BATCH,
    SERVER_TIME,
    Commits,
    OnBatch,
    Outcome,
    Pending,
    fail,
    ignore_batch,
    lock_head,
    run_batch,
)
from registry.control.sql.faults import lost_connection, translate
from registry.control.sql.postgres_engine import CONNECTIONS, Patience, Pool, open_async_engine
from registry.control.sql.shared_clock import SharedClock, counter
from registry.control.sql.silence import Watch
from registry.control.sql.statements import Row
from registry.control.sql.transaction import Head, Transaction

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_TIME = f"SELECT {SERVER_TIME}"
_HEAD = "SELECT seq FROM ledger_head"


class PostgresDatabase:
    """A database server, by a `postgresql://` URL. The schema must be there."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        on_batch: OnBatch = ignore_batch,
        *,
        connections: int = CONNECTIONS,
        patience: Patience | None = None,
    ) -> None:
        self._url = url
        self._clock = clock
        self._shared = clock if isinstance(clock, SharedClock) else None
        self._on_batch = on_batch
        patience = patience or Patience()
        self._pool = Pool(url, patience, connections)
        self._engine = self._pool.engine
        self._prover = open_async_engine(url)
        self._watch = Watch(self._prove, patience.silence)
        self._snapshots = self._engine.execution_options(isolation_level="REPEATABLE READ")
        self._hot = self._pool.lookups
        self._queue: asyncio.Queue[Pending | None] = asyncio.Queue()
        self._commits = Commits()
        self._writer = asyncio.create_task(self._write_loop(), name="ledger-writer")
        self._closing = False

    @property
    def url(self) -> str:
        return self._url

    async def set_clock(self) -> None:
        """Ask for the server's time, where the clock is to show it."""
        if self._shared is not None:
            asked = counter()
            row = await self.fetch_one(_TIME, {})
            if row is not None:
                self._shared.hear(row[0], asked)

    async def write(self, actor: str, change: Callable[[Transaction], T]) -> T:
        if self._closing:
            raise StoreError(ErrorKind.UNAVAILABLE, "the store is shutting down", detail={"retry_after": 1})
        pending = Pending(actor, change, asyncio.get_running_loop().create_future())
        self._queue.put_nowait(pending)
        result: T = await pending.done
        return result

    async def read(self, query: Callable[[Connection], T]) -> T:
        async with self._asking():
            try:
                return await self._read(query)
            except Exception as error:
                if not lost_connection(error):
                    raise
            # It died while it was idle, and so may all others have: they are not used again.
            return await self._read(query)

    async def fetch(self, statement: str, parameters: Mapping[str, Any]) -> list[Row]:
        async with self._asking():
            return await self._hot.fetch(statement, parameters)

    async def fetch_one(self, statement: str, parameters: Mapping[str, Any]) -> Row | None:
        async with self._asking():
            return await self._hot.fetch_one(statement, parameters)

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """Around what only reads: its errors are StoreErrors, and a silent server is not waited for."""
        try:
            async with self._watch.over():
                yield
        except StoreError:
            raise
        except Exception as error:
            raise translate(error) from error

    async def _read(self, query: Callable[[Connection], T]) -> T:
        async with self._pool.connected(self._snapshots) as connection:
            return await connection.run_sync(query)

    async def head(self) -> int:
        row = await self.fetch_one(_HEAD, {})
        return int(row[0]) if row else 0

    def next_commit(self) -> asyncio.Event:
        return self._commits.next()

    async def backup(self, target: str) -> None:
        raise StoreError(
            ErrorKind.UNAVAILABLE, "back this database up with PostgreSQL's own tools, e.g. pg_dump"
        )

    async def forget(self) -> None:
        """Nothing: the server's own VACUUM does it, and its log is its administrator's."""

    async def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self._queue.put_nowait(None)
        await self._writer
        await self._watch.close()
        await self._pool.close()

    async def _write_loop(self) -> None:
        closing = False
        while not closing:
            first = await self._queue.get()
            batch = [] if first is None else [first]
            closing = first is None
            while len(batch) < LARGEST_BATCH and not self._queue.empty():
                following = self._queue.get_nowait()
                if following is None:
                    closing = True
                else:
                    batch.append(following)
            for outcome in await self._commit(batch) if batch else ():
                outcome.deliver()
            self._commits.announce()

    async def _commit(self, batch: list[Pending]) -> list[Outcome]:
        try:
            async with self._watch.over(), self._at_head() as (connection, head):
                outcomes = await connection.run_sync(run_batch, head, batch, self._clock)
            self._on_batch(len(batch))
            return outcomes
        except Exception as error:
            _LOG.error(
                "a batch of %d mutations was rolled back: %s", len(batch), str(error) or type(error).__name__
            )
            if isinstance(error, TimeoutError):  # of a silent server: who came meanwhile would wait as long
                batch = [*batch, *self._waiting()]
            return fail(batch, error)

    def _waiting(self) -> list[Pending]:
        """Take what waits from the queue, but for the sign to close, which is the last."""
        waiting: list[Pending] = []
        while not self._queue.empty():
            pending = self._queue.get_nowait()
            if pending is None:
                self._queue.put_nowait(None)
                break
            waiting.append(pending)
        return waiting

    @asynccontextmanager
    async def _at_head(self) -> AsyncIterator[tuple[AsyncConnection, Head]]:
        """A transaction that has locked the head row; it commits when the block ends well."""
        async with AsyncExitStack() as stack:
            try:
                connection, head = await self._lock_head(stack)
            except Exception as error:
                if not lost_connection(error):
                    raise
                # It died while it was idle, and nothing was done on it.
                connection, head = await self._lock_head(stack)
            yield connection, head
            await connection.commit()

    async def _lock_head(self, stack: AsyncExitStack) -> tuple[AsyncConnection, Head]:
        """Begin a transaction, which `stack` ends."""
        async with AsyncExitStack() as trying:
            connection = await trying.enter_async_context(self._pool.connected(self._engine))
            await connection.begin()
            asked = counter()
            head, told = await connection.run_sync(lock_head)
            if self._shared is not None and told is not None:
                self._shared.hear(told, asked)
            stack.push_async_exit(trying.pop_all())
        return connection, head

    async def _prove(self) -> None:
        async with self._prover.connect() as connection:
            await connection.exec_driver_sql("SELECT 1")
