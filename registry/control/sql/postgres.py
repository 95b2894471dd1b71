"""PostgreSQL: the same mutations through asyncpg, in shared transactions that the head row orders."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from registry.contract.errors import ErrorKind, StoreError
from registry.contract.ports import Clock
from registry.control.sql.database import (
    LARGEST_BATCH,
    Commits,
    OnBatch,
    Outcome,
    Pending,
    fail,
    ignore_batch,
    run_batch,
)
from registry.control.sql.faults import translate
from registry.control.sql.statements import Row, first, rows
from registry.control.sql.transaction import Transaction

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_HEAD = "SELECT seq FROM ledger_head"


class PostgresDatabase:
    """A database server, by a `postgresql+asyncpg://` URL. The schema must be there."""

    def __init__(self, url: str, clock: Clock, on_batch: OnBatch = ignore_batch) -> None:
        self._url = url
        self._clock = clock
        self._on_batch = on_batch
        self._engine = open_async_engine(url)
        self._snapshots = self._engine.execution_options(isolation_level="REPEATABLE READ")
        #: One statement is a snapshot of its own: no transaction, no round trips for it.
        self._hot = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._queue: asyncio.Queue[Pending | None] = asyncio.Queue()
        self._commits = Commits()
        self._writer = asyncio.create_task(self._write_loop(), name="ledger-writer")
        self._closing = False

    @property
    def url(self) -> str:
        return self._url

    async def write(self, actor: str, change: Callable[[Transaction], T]) -> T:
        if self._closing:
            raise StoreError(ErrorKind.UNAVAILABLE, "the store is shutting down", detail={"retry_after": 1})
        pending = Pending(actor, change, asyncio.get_running_loop().create_future())
        self._queue.put_nowait(pending)
        result: T = await pending.done
        return result

    async def read(self, query: Callable[[Connection], T]) -> T:
        return await self._query(self._snapshots, query)

    async def fetch(self, statement: str, parameters: Mapping[str, Any]) -> list[Row]:
        return await self._query(self._hot, lambda connection: rows(connection, statement, **parameters))

    async def fetch_one(self, statement: str, parameters: Mapping[str, Any]) -> Row | None:
        return await self._query(self._hot, lambda connection: first(connection, statement, **parameters))

    async def _query(self, engine: AsyncEngine, query: Callable[[Connection], T]) -> T:
        try:
            async with engine.connect() as connection:
                return await connection.run_sync(query)
        except StoreError:
            raise
        except Exception as error:
            raise translate(error) from error

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
        await self._engine.dispose()

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
            async with self._engine.begin() as connection:
                outcomes = await connection.run_sync(run_batch, batch, self._clock)
            self._on_batch(len(batch))
            return outcomes
        except Exception as error:
            _LOG.error("a batch of %d mutations was rolled back: %s", len(batch), error)
            return fail(batch, error)


def open_async_engine(url: str) -> AsyncEngine:
    """An engine whose reads see every commit that came before them."""
    return create_async_engine(url, pool_size=8, max_overflow=8, pool_pre_ping=True)
