"""What has expired goes: upload sessions, stages without a session, drafts, leases.

One process of all that serve a store does this at a time: it holds the row `reaper` in `work_leases`, and
each of its writes checks that the row still bears its fencing token (DECISIONS 3).
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update

from registry.contract.dataplane import DomainId, Stage
from registry.contract.errors import ErrorKind, StoreError
from registry.control.core import SECOND, Core
from registry.control.drafts import drop_draft
from registry.control.sql import tables
from registry.control.sql.transaction import Transaction

_LOG = logging.getLogger(__name__)
_WORK = "reaper"
#: The actor of what the store does by itself.
SYSTEM = "system"
_EVERY_SECONDS = 60.0
_LEASE = 5 * 60 * SECOND
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Reaped:
    """How many went."""

    uploads: int = 0
    stages: int = 0
    drafts: int = 0
    leases: int = 0


async def run(core: Core) -> None:
    """Reap now and then, until cancelled. A failure is logged and tried again."""
    holder = core.identifiers.new()
    while True:
        try:
            token = await acquire(core, _WORK, holder)
            if token is not None:
                reaped = await reap(core, token)
                if reaped != Reaped():
                    _LOG.info("reaped %s", reaped)
        except StoreError as error:
            _LOG.warning("the reaper could not do its work: %s", error)
        await asyncio.sleep(_EVERY_SECONDS)


async def acquire(core: Core, work: str, holder: str) -> int | None:
    """The fencing token when `holder` has or gets the work, None while another has it."""
    lease = tables.work_leases

    def change(tx: Transaction) -> int | None:
        row = tx.connection.execute(
            select(lease.c.holder, lease.c.token, lease.c.expires_at).where(lease.c.work == work)
        ).first()
        if row is None:
            token = 1
            values = {"work": work, "holder": holder, "token": token, "expires_at": tx.now + _LEASE}
            tx.connection.execute(insert(lease), values)
            return token
        if row.holder != holder and row.expires_at > tx.now:
            return None
        token = row.token if row.holder == holder else row.token + 1
        tx.connection.execute(
            update(lease)
            .where(lease.c.work == work)
            .values(holder=holder, token=token, expires_at=tx.now + _LEASE)
        )
        return int(token)

    return await core.database.write(SYSTEM, change)


def check_token(tx: Transaction, work: str, token: int) -> None:
    """Raises UNAVAILABLE when another holder has taken the work over meanwhile."""
    lease = tables.work_leases
    current = tx.connection.scalar(select(lease.c.token).where(lease.c.work == work))
    if current != token:
        raise StoreError(ErrorKind.UNAVAILABLE, f"another process does the work of the {work} now")


async def reap(core: Core, token: int) -> Reaped:
    """Drop what has expired, once."""
    uploads = await _expired_uploads(core, token)
    stages = await _stray_stages(core)

    def change(tx: Transaction) -> tuple[int, int]:
        check_token(tx, _WORK, token)
        old = tx.connection.execute(
            select(tables.drafts.c.repository, tables.drafts.c.version)
            .where(tables.drafts.c.expires_at <= tx.now)
            .limit(_AT_ONCE)
        ).all()
        for repository, version in old:
            drop_draft(tx, repository, version)
        leases = tables.content_leases
        gone = tx.connection.execute(delete(leases).where(leases.c.expires_at <= tx.now))
        return len(old), gone.rowcount

    drafts, leases = await core.database.write(SYSTEM, change)
    return Reaped(uploads, stages, drafts, leases)


async def _expired_uploads(core: Core, token: int) -> int:
    """Sessions past their time whose bytes have not moved either."""
    uploads = tables.uploads
    now = core.clock.now()
    rows = await core.database.read(
        lambda connection: connection.execute(
            select(uploads.c.id, uploads.c.domain, uploads.c.content)
            .where(uploads.c.expires_at <= now)
            .limit(_AT_ONCE)
        ).all()
    )
    dropped = 0
    for upload, domain, content in rows:
        stage = Stage(DomainId(domain), upload)
        if content is None:
            status = await core.dataplane.staged(stage)
            if status.offset and status.touched + core.limits.upload_idle > now:
                continue
            try:
                await core.dataplane.discard(stage)
            except StoreError as error:
                if error.kind is not ErrorKind.UPLOAD_BUSY:
                    raise
                continue

        def change(tx: Transaction, upload: str = upload) -> None:
            check_token(tx, _WORK, token)
            tx.connection.execute(delete(uploads).where(uploads.c.id == upload))

        await core.database.write(SYSTEM, change)
        dropped += 1
    return dropped


async def _stray_stages(core: Core) -> int:
    """Stages of requests that a crash cut off: nobody has a session for them, and nothing moves."""
    uploads = tables.uploads
    before = core.clock.now() - core.limits.upload_idle
    dropped = 0
    async for stage, status in core.dataplane.stages():
        if status.touched > before:
            continue
        known = await core.database.read(
            lambda connection, stage=stage: connection.scalar(
                select(uploads.c.id).where(uploads.c.id == stage.id)
            )
        )
        if known is not None:
            continue
        try:
            await core.dataplane.discard(stage)
        except StoreError as error:
            if error.kind is not ErrorKind.UPLOAD_BUSY:
                raise
            continue
        dropped += 1
    return dropped
