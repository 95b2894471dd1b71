"""Content arrives, perhaps while a collection is deleting the very same content (DECISIONS 10).

Bytes come before rows, so between the two a collection may find the bytes unnamed and delete them. It says so
in the table `removals` before it does, and whoever records content looks there in the same transaction: what
is pending is taken back, what is being deleted is waited for, and then it is seen whether the bytes are still
there. Nothing is acknowledged before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from registry.contract.dataplane import DomainId
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.control.core import SECOND, SYSTEM, Core
from registry.control.sql import removals
from registry.control.sql.removals import ContentGoingError
from registry.control.sql.transaction import Transaction

T = TypeVar("T")

#: A process that has not ended a deletion for so long is dead, and its claim is void. Collections begin none
#: when a third of it has passed since the claim.
CLAIM = 30 * SECOND

#: Between a commit's bytes and its row lie milliseconds; a pending deletion is put off by so much meanwhile.
_PUT_OFF = 60 * SECOND
_PAUSE = 0.02
_PATIENCE = 60.0
_TRIES = 5

#: Stores the bytes once more; None where they are no longer at hand.
Again = Callable[[], Awaitable[object]]


async def record(core: Core, actor: str, change: Callable[[Transaction], T], again: Again | None = None) -> T:
    """`Database.write` for a change that records content whose bytes are durable.

    Raises UNAVAILABLE when they were deleted a moment ago and cannot be stored again from here.
    """
    for _ in range(_TRIES):
        try:
            return await core.database.write(actor, change)
        except ContentGoingError as going:
            if await _stays(core, going.domain, going.address):
                continue
            if again is None:
                raise _gone(going.address) from going
            await again()
    raise StoreError(
        ErrorKind.UNAVAILABLE, "the content is being collected again and again", detail={"retry_after": 1}
    )


async def reserve(core: Core, domain: DomainId, expected: Digest | None) -> None:
    """Before bytes of a known digest are committed: let no pending deletion of them begin meanwhile."""
    if expected is None:
        return
    key = {"domain": domain, "digest": str(expected)}
    row = await core.database.fetch_one(removals.REMOVAL, key)
    if row is None:
        return
    address = Digest.parse(row[3])
    if row[0] == removals.PENDING:
        until = core.clock.now() + _PUT_OFF
        await core.database.write(SYSTEM, lambda tx: removals.put_off(tx.connection, domain, address, until))
    await _settled(core, domain, address)


async def _stays(core: Core, domain: DomainId, address: Digest) -> bool:
    """Whether the bytes are there, once nobody deletes them. Then nobody will, and all may record them."""
    if await _settled(core, domain, address) != removals.DONE:
        return True
    try:
        await core.dataplane.size(domain, address)
    except StoreError as error:
        if error.kind is not ErrorKind.CONTENT_UNKNOWN:
            raise
        return False
    await core.database.write(SYSTEM, lambda tx: removals.forget(tx.connection, domain, address))
    return True


async def _settled(core: Core, domain: DomainId, address: Digest) -> str | None:
    """The state of the removal when it is not, or no longer, under way; None when there is none."""
    key = {"domain": domain, "digest": str(address)}
    try:
        async with asyncio.timeout(_PATIENCE):
            while (row := await core.database.fetch_one(removals.REMOVAL, key)) is not None:
                if row[0] != removals.REMOVING:
                    return str(row[0])
                now = core.clock.now()
                if row[1] + CLAIM < now:
                    await core.database.write(
                        SYSTEM, partial(_give_up, domain=domain, address=address, before=now - CLAIM)
                    )
                else:
                    await asyncio.sleep(_PAUSE)
    except TimeoutError:
        raise _gone(address) from None
    return None


def _give_up(tx: Transaction, *, domain: DomainId, address: Digest, before: int) -> None:
    removals.give_up(tx.connection, domain, address, before, tx.now)


def _gone(address: Digest) -> StoreError:
    return StoreError(
        ErrorKind.UNAVAILABLE,
        f"{address} was being collected as it arrived: push it again",
        detail={"retry_after": 1},
    )
