"""When content was last asked for: to the hour, at the cost of a look into a set for each read.

Ids gather in memory and are written down now and then, each at most once an hour by each process, into a
table outside the ledger. A process that is killed forgets the last minute; what is decided by it counts in
days. Content without a row counts as read when the counting began.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from registry.control.core import HOUR, SYSTEM, Core
from registry.control.sql import content_reads, progress
from registry.control.sql.transaction import Transaction
from registry.control.work import load

WORK = "reads"

#: Seconds between two looks for something to write down.
EVERY = 60.0
#: Rows of one transaction.
_BATCH = 500


async def keep_count(core: Core) -> None:
    """Write down what gathered, and that somebody counts: once a minute, by each process.

    Without rules nobody counts, and then what was counted is worth nothing.
    """
    await flush(core)
    state = await load(core, WORK)
    if core.tiers.rules and "since" not in state:
        since = {"since": core.clock.now()}
        await core.database.write(SYSTEM, lambda tx: progress.save(tx.connection, WORK, since))
    elif not core.tiers.rules and state:
        await core.database.write(SYSTEM, lambda tx: progress.drop(tx.connection, WORK))


async def counting_since(core: Core) -> int:
    """When the counting began (microseconds); now where it has not."""
    return int((await load(core, WORK)).get("since", core.clock.now()))


async def flush(core: Core) -> int:
    """Write down what was asked for since the last time; returns how many contents."""
    now = core.clock.now()
    noted = core.reads.take(now, HOUR)
    for start in range(0, len(noted), _BATCH):
        await core.database.write(SYSTEM, partial(_note, batch=noted[start : start + _BATCH], now=now))
    return len(noted)


def _note(tx: Transaction, *, batch: Sequence[int], now: int) -> None:
    content_reads.note(tx.connection, batch, now)


async def last(core: Core, low: int, high: int) -> dict[int, int]:
    """When contents with ids from `low` to `high` were last asked for (microseconds), as written down."""
    return await core.database.read(partial(content_reads.between, low=low, high=high))
