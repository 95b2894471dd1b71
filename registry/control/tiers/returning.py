"""Content is pushed again while its bytes are leaving the place where bytes arrive, or have left it.

Then they are there once more, and the content is at hand once more. What `arrival` says of deletions holds
here too: a release that has not begun is taken back, one that has is waited for, and after it somebody looks
whether the bytes are there.
"""

from __future__ import annotations

import asyncio
from functools import partial

from registry.contract.dataplane import DomainId, RetrievalTier
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.events import LocationChanged, LocationReleased
from registry.control.core import SECOND, SYSTEM, Core
from registry.control.sql import content_reads, movable, releases, removals
from registry.control.sql.lookups import AT_HAND, MISSING, BlobRow
from registry.control.sql.movable import Holding
from registry.control.sql.releases import Release
from registry.control.sql.transaction import Transaction
from registry.control.tiers.places import PRIMARY

#: A release that takes so long is taken from its process: each reads its content elsewhere first.
CLAIM = 120 * SECOND

_PAUSE = 0.02
_PATIENCE = 150.0


def record(tx: Transaction, blob: BlobRow) -> None:
    """Say that the bytes of known content have arrived, where the ledger has them elsewhere or away.

    Raises ContentGoingError while they are being deleted there, or were and nobody has looked since.
    """
    held = movable.places(tx.connection, blob.id, blob.id).get(blob.id, ())
    if blob.state == MISSING:
        _forget_lost(tx, blob, held)
    if any(place.location == PRIMARY and place.tier in AT_HAND for place in held):
        return
    state = releases.state(tx.connection, blob.domain, blob.address, PRIMARY)
    if state not in (None, releases.PENDING):
        raise removals.ContentGoingError(blob.domain, blob.address)
    releases.take_back(tx.connection, blob.domain, blob.address, PRIMARY)
    tx.emit(LocationChanged(blob.domain, blob.address, PRIMARY, RetrievalTier.HOT.value, None))
    content_reads.note(tx.connection, [blob.id], tx.now)  # whoever pushes it will want it for a while


def _forget_lost(tx: Transaction, blob: BlobRow, held: tuple[Holding, ...]) -> None:
    """What was missing was found at none of its places: these bytes are all that there is, and what may lie
    elsewhere is of no use."""
    for place in held:
        if place.location != PRIMARY:
            tx.emit(LocationReleased(blob.domain, blob.address, place.location))
            releases.note(
                tx.connection,
                blob.domain,
                blob.address,
                place.location,
                size=blob.size,
                now=tx.now,
                due_at=tx.now,
            )


async def reserve(core: Core, domain: DomainId, address: Digest, until: int) -> Release | None:
    """Before bytes are committed: their release waits until then (microseconds), or is waited for.

    Returns a deletion that does not end, which is to be taken over. Raises UNAVAILABLE.
    """
    if not core.places.several:
        return None
    state, found = await _settled(core, domain, address)
    if state == releases.RELEASING:
        return found
    if state in (releases.PENDING, releases.FAILED):
        await core.database.write(
            SYSTEM, lambda tx: releases.put_off(tx.connection, domain, address, PRIMARY, until)
        )
    return None


async def stays(core: Core, domain: DomainId, address: Digest) -> bool | Release:
    """Whether the bytes are where they arrived, once nobody deletes them there. Then nobody will.

    A deletion that does not end is returned instead, to be taken over. Raises UNAVAILABLE.
    """
    if not core.places.several:
        return True
    state, found = await _settled(core, domain, address)
    if state == releases.RELEASING and found is not None:
        return found
    try:
        there = await core.dataplane.locations(domain, address)
    except StoreError as error:
        if error.kind is not ErrorKind.CONTENT_UNKNOWN:
            raise
        return False
    if all(core.places.name_of(location) != PRIMARY for location in there):
        return False
    if found is not None:
        # Only that very state: a deletion that has begun and ended since the look is another.
        await core.database.write(SYSTEM, partial(_forget, seen=found))
    return True


def _forget(tx: Transaction, *, seen: Release) -> None:
    releases.forget(tx.connection, seen)


async def _settled(core: Core, domain: DomainId, address: Digest) -> tuple[str | None, Release | None]:
    """The state of the release once it is not under way, or once that takes too long."""
    key = {"domain": domain, "content_address": str(address), "location": PRIMARY}
    try:
        async with asyncio.timeout(_PATIENCE):
            while (row := await core.database.fetch_one(releases.RELEASE, key)) is not None:
                found = Release(domain, address, PRIMARY, int(row[2]), int(row[1]))
                # Far from now on either side: a clock that was put back must not make anybody wait as long.
                if row[0] != releases.RELEASING or abs(core.clock.now() - found.since) > CLAIM:
                    return str(row[0]), found
                await asyncio.sleep(_PAUSE)
    except TimeoutError:
        raise StoreError(
            ErrorKind.UNAVAILABLE,
            f"{address} was moving to another location as it arrived: push it again",
            detail={"retry_after": 1},
        ) from None
    return None, None
