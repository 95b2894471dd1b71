"""Content arrives, perhaps while a collection is deleting the very same content (decisions 10 and 39).

Bytes come before rows, so between the two a collection may find the bytes unnamed and delete them. It says so
in the table `removals` before it does, and whoever records content looks there in the same transaction: what
is pending is taken back, what is being deleted is waited for, and then it is seen whether the bytes are still
there. Nothing is acknowledged before. Uploads, whose bytes are gone from memory when they are committed, look
before that too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from registry.contract.dataplane import DomainId
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.control import recording
from registry.control.core import HOUR, SECOND, SYSTEM, Core
from registry.control.sql import leases, releases, removals
from registry.control.sql.releases import Release
from registry.control.sql.removals import Removal
from registry.control.sql.transaction import Transaction
from registry.control.tiers import returning

T = TypeVar("T")

#: The work of the process that deletes, see work.py.
COLLECTION = "collection"

#: A deletion that takes so long is taken from its process, which is dead or stopped. Collections begin none
#: when a third of it has passed since the claim, so that pushes need not wait for them.
CLAIM = 30 * SECOND

#: Between bytes and their row lie milliseconds. Removals wait so long for the row once an upload has asked,
#: what has become of them is remembered for two such times, and a row that comes later is not written.
GRACE = HOUR

_PAUSE = 0.02
_PATIENCE = 60.0
_TRIES = 5

#: Stores the bytes once more; None where they are no longer at hand.
Again = Callable[[], Awaitable[object]]


async def record(
    core: Core, actor: str, change: Callable[[Transaction], T], *, since: int, again: Again | None = None
) -> T:
    """`Database.write` for a change that records content whose bytes are durable.

    `since` is the clock before they were stored, or looked at. Raises UNAVAILABLE when they were deleted a
    moment ago, or this process was stopped meanwhile, and they cannot be stored again from here.
    """

    def in_time(tx: Transaction) -> T:
        if core.clock.now() > since + GRACE:
            raise _TooLateError
        return change(tx)

    for _ in range(_TRIES):
        try:
            return await core.database.write(actor, in_time)
        except removals.ContentGoingError as going:
            if await _stays(core, going.domain, going.address):
                continue
            if again is None:
                raise _gone(going.address) from going
        except _TooLateError as late:
            if again is None:
                raise _unavailable("the store was stopped as the content arrived: push it again") from late
        since = core.clock.now()
        await again()
    raise _unavailable("the content is being collected again and again")


async def reserve(core: Core, actor: str, domain: DomainId, address: Digest) -> None:
    """Before bytes are committed that cannot be stored again: nobody deletes them until they have a row.

    What has a row and is held by nothing is leased, what is about to be deleted waits, and a deletion that
    has begun is waited for. Raises UNAVAILABLE when that does not end.
    """
    await recording.keep_content(core, actor, domain, address)
    until = core.clock.now() + GRACE
    if (stuck := await returning.reserve(core, domain, address, until)) is not None:
        await _take_over_release(core, stuck)
        await returning.reserve(core, domain, address, until)
    for _ in range(_TRIES):
        state, _since = await _settled(core, domain, address)
        if state not in (removals.PENDING, removals.FAILED):
            return
        if await core.database.write(SYSTEM, partial(_put_off, domain=domain, address=address)):
            return
    raise _gone(address)


async def _stays(core: Core, domain: DomainId, address: Digest) -> bool:
    """Whether the bytes are there, once nobody deletes them. Then nobody will, and all may record them."""
    state, since = await _settled(core, domain, address)
    if state in (None, removals.PENDING):
        there = await returning.stays(core, domain, address)
        if isinstance(there, Release):
            await _take_over_release(core, there)
            return False
        return there
    try:
        await core.dataplane.size(domain, address)
    except StoreError as error:
        if error.kind is not ErrorKind.CONTENT_UNKNOWN:
            raise
        return False
    # Only that very state: a deletion that has begun and ended since the look is another.
    seen = Removal(domain, address, 0, since)
    await core.database.write(SYSTEM, lambda tx: removals.forget(tx.connection, seen))
    return True


async def _settled(core: Core, domain: DomainId, address: Digest) -> tuple[str | None, int]:
    """The state of the removal and since when, once it is not under way; None where there is none."""
    key = {"domain": domain, "content_address": str(address)}
    try:
        async with asyncio.timeout(_PATIENCE):
            while (row := await core.database.fetch_one(removals.REMOVAL, key)) is not None:
                state, since = str(row[0]), int(row[1])
                if state != removals.REMOVING:
                    return state, since
                # Far from now on either side: a clock that was put back must not make anybody wait as long.
                if abs(core.clock.now() - since) > CLAIM:
                    await _take_over(core, Removal(domain, address, 0, since))
                else:
                    await asyncio.sleep(_PAUSE)
    except TimeoutError:
        raise _gone(address) from None
    return None, 0


def _put_off(tx: Transaction, *, domain: DomainId, address: Digest) -> bool:
    return removals.put_off(tx.connection, domain, address, tx.now + GRACE)


async def _take_over(core: Core, removal: Removal) -> None:
    """End a deletion whose process does not."""
    if await _dismiss(core, lambda tx: removals.stands(tx.connection, removal)):
        await core.database.write(SYSTEM, lambda tx: removals.fail(tx.connection, removal, tx.now, tx.now))


async def _take_over_release(core: Core, one: Release) -> None:
    """The same for a release."""
    if await _dismiss(core, lambda tx: releases.stands(tx.connection, one)):
        await core.database.write(SYSTEM, lambda tx: releases.fail(tx.connection, one, tx.now, tx.now))


async def _dismiss(core: Core, stands: Callable[[Transaction], bool]) -> bool:
    """Who deletes loses the work and then the permit, before anybody ends the claim; False without one."""
    nobody = core.identifiers.new()

    def take_work(tx: Transaction) -> bool:
        if not stands(tx):
            return False
        leases.take_work(tx.connection, COLLECTION, nobody, core.clock.now())
        return True

    if not await core.database.write(SYSTEM, take_work):
        return False
    await core.dataplane.admit(nobody)
    return True


class _TooLateError(Exception):
    """So long after the bytes that what became of them is no longer known."""


def _gone(address: Digest) -> StoreError:
    return _unavailable(f"{address} was being collected as it arrived: push it again")


def _unavailable(message: str) -> StoreError:
    return StoreError(ErrorKind.UNAVAILABLE, message, detail={"retry_after": 1})
