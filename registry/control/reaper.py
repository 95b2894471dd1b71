"""What has expired goes: upload sessions, stages without a session, drafts, leases.

One process of all that serve a store does this at a time: it holds the row `reaper` in `work_leases`, and
each of its writes checks that the row still bears its fencing token (decision 3).
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial

from registry.contract.dataplane import Stage
from registry.contract.errors import ErrorKind, StoreError
from registry.control.core import SECOND, SYSTEM, Core
from registry.control.sql import draft_rows, leases, upload_rows
from registry.control.sql.transaction import Transaction

_LOG = logging.getLogger(__name__)
WORK = "reaper"
_EVERY_SECONDS = 60.0
_LEASE = 5 * 60 * SECOND
#: No piece of work of the data plane takes longer than this.
_LONGEST = 24 * 3600 * SECOND
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Reaped:
    """How many went."""

    uploads: int = 0
    stages: int = 0
    drafts: int = 0
    leases: int = 0
    broken_off: int = 0


async def run(core: Core) -> None:
    """Reap now and then, until cancelled. A failure is logged and tried again."""
    holder = core.identifiers.new()
    while True:
        try:
            token = await acquire(core, holder)
            if token is not None:
                reaped = await reap(core, token)
                if reaped != Reaped():
                    _LOG.info("reaped %s", reaped)
        except StoreError as error:
            _LOG.warning("the reaper could not do its work: %s", error)
        except Exception:
            # Nobody else would begin again, and what expires would stay until the next start.
            _LOG.exception("the reaper failed")
        await asyncio.sleep(_EVERY_SECONDS)


async def acquire(core: Core, holder: str) -> int | None:
    """The fencing token when `holder` has or gets the work, None while another has it."""
    now = core.clock.now()
    return await core.database.write(
        SYSTEM, lambda tx: leases.acquire_work(tx.connection, WORK, holder, now, now + _LEASE)
    )


async def reap(core: Core, token: int) -> Reaped:
    """Drop what has expired, once."""
    uploads = await _expired_uploads(core, token)
    stages = await _stray_stages(core)

    def change(tx: Transaction) -> tuple[int, int]:
        leases.check_token(tx.connection, WORK, token)
        old = draft_rows.expired(tx.connection, tx.now, _AT_ONCE)
        for repository, version in old:
            draft_rows.drop(tx.connection, repository, version)
        return len(old), leases.drop_expired_content(tx.connection, tx.now, _AT_ONCE)

    drafts, content = await core.database.write(SYSTEM, change)
    dropped = content
    while dropped == _AT_ONCE:
        more, dropped = await core.database.write(SYSTEM, change)
        drafts, content = drafts + more, content + dropped
    broken_off = await core.dataplane.reap(core.clock.now() - max(core.limits.upload_idle, _LONGEST))
    return Reaped(uploads, stages, drafts, content, broken_off)


async def _expired_uploads(core: Core, token: int) -> int:
    """Sessions past their time whose bytes have not moved either."""
    now = core.clock.now()
    dropped = 0
    for row in await core.database.read(lambda connection: upload_rows.expired(connection, now, _AT_ONCE)):
        if row.content is None:
            status = await core.dataplane.staged(row.stage)
            until = status.touched + core.limits.upload_idle
            if status.offset and until > now:
                await core.database.write(SYSTEM, partial(_prolong, token=token, upload=row.id, until=until))
                continue
            if not await _discard(core, row.stage):
                continue
        await core.database.write(SYSTEM, partial(_drop_upload, token=token, upload=row.id))
        dropped += 1
    return dropped


def _prolong(tx: Transaction, *, token: int, upload: str, until: int) -> None:
    """Bytes came in meanwhile. Written down, lest sessions that live stand before those that do not."""
    leases.check_token(tx.connection, WORK, token)
    upload_rows.prolong(tx.connection, upload, until)


def _drop_upload(tx: Transaction, *, token: int, upload: str) -> None:
    leases.check_token(tx.connection, WORK, token)
    upload_rows.drop(tx.connection, upload)


async def _stray_stages(core: Core) -> int:
    """Stages of requests that a crash cut off: nobody has a session for them, and nothing moves."""
    before = core.clock.now() - core.limits.upload_idle
    dropped = 0
    async for stage, status in core.dataplane.stages():
        if status.touched > before:
            continue
        known = await core.database.fetch_one(upload_rows.UPLOAD, {"id": stage.id})
        if known is None and await _discard(core, stage):
            dropped += 1
    return dropped


async def _discard(core: Core, stage: Stage) -> bool:
    """False while somebody still writes to it."""
    try:
        await core.dataplane.discard(stage)
    except StoreError as error:
        if error.kind is not ErrorKind.UPLOAD_BUSY:
            raise
        return False
    return True
