"""The database port: group-committed writes, snapshot reads, and hot look-ups by prepared statements."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from registry.contract.ports import Clock
from registry.control.sql import closing
from registry.control.sql.changes import Changes
from registry.control.sql.faults import declared, loses_transaction, translate
from registry.control.sql.statements import Row, first, run
from registry.control.sql.transaction import Head, Transaction
from registry.control.sql.usage_deltas import UsageDeltas

T = TypeVar("T")

#: Mutations that share one transaction, at most.
LARGEST_BATCH = 256

#: The server's clock, in microseconds.
SERVER_TIME = "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"

#: A row lock where the engine has them. SQLite's transaction has locked the whole file by then. A store that
#: is closed has no row with this id (closing.py).
_LOCK_HEAD = {
    "sqlite": "SELECT seq, time FROM ledger_head WHERE id = 1",
    "postgresql": f"SELECT seq, time, {SERVER_TIME} FROM ledger_head WHERE id = 1 FOR UPDATE",
}
_SET_HEAD = "UPDATE ledger_head SET seq = :seq, time = :time"

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

    def next_commit(self) -> asyncio.Event:
        """Set as soon as this process has committed something after this call. Others do so unheard."""
        ...

    async def backup(self, target: str) -> None:
        """Copy a consistent state to the file `target`, online.

        UNAVAILABLE where the engine has tools of its own.
        """
        ...

    async def forget(self) -> None:
        """What transactions have overwritten so far is in no log of the engine's either, as far as it can."""
        ...

    async def close(self) -> None:
        """Finish what is queued and let go of everything."""
        ...


class Commits:
    """Tells those who wait that something was committed. For one event loop."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def next(self) -> asyncio.Event:
        """See `Database.next_commit`."""
        return self._next

    def announce(self) -> None:
        """Something was committed."""
        done, self._next = self._next, asyncio.Event()
        done.set()


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


def lock_head(connection: Connection) -> tuple[Head, int | None]:
    """The head row, read and locked where the engine has row locks, so that `seq` is gapless in the order of
    commits. The first statement of a transaction that writes. Also the time of a server (microseconds)."""
    row = first(connection, _LOCK_HEAD[connection.dialect.name])
    if row is None:
        raise closing.refusal(connection)
    return Head(row[0], row[1]), row[2] if len(row) > 2 else None


def run_batch(connection: Connection, head: Head, batch: Sequence[Pending], clock: Clock) -> list[Outcome]:
    """Run the mutations of `batch` one after another inside the transaction that has locked the `head`.

    Each mutation has a savepoint, unless it is alone: then the whole transaction is its own to undo. A fault
    of the database itself passes through: then the caller rolls back and `fail` tells everyone.
    """
    before = head.seq
    usage = UsageDeltas()
    alone = len(batch) == 1
    outcomes = [_run_one(connection, pending, head, clock.now(), usage, alone=alone) for pending in batch]
    if alone and outcomes[0].error is not None:
        connection.rollback()
        return outcomes
    changes = Changes(connection)
    usage.write(changes)
    if head.seq != before:
        changes.run(_SET_HEAD, seq=head.seq, time=head.time)
    changes.send()
    return outcomes


def _run_one(
    connection: Connection, pending: Pending, head: Head, now: int, usage: UsageDeltas, *, alone: bool
) -> Outcome:
    before = (head.seq, head.time)
    if not alone:
        run(connection, "SAVEPOINT mutation")
    try:
        transaction = Transaction(connection, head, now, pending.actor)
        result = pending.change(transaction)
    except Exception as error:
        if loses_transaction(error):
            raise
        if not alone:
            run(connection, "ROLLBACK TO SAVEPOINT mutation")
            run(connection, "RELEASE SAVEPOINT mutation")
        head.seq, head.time = before
        return Outcome(pending, error=declared(error))
    if not alone:
        run(connection, "RELEASE SAVEPOINT mutation")
    usage.add(transaction.usage)
    return Outcome(pending, result=result)


def fail(batch: Sequence[Pending], error: BaseException) -> list[Outcome]:
    """The outcome of a batch whose transaction did not commit. Each caller gets an exception of its own."""
    outcomes = []
    for pending in batch:
        translated = translate(error)
        if translated is not error:
            translated.__cause__ = error
        outcomes.append(Outcome(pending, error=translated))
    return outcomes
