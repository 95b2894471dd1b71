"""Reading the ledger: pages, and following it live (A3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from registry.contract.events import decode_envelope
from registry.contract.model import LedgerEvent, Page
from registry.control.access import Action, Caller
from registry.control.sql import lookups

#: Seconds between looks at the head. Other processes commit too, so a wake-up of our own would not do.
_PAUSE = 0.25
_AT_ONCE = 500


class LedgerService:
    """Implements `registry.contract.store.Ledger`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._core = caller.core

    async def page(self, *, after: int, limit: int) -> Page[LedgerEvent]:
        self._caller.may(Action.PULL)
        rows = await self._core.database.fetch(lookups.EVENTS_PAGE, {"after": after, "limit": limit})
        items = tuple(read_event(bytes(row[0])) for row in rows)
        more = bool(items) and items[-1].seq < await self._core.database.head()
        return Page(items, str(items[-1].seq) if more else None)

    async def follow(self, *, after: int) -> AsyncIterator[LedgerEvent]:
        self._caller.may(Action.PULL)
        while True:
            page = await self.page(after=after, limit=_AT_ONCE)
            for item in page.items:
                yield item
                after = item.seq
            if not page.items:
                await asyncio.sleep(_PAUSE)


def read_event(envelope: bytes) -> LedgerEvent:
    """An entry as its readers get it."""
    document = decode_envelope(envelope)
    return LedgerEvent(
        seq=document["seq"],
        time=document["time"],
        kind=document["kind"],
        actor=document["actor"],
        scope=document["scope"],
        subject=document["subject"],
        data=document["data"],
        envelope=envelope,
    )
