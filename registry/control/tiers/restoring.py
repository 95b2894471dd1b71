"""Content that is away comes back: asked for, watched, told in the ledger (A7).

The data plane knows how far a restore is, and when restored bytes go again; the ledger says what it said
last. Whoever learns something new writes it down, so that who reads events need not ask.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from registry.contract.dataplane import DomainId, Location, RestoreStatus
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.events import LocationChanged, LocationReleased
from registry.control.core import SYSTEM, Core
from registry.control.sql import movable
from registry.control.sql.lookups import AT_HAND, GONE
from registry.control.sql.movable import Holding, Restoring
from registry.control.sql.transaction import Transaction
from registry.control.tiers.places import PRIMARY
from registry.control.work import hold

_LOG = logging.getLogger(__name__)

WORK = "restores"

#: Seconds between two looks at restores under way: an archive takes minutes to hours.
EVERY = 60.0
#: Restores looked at in a second at most; each is a question to the medium.
_RATE = 50
_PAGE = 100


async def ask(core: Core, actor: str, domain: DomainId, address: Digest) -> RestoreStatus:
    """Ask for content, and say in the ledger where that stands. Raises CONTENT_UNKNOWN, UNAVAILABLE."""
    status = await core.dataplane.restore(domain, address)
    await learn(core, actor, domain, address)
    return status


async def learn(core: Core, actor: str, domain: DomainId, address: Digest) -> bool:
    """Write down what the places say of content where the ledger says something else; whether it did.

    A location that holds it no more is released only where another one has it. Others than the ledger knows
    are told only where it knows none that has it, as in a store that was copied to one place.
    Raises CONTENT_UNKNOWN, UNAVAILABLE.
    """
    said = await core.dataplane.locations(domain, address)
    found = {core.places.name_of(location): location for location in said}

    def change(tx: Transaction) -> bool:
        blob = tx.find_blob(domain, address)
        if blob is None or blob.state in GONE:
            return False
        held = movable.places(tx.connection, blob.id, blob.id).get(blob.id, ())
        news = list(_news(domain, address, held, found))
        for event in news:
            tx.emit(event)
        return bool(news)

    return await core.database.write(actor, change)


def _news(
    domain: DomainId, address: Digest, held: tuple[Holding, ...], found: dict[str, Location]
) -> list[LocationChanged | LocationReleased]:
    news: list[LocationChanged | LocationReleased] = []
    if not any(one.location in found for one in held):
        for name, location in found.items():
            asked = None if location.restore_status is None else location.restore_status.value
            news.append(LocationChanged(domain, address, name, location.tier.value, asked))
    for one in held:
        now = found.get(one.location)
        if now is None:
            news.append(LocationReleased(domain, address, one.location))
            continue
        if one.location == PRIMARY and one.restore_status is None and {one.tier, now.tier.value} <= AT_HAND:
            continue  # which of the two it is, is a matter of the settings alone
        status = None if now.tier.value in AT_HAND or now.restore_status is None else now.restore_status.value
        until = now.until if status == RestoreStatus.AVAILABLE.value else None
        if (now.tier.value, status, until) != (one.tier, one.restore_status, one.until):
            news.append(LocationChanged(domain, address, one.location, now.tier.value, status, until))
    return news


async def ask_for_reader(core: Core, actor: str, domain: DomainId, address: Digest, blob_id: int) -> None:
    """A reader was refused: ask for the content, where the settings say so and nobody has yet. Raises nothing
    of its own, since the reader has an answer already."""
    if not core.tiers.restore_on_read:
        return
    held = await core.database.read(partial(movable.places, low=blob_id, high=blob_id))
    if any(one.restore_status is not None for one in held.get(blob_id, ())):
        return
    try:
        await ask(core, actor, domain, address)
    except StoreError as error:
        _LOG.warning("the restore of %s could not be asked for: %s", address, error)


async def watch(core: Core) -> int:
    """Look once at every restore that may have come further; how many had. Raises UNAVAILABLE when another
    process does it."""
    changed, after = 0, (0, "")
    async with hold(core, WORK) as work:
        while page := await core.database.read(partial(movable.restoring, after=after, limit=_PAGE)):
            after = (page[-1].blob_id, page[-1].location)
            for one in page:
                if _may_have_changed(core, one):
                    changed += await _look(core, one)
                    await asyncio.sleep(1 / _RATE)
            await work.prolong()
    return changed


def _may_have_changed(core: Core, one: Restoring) -> bool:
    if one.status != RestoreStatus.AVAILABLE.value:
        return True
    return one.until is None or one.until <= core.clock.now()


async def _look(core: Core, one: Restoring) -> bool:
    try:
        return await learn(core, SYSTEM, one.domain, one.address)
    except StoreError as error:
        level = logging.DEBUG if error.kind is ErrorKind.UNAVAILABLE else logging.WARNING
        _LOG.log(level, "the restore of %s could not be looked at: %s", one.address, error)
        return False
