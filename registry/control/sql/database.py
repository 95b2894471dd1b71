"""The database port: group-committed writes, snapshot reads, and hot look-ups by prepared statements."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import DBAPIError

from registry.contract.errors import ErrorKind, StoreError
from registry.contract.ports import Clock
from registry.control.sql import tables
from registry.control.sql.transaction import Head, Transaction

T = TypeVar("T")

#: A row of a hot look-up, by position.
Row = Sequence[Any]

#: Mutations that share one transaction, at most.
LARGEST_BATCH = 256


#: Told how many mutations a transaction carried, once it is durable; by the writer, which may be a thread.
OnBatch = Callable[[int], None]


def ignore_batch(mutations: int) -> None:
    """For those who do not count."""


class Database(Protocol):
    """What the control plane asks of a database.

    All raise StoreError UNAVAILABLE, STORAGE_FULL or INTERNAL.
    """

    @property
    def url(self) -> str: ...

    async def write(self, actor: str, change: Callable[[Transaction], T]) -> T:
        """Run `change` in a transaction that it may share with others; return when it is durable.

        What `change` raises undoes its own part alone and is raised here.
        """
        ...

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run `query` on a consistent snapshot that includes every write acknowledged before the call."""
        ...

    async def fetch(self, statement: str, parameters: Mapping[str, Any]) -> list[Row]:
        """A hot look-up: SQL text with `:named` parameters, as few microseconds as the engine allows."""
        ...

    async def fetch_one(self, statement: str, parameters: Mapping[str, Any]) -> Row | None:
        """The first row of a hot look-up."""
        ...

    async def head(self) -> int:
        """The last sequence number that is committed."""
        ...

    async def backup(self, target: str) -> None:
        """Copy a consistent state to the file `target`, online.

        UNAVAILABLE where the engine has tools of its own.
        """
        ...

    async def close(self) -> None:
        """Finish what is queued and let go of everything."""
        ...


@dataclass(slots=True)
class Pending:
    """A mutation that waits for its commit."""

    actor: str
    change: Callable[[Transaction], Any]
    done: asyncio.Future[Any]


@dataclass(slots=True)
class Outcome:
    """What became of one mutation. `error` wins over `result`."""

    pending: Pending
    result: Any = None
    error: BaseException | None = None

    def deliver(self) -> None:
        """Wake the caller; on its own event loop."""
        if self.pending.done.done():
            return
        if self.error is not None:
            self.pending.done.set_exception(self.error)
        else:
            self.pending.done.set_result(self.result)


def run_batch(connection: Connection, batch: Sequence[Pending], clock: Clock) -> list[Outcome]:
    """Run the mutations of `batch` one after another inside the transaction that `connection` has begun.

    The head row is read first and locked where the engine has row locks, so that `seq` is gapless in the
    order of commits. Each mutation has a savepoint. A fault of the database itself passes through: then the
    caller rolls back and `fail` tells everyone.
    """
    row = connection.execute(
        select(tables.ledger_head.c.seq, tables.ledger_head.c.time).with_for_update()
    ).one()
    head = Head(row.seq, row.time)
    outcomes = [_run_one(connection, pending, head, clock.now()) for pending in batch]
    if head.seq != row.seq:
        connection.execute(update(tables.ledger_head).values(seq=head.seq, time=head.time))
    return outcomes


def _run_one(connection: Connection, pending: Pending, head: Head, now: int) -> Outcome:
    before = (head.seq, head.time)
    savepoint = connection.begin_nested()
    try:
        result = pending.change(Transaction(connection, head, now, pending.actor))
    except DBAPIError as error:
        if error.connection_invalidated or is_storage_fault(error):
            raise
        savepoint.rollback()
        head.seq, head.time = before
        return Outcome(pending, error=error)
    except Exception as error:
        savepoint.rollback()
        head.seq, head.time = before
        return Outcome(pending, error=error)
    savepoint.commit()
    return Outcome(pending, result=result)


def fail(batch: Sequence[Pending], error: BaseException) -> list[Outcome]:
    """The outcome of a batch whose transaction did not commit."""
    translated = translate(error)
    return [Outcome(pending, error=translated) for pending in batch]


_FULL = ("database or disk is full", "no space left", "disk quota exceeded")


def is_storage_fault(error: BaseException) -> bool:
    """Whether the engine, not the statement, failed: the whole transaction is then lost."""
    text = str(error).lower()
    return any(sign in text for sign in (*_FULL, "disk i/o error", "database is locked", "unable to open"))


def translate(error: BaseException) -> StoreError:
    """A foreign exception in the contract's words. What is unsure is UNAVAILABLE, never absence."""
    if isinstance(error, StoreError):
        return error
    text = str(error).lower()
    if any(sign in text for sign in _FULL):
        return StoreError(ErrorKind.STORAGE_FULL, "the database's disk is full: nothing was changed")
    if isinstance(error, DBAPIError) or is_storage_fault(error):
        return StoreError(
            ErrorKind.UNAVAILABLE, "the database does not answer; try again", detail={"retry_after": 1}
        )
    return StoreError(ErrorKind.INTERNAL, f"the database failed: {type(error).__name__}")
