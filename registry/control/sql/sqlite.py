"""SQLite: one writer thread with group commit, plain read connections for hot look-ups.

WAL with `synchronous=FULL`: an acknowledged write survives a power cut. Writers of several processes queue on
a file lock of our own, because SQLite's busy back-off has a tail of hundreds of milliseconds. Hot look-ups
run on the event loop: 5 to 14 µs on a read-only connection, where a thread hop alone would cost ten times
that, and a SELECT is never stale.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool, StaticPool

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
    lock_head,
    run_batch,
)
from registry.control.sql.faults import translate
from registry.control.sql.statements import Row
from registry.control.sql.transaction import Transaction

if TYPE_CHECKING:  # it brings the whole ORM, half a second of a start
    from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_BUSY_SECONDS = 30.0

#: Threads, each with a connection, for reads that are more than a look-up.
_READERS = 4
_HEAD = "SELECT seq FROM ledger_head"


class SqliteDatabase:
    """A database file. Made on the event loop that will use it; the schema must be there."""

    def __init__(self, path: Path, clock: Clock, on_batch: OnBatch = ignore_batch) -> None:
        self._path = path
        self._clock = clock
        self._on_batch = on_batch
        self._queue: queue.SimpleQueue[Pending | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._commits = Commits()
        self._hot = sqlite3.connect(
            f"file:{path}?mode=ro", uri=True, isolation_level=None, timeout=_BUSY_SECONDS
        )
        self._hot.execute("PRAGMA query_only=1")
        self._read_engine = _open_read_engine(path)
        self._readers = ThreadPoolExecutor(_READERS, "ledger-reader")
        self._lock_fd = os.open(f"{path}.writer", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._closing = False
        self._thread = threading.Thread(target=self._write_loop, name="ledger-writer", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"sqlite:///{self._path}"

    async def write(self, actor: str, change: Callable[[Transaction], T]) -> T:
        if self._closing:
            raise StoreError(ErrorKind.UNAVAILABLE, "the store is shutting down", detail={"retry_after": 1})
        pending = Pending(actor, change, self._loop.create_future())
        self._queue.put(pending)
        result: T = await pending.done
        return result

    async def read(self, query: Callable[[Connection], T]) -> T:
        try:
            return await self._loop.run_in_executor(self._readers, self._run_query, query)
        except StoreError:
            raise
        except Exception as error:
            raise translate(error) from error

    def _run_query(self, query: Callable[[Connection], T]) -> T:
        with self._read_engine.connect() as connection:
            return query(connection)

    async def fetch(self, statement: str, parameters: Mapping[str, Any]) -> list[Row]:
        try:
            return self._hot.execute(statement, parameters).fetchall()
        except sqlite3.Error as error:
            raise translate(error) from error

    async def fetch_one(self, statement: str, parameters: Mapping[str, Any]) -> Row | None:
        try:
            cursor = self._hot.execute(statement, parameters)
            row: Row | None = cursor.fetchone()
            cursor.close()
        except sqlite3.Error as error:
            raise translate(error) from error
        return row

    async def head(self) -> int:
        row = await self.fetch_one(_HEAD, {})
        return int(row[0]) if row else 0

    def next_commit(self) -> asyncio.Event:
        return self._commits.next()

    async def backup(self, target: str) -> None:
        await asyncio.to_thread(_copy, self._path, target)

    async def forget(self) -> None:
        await asyncio.to_thread(_empty_log, self._path)

    async def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._hot.close()
        await asyncio.to_thread(self._readers.shutdown)
        self._read_engine.dispose()
        os.close(self._lock_fd)

    # --- the writer's thread ---------------------------------------------------------------------------

    def _write_loop(self) -> None:
        engine = open_engine(self._path)
        with engine.connect() as connection:
            closing = False
            while not closing:
                first = self._queue.get()
                batch = [] if first is None else [first]
                closing = first is None
                while len(batch) < LARGEST_BATCH:
                    try:
                        following = self._queue.get_nowait()
                    except queue.Empty:
                        break
                    if following is None:
                        closing = True
                    else:
                        batch.append(following)
                if batch:
                    self._deliver(self._commit(connection, batch))
        engine.dispose()

    def _commit(self, connection: Connection, batch: list[Pending]) -> list[Outcome]:
        fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
        try:
            with connection.begin():
                head, _ = lock_head(connection)
                outcomes = run_batch(connection, head, batch, self._clock)
            self._on_batch(len(batch))
            return outcomes
        except Exception as error:
            _LOG.error("a batch of %d mutations was rolled back: %s", len(batch), error)
            return fail(batch, error)
        finally:
            fcntl.flock(self._lock_fd, fcntl.LOCK_UN)

    def _deliver(self, outcomes: list[Outcome]) -> None:
        def wake() -> None:
            for outcome in outcomes:
                outcome.deliver()
            self._commits.announce()

        self._loop.call_soon_threadsafe(wake)


def open_engine(path: Path) -> Engine:
    """A synchronous engine with one connection, for the writer, migrations and offline tools."""
    engine = create_engine(
        f"sqlite+pysqlite:///{path}",
        poolclass=StaticPool,
        connect_args={"isolation_level": None, "check_same_thread": False, "timeout": _BUSY_SECONDS},
    )
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def open_async_engine(path: Path) -> AsyncEngine:
    """For `rebuild`: an asynchronous engine whose transactions are snapshots until they write."""
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}",
        connect_args={"isolation_level": None, "timeout": _BUSY_SECONDS},
    )
    event.listen(engine.sync_engine, "connect", _configure)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _open_read_engine(path: Path) -> Engine:
    """A connection for each reader's thread; a transaction is a snapshot."""
    engine = create_engine(
        f"sqlite+pysqlite:///{path}",
        poolclass=QueuePool,
        pool_size=_READERS,
        max_overflow=0,
        connect_args={"isolation_level": None, "check_same_thread": False, "timeout": _BUSY_SECONDS},
    )
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA temp_store=MEMORY")
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _empty_log(path: Path) -> None:
    """Move all of the log to the file and cut it off; waits for readers of older snapshots."""
    with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        _LOG.warning("the log beside %s still has what was erased; the next checkpoint takes it", path)


def _copy(source: Path, target: str) -> None:
    with (
        sqlite3.connect(f"file:{source}?mode=ro", uri=True) as reader,
        sqlite3.connect(target) as writer,
    ):
        reader.backup(writer, pages=4096)
    reader.close()
    writer.close()
