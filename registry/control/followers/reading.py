"""Pages of the ledger as a follower's sink takes them: bounded, in order, what is left out passed over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from registry.contract.cloudevents import CloudEvent, cloud_event, source_of
from registry.control.core import Core
from registry.control.followers.following import Follower
from registry.control.ledger import read_event
from registry.control.sql import followers as rows
from registry.control.sql.statements import Row

#: Rows looked at for one batch, between two turns of the event loop. Most are some 300 bytes, the largest
#: 64 KiB.
_PAGE = 128


@dataclass(frozen=True, slots=True)
class Batch:
    """Events to be delivered, and the last seq that was looked at; 0 when there was none."""

    events: tuple[CloudEvent, ...]
    last: int


async def read_batch(core: Core, follower: Follower, after: int, window: int, source: str) -> Batch:
    """The follower's events beyond `after`, `window` of them at most.

    Entries become visible in the order of their commits, without gaps, so none that is unfinished is passed.
    """
    page = await core.database.fetch(rows.FOLLOWING, {"after": after, "limit": _PAGE})
    chosen: list[CloudEvent] = []
    last = 0
    for row in page:
        if follower.wants(row[1], row[2]):
            if len(chosen) == window:
                break
            chosen.append(_read(row, source))
        last = row[0]
    return Batch(tuple(chosen), last)


async def read_letters(core: Core, follower: Follower, window: int, source: str) -> Batch:
    """The follower's queued dead letters, `window` of them at most."""
    parameters = {"name": follower.name, "limit": min(window, _PAGE)}
    page: Sequence[Row] = await core.database.fetch(rows.QUEUED, parameters)
    return Batch(tuple(_read(row, source) for row in page), page[-1][0] if page else 0)


async def read_source(core: Core) -> str | None:
    """The ledger's own name; None while it is empty."""
    row = await core.database.fetch_one(rows.FIRST, {})
    return None if row is None else source_of(bytes(row[0]))


def _read(row: Row, source: str) -> CloudEvent:
    return cloud_event(read_event(bytes(row[3])), source)
