"""Leases: content held for somebody, and background work held by one process (decisions 3, 10 and 22)."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select, update

from registry.contract.dataplane import DomainId
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.control.sql.statements import insert_into, run
from registry.control.sql.tables import content_leases, work_leases

_LEASE = f"""
{insert_into(content_leases)} ON CONFLICT (domain, content_address, principal) DO UPDATE SET
    expires_at = excluded.expires_at
"""


def lease_content(
    connection: Connection, domain: DomainId, address: Digest, principal: str, until: int
) -> None:
    """Hold content for `principal` until then (microseconds), though nothing reaches it yet."""
    run(
        connection,
        _LEASE,
        domain=domain,
        content_address=str(address),
        principal=principal,
        expires_at=until,
    )


def drop_expired_content(connection: Connection, now: int) -> int:
    """How many leases on content were over."""
    return connection.execute(delete(content_leases).where(content_leases.c.expires_at <= now)).rowcount


def acquire_work(connection: Connection, work: str, holder: str, now: int, until: int) -> int | None:
    """The fencing token when `holder` has or gets the work, None while another has it."""
    row = connection.execute(
        select(work_leases.c.holder, work_leases.c.token, work_leases.c.expires_at).where(
            work_leases.c.work == work
        )
    ).first()
    if row is None:
        values = {"work": work, "holder": holder, "token": 1, "expires_at": until}
        connection.execute(insert(work_leases), values)
        return 1
    if row.holder != holder and row.expires_at > now:
        return None
    token = int(row.token if row.holder == holder else row.token + 1)
    connection.execute(
        update(work_leases)
        .where(work_leases.c.work == work)
        .values(holder=holder, token=token, expires_at=until)
    )
    return token


def check_token(connection: Connection, work: str, token: int) -> None:
    """Raises UNAVAILABLE when another holder has taken the work over meanwhile."""
    current = connection.scalar(select(work_leases.c.token).where(work_leases.c.work == work))
    if current != token:
        raise StoreError(ErrorKind.UNAVAILABLE, f"another process does the work of the {work} now")
