"""Bytes leave the location that their content has moved away from (decisions 39 and 65).

Who deletes holds the work of the collection and its permit, whether what it deletes is content that nobody
has any more or one copy of content that moved. So there is one who deletes in a store, and who brings bytes
can take work and permit from one that was stopped.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from registry.contract.errors import StoreError
from registry.control.core import SECOND
from registry.control.sql import releases
from registry.control.sql.releases import Release
from registry.control.sql.transaction import Transaction
from registry.control.work import Work

_LOG = logging.getLogger(__name__)

#: Seconds after a claim in which deletions begin.
_QUICK = 20.0
_BATCH = 32
_PARALLEL = 4
_RETRY = 10 * 60 * SECOND


@dataclass(slots=True)
class Released:
    """What was deleted at locations that content has left. `kept` could not be, and is tried again."""

    contents: int = 0
    bytes: int = 0
    kept: int = 0


async def take_over(work: Work) -> None:
    """End what others have begun, once the permit is ours: for who holds the collection's work."""
    while begun := await work.core.database.read(partial(releases.begun, limit=_BATCH)):
        await work.write(partial(_fail_batch, batch=begun))


async def forget_ended(work: Work, before: int) -> None:
    """Forget deletions that ended before then (microseconds): nobody needs to know of them any more."""
    while ended := await work.core.database.read(partial(releases.ended, before=before, limit=_BATCH)):
        await work.write(partial(_forget_batch, batch=ended))


async def release(work: Work, done: Released) -> None:
    """Delete all that is due. `work` is the collection's, taken over."""
    core = work.core
    if not core.places.several:
        return
    while claimed := await work.write(lambda tx: releases.claim(tx.connection, core.clock.now(), _BATCH)):
        await _delete(work, claimed, done)


async def _delete(work: Work, claimed: Sequence[Release], done: Released) -> None:
    turn, until = asyncio.Semaphore(_PARALLEL), time.monotonic() + _QUICK

    async def delete(one: Release) -> tuple[int | None, int]:
        """Bytes freed, None when they were not, and microseconds until it is tried again."""
        async with turn:
            place = work.core.places.find(one.location)
            if place is None:
                _LOG.warning("%s stays at %s, which the settings know no more", one.address, one.location)
                return None, _RETRY
            if time.monotonic() > until:
                return None, 0
            try:
                return await work.core.dataplane.release(one.domain, one.address, place.name, work.holder), 0
            except StoreError as error:
                _LOG.warning("%s stays at %s: %s", one.address, one.location, error)
                return None, _RETRY

    outcomes = await asyncio.gather(*map(delete, claimed))

    def change(tx: Transaction) -> None:
        now = work.core.clock.now()
        for one, (freed, wait) in zip(claimed, outcomes, strict=True):
            if freed is None:
                releases.fail(tx.connection, one, now + wait, now)
            else:
                releases.finish(tx.connection, one, now)

    await work.write(change)
    for freed, wait in outcomes:
        done.contents += freed is not None
        done.bytes += freed or 0
        done.kept += freed is None and wait > 0


def _forget_batch(tx: Transaction, *, batch: Sequence[Release]) -> None:
    for one in batch:
        releases.forget(tx.connection, one)


def _fail_batch(tx: Transaction, *, batch: Sequence[Release]) -> None:
    for one in batch:
        releases.fail(tx.connection, one, tx.now, tx.now)
