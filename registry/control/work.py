"""Background work that one process of all that serve a store does at a time (DECISIONS 3).

The holder has a row in `work_leases`; each of its writes checks the row's fencing token and prolongs the
lease in the same transaction, so that one who was taken for dead changes nothing any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeVar

from registry.contract.errors import ErrorKind, StoreError
from registry.control.core import SECOND, SYSTEM, Core
from registry.control.sql import leases, progress
from registry.control.sql.transaction import Transaction

T = TypeVar("T")

_LEASE = 5 * 60 * SECOND
_PAUSE = 0.2


class Work:
    """Work that this process holds."""

    def __init__(self, core: Core, name: str, token: int, lease: int) -> None:
        self.core = core
        self.name = name
        self._token = token
        self._lease = lease
        self._proven = time.monotonic()

    async def write(self, change: Callable[[Transaction], T]) -> T:
        """A mutation of the holder. Raises UNAVAILABLE when another process has the work now."""
        begun = time.monotonic()

        def fenced(tx: Transaction) -> T:
            leases.prolong_work(tx.connection, self.name, self._token, tx.now + self._lease)
            return change(tx)

        result = await self.core.database.write(SYSTEM, fenced)
        self._proven = begun
        return result

    def proven_within(self, seconds: float) -> bool:
        """Whether the last write, which proved that we hold the work, began less than `seconds` ago."""
        return time.monotonic() - self._proven < seconds

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
    try:
        yield Work(core, name, token, lease)
    finally:
        with suppress(StoreError):
            await core.database.write(
                SYSTEM, lambda tx: leases.release_work(tx.connection, name, token, tx.now)
            )


async def _acquire(core: Core, name: str, holder: str, lease: int) -> int | None:
    return await core.database.write(
        SYSTEM, lambda tx: leases.acquire_work(tx.connection, name, holder, tx.now, tx.now + lease)
    )
