"""The life of the export: wait until something is due, hold the work, write, again.

As with followers, every process of a store runs it and a lease decides which one writes. It looks at the head
twice a second and not at each commit: what is due after seconds need not be woken by milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from dataclasses import replace

from registry.contract.errors import ErrorKind, StoreError
from registry.contract.tlog.merkle import WIDTH
from registry.control.core import SECOND, SYSTEM, Core
from registry.control.export.exporter import Exporter
from registry.control.export.settings import Export
from registry.control.export.state import WORK, Exported
from registry.control.sql import exporting, progress
from registry.control.sql.transaction import Transaction
from registry.control.work import hold, load

_LOG = logging.getLogger(__name__)

_LEASE_SECONDS = 30.0
_LEASE = int(_LEASE_SECONDS * SECOND)
_PULSE = 0.5
#: The work is kept so long after the last event, so that a slow trickle does not cost a lease each.
_LINGER = 10.0
_LONGEST_END = 5.0
#: After what somebody has to look at. It is told again each time.
_REST = 60.0


async def run(core: Core, export: Export) -> None:
    """Export until cancelled."""
    while True:
        try:
            await _turn(core, export)
        except StoreError as error:
            if error.kind is ErrorKind.CONFLICT:
                _LOG.error("the ledger's export has stopped: %s", error)
                await _record(core, error.message)
                await asyncio.sleep(_REST)
                continue
            # UNAVAILABLE is also how it is said that another process has the work.
            level = logging.DEBUG if error.kind is ErrorKind.UNAVAILABLE else logging.WARNING
            _LOG.log(level, "the ledger's export paused: %s", error)
            await asyncio.sleep(_PULSE * (1 + random.random()))  # noqa: S311  (spreads processes out)
        except Exception:
            _LOG.exception("the ledger's export failed")
            await asyncio.sleep(_REST)


async def finish(core: Core, export: Export) -> None:
    """Export what is left before the store closes, unless that takes long or another process does it."""
    try:
        async with asyncio.timeout(_LONGEST_END):
            if await core.database.head() > Exported.of(await load(core, WORK)).size:
                async with hold(core, WORK, lease=_LEASE) as work:
                    exporter = Exporter(work, export, _LEASE_SECONDS)
                    await exporter.open()
                    await exporter.advance(await core.database.head())
    except (StoreError, TimeoutError) as error:
        if not isinstance(error, StoreError) or error.kind is not ErrorKind.UNAVAILABLE:
            _LOG.warning("the last events are exported after the next start: %s", error)


async def _turn(core: Core, export: Export) -> None:
    """Look whether something is to be done, and when there is, do all of it."""
    look = await core.database.fetch_one(exporting.LOOK, {"work": WORK})
    head, held_until, state = look if look else (0, 0, None)
    known = Exported.of(json.loads(state) if state else {})
    if held_until <= core.clock.now() and (head > known.size or known.fault):
        async with hold(core, WORK, lease=_LEASE) as work:
            exporter = Exporter(work, export, _LEASE_SECONDS)
            await exporter.open()
            await _serve(core, export, exporter)
    else:
        await asyncio.sleep(_PULSE)


async def _serve(core: Core, export: Export, exporter: Exporter) -> None:
    """Export what becomes due, until nothing has come for a while."""
    now = quiet = time.monotonic()
    waiting: float | None = None
    while now - quiet < _LINGER:
        head = await core.database.head()
        full = head - head % WIDTH
        if head > exporter.size:
            quiet = now
            waiting = now if waiting is None else waiting
            if now - waiting >= export.lag:
                await exporter.advance(head)
                waiting = None
            elif full > exporter.size:
                await exporter.advance(full)
                waiting = None
        await asyncio.sleep(min(_PULSE, export.lag or _PULSE))
        now = time.monotonic()


async def _record(core: Core, message: str) -> None:
    """Write the fault down, for metrics and `doctor`, and for who collects."""

    def change(tx: Transaction) -> None:
        known = Exported.of(progress.load(tx.connection, WORK))
        progress.save(tx.connection, WORK, replace(known, fault=message).state())

    try:
        await core.database.write(SYSTEM, change)
    except StoreError as error:
        _LOG.warning("the fault of the export could not be written down: %s", error)
