"""Background work that one process of all that serve a store does at a time (decision 3).

The holder has a row in `work_leases`; each of its writes checks the row's fencing token and prolongs the
lease in the same transaction, so that one who was taken for dead changes nothing any more. While it only
reads, a task prolongs the lease beside it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeVar

from registry.contract.errors import ErrorKind, StoreError
from registry.control.core import SECOND, SYSTEM, Core
from registry.control.sql import leases, progress
from registry.control.sql.transaction import Transaction

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

_LEASE = 5 * 60 * SECOND
#: How often the lease is prolonged before it would end.
_RENEWALS = 5
_PAUSE = 0.2


class Work:
    """Work that this process holds."""

    def __init__(self, core: Core, name: str, token: int, holder: str, lease: int) -> None:
        self.core = core
        self.name = name
        #: This hold's own name, which no other ever has.
        self.holder = holder
        self._token = token
        self._lease = lease
        self._proven = time.monotonic()

    async def write(self, change: Callable[[Transaction], T]) -> T:
        """A mutation of the holder. Raises UNAVAILABLE when another process has the work now."""
        begun = time.monotonic()

        def fenced(tx: Transaction) -> T:
            until = self.core.clock.now() + self._lease
            leases.prolong_work(tx.connection, self.name, self._token, until)
            return change(tx)

        result = await self.core.database.write(SYSTEM, fenced)
        self._proven = begun
        return result

    def proven_within(self, seconds: float) -> bool:
        """Whether the last write, which proved that we hold the work, began less than `seconds` ago."""
        return time.monotonic() - self._proven < seconds

    async def prolong(self) -> None:
        """Say that the work goes on. Raises UNAVAILABLE when another process has it now."""
        await self.write(lambda tx: None)

    async def save(self, state: dict[str, Any]) -> None:
        """Write down how far the work has come."""
        await self.write(lambda tx: progress.save(tx.connection, self.name, state))

    async def load(self) -> dict[str, Any]:
        """What was saved last, by whichever process."""
        return await load(self.core, self.name)


async def load(core: Core, name: str) -> dict[str, Any]:
    """What the work called `name` has saved last; empty before its first time."""
    return await core.database.read(partial(progress.load, work=name))


@asynccontextmanager
async def hold(core: Core, name: str, patience: float = 0.0, *, lease: int = _LEASE) -> AsyncIterator[Work]:
    """Hold the work called `name`, waiting up to `patience` seconds for another process to end.

    Without a write for `lease` microseconds the holder counts as dead. Raises UNAVAILABLE when another has
    the work still.
    """
    holder = core.identifiers.new()
    until = time.monotonic() + patience
    while (token := await _acquire(core, name, holder, lease)) is None:
        if time.monotonic() >= until:
            raise StoreError(
                ErrorKind.UNAVAILABLE,
                f"another process does the work of the {name} now: try again when it has ended",
                detail={"retry_after": 60},
            )
        await asyncio.sleep(_PAUSE)
    work = Work(core, name, token, holder, lease)
    renewal = asyncio.create_task(_renew(work, lease / SECOND / _RENEWALS), name=f"renewal of the {name}")
    try:
        yield work
    finally:
        renewal.cancel()
        await asyncio.gather(renewal, return_exceptions=True)
        with suppress(StoreError):
            await core.database.write(
                SYSTEM, lambda tx: leases.release_work(tx.connection, name, token, core.clock.now())
            )


async def _renew(work: Work, every: float) -> None:
    """Until cancelled, or until the work is lost, which the next write tells its holder."""
    while True:
        await asyncio.sleep(every)
        try:
            await work.prolong()
        except StoreError as error:
            _LOG.warning("the %s could not be prolonged: %s", work.name, error)


async def patiently(begin: Callable[[], AsyncGenerator[T, None]], patience: float) -> AsyncGenerator[T, None]:
    """The steps of a job of the data plane, waiting up to `patience` seconds for its turn.

    `begin` makes the job, which raises UNAVAILABLE with its first step while another one runs.
    """
    until = time.monotonic() + patience
    while True:
        async with aclosing(begin()) as steps:
            try:
                first = await anext(steps)
            except StopAsyncIteration:
                return
            except StoreError as error:
                if error.kind is not ErrorKind.UNAVAILABLE or time.monotonic() >= until:
                    raise
            else:
                yield first
                async for step in steps:
                    yield step
                return
        await asyncio.sleep(_PAUSE)


async def _acquire(core: Core, name: str, holder: str, lease: int) -> int | None:
    # By the clock itself: the ledger's time stands still for as long as a clock was put back.
    now = core.clock.now()
    return await core.database.write(
        SYSTEM, lambda tx: leases.acquire_work(tx.connection, name, holder, now, now + lease)
    )
