"""Leases: content held for somebody, and background work held by one process (decisions 3, 10 and 22)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, insert, select, text, update

from registry.contract.dataplane import DomainId
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.control.sql.statements import insert_into, run
from registry.control.sql.tables import content_leases, work_leases

_LEASE = f"""
{insert_into(content_leases)} ON CONFLICT (domain, content_address, principal) DO UPDATE SET
    expires_at = excluded.expires_at
"""
_DROP = "DELETE FROM content_leases WHERE domain = :domain AND content_address = :content_address"
_PROLONG = "UPDATE work_leases SET expires_at = :until WHERE work = :work AND token = :token"

#: Who has a lease that gives no right to read: it only keeps what a repository has.
NOBODY = ""

_WHAT_IT_NAMES = text("""
INSERT INTO content_leases (domain, content_address, principal, expires_at)
SELECT DISTINCT b.domain, b.content_address, '', CAST(:until AS BIGINT)
FROM manifest_edges e
JOIN repositories r ON r.id = e.repository_id
JOIN blob_digests d ON d.domain = r.domain AND d.digest = e.digest
JOIN blobs b ON b.id = d.blob_id
WHERE e.manifest_id = :manifest_id AND NOT EXISTS (
    SELECT 1 FROM manifests c JOIN untagged_manifests u ON u.manifest_id = c.id
    WHERE c.repository_id = e.repository_id AND c.blob_id = b.id)
ON CONFLICT (domain, content_address, principal) DO UPDATE SET expires_at = excluded.expires_at
""")
_AS_BLOB = text("""
INSERT INTO content_leases (domain, content_address, principal, expires_at)
SELECT b.domain, b.content_address, '', CAST(:until AS BIGINT)
FROM repository_blobs rb JOIN blobs b ON b.id = rb.blob_id
WHERE rb.repository_id = :repository_id AND rb.blob_id = :blob_id AND rb.as_blob
ON CONFLICT (domain, content_address, principal) DO UPDATE SET expires_at = excluded.expires_at
""")


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


def renew_content(
    connection: Connection, domain: DomainId, address: Digest, principal: str, until: int
) -> None:
    """Keep content where it is until then, and prolong what lease `principal` has on it."""
    lease_content(connection, domain, address, NOBODY, until)
    connection.execute(
        update(content_leases)
        .where(
            content_leases.c.domain == domain,
            content_leases.c.content_address == str(address),
            content_leases.c.principal == principal,
            content_leases.c.expires_at < until,
        )
        .values(expires_at=until)
    )


def lease_what_it_names(connection: Connection, manifest_id: int, until: int) -> None:
    """Keep what a manifest names though the manifest goes: somebody may just have been told it is there.

    Children that nothing needs either, as a collection has seen, go with it.
    """
    connection.execute(_WHAT_IT_NAMES, {"manifest_id": manifest_id, "until": until})


def lease_as_blob(connection: Connection, repository_id: int, blob_id: int, until: int) -> None:
    """Keep a manifest's content though the manifest goes, where the repository has it as a blob as well."""
    connection.execute(_AS_BLOB, {"repository_id": repository_id, "blob_id": blob_id, "until": until})


def drop_content(connection: Connection, domain: DomainId, address: Digest) -> None:
    """Forget the leases on content that goes; all are over."""
    run(connection, _DROP, domain=domain, content_address=str(address))


def drop_expired_content(connection: Connection, now: int, limit: int) -> int:
    """Forget up to `limit` leases on content that are over; how many."""
    expired = connection.execute(
        select(content_leases.c.domain, content_leases.c.content_address, content_leases.c.principal)
        .where(content_leases.c.expires_at <= now)
        .limit(limit)
    ).all()
    for domain, address, principal in expired:
        connection.execute(
            delete(content_leases).where(
                content_leases.c.domain == domain,
                content_leases.c.content_address == address,
                content_leases.c.principal == principal,
                content_leases.c.expires_at <= now,
            )
        )
    return len(expired)


def acquire_work(connection: Connection, work: str, holder: str, now: int, until: int) -> int | None:
    """The fencing token when `holder` has or gets the work, None while another has it.

    `now` and `until` may be from a while ago: the holder may have prolonged its hold since.
    """
    row = connection.execute(
        select(work_leases.c.holder, work_leases.c.token, work_leases.c.expires_at).where(
            work_leases.c.work == work
        )
    ).first()
    if row is None:
        values = {"work": work, "holder": holder, "token": 1, "expires_at": until}
        connection.execute(insert(work_leases), values)
        return 1
    # An end that is two leases away is from before the clock was put back.
    if row.holder != holder and now < row.expires_at <= 2 * until - now:
        return None
    token = int(row.token if row.holder == holder else row.token + 1)
    connection.execute(
        update(work_leases)
        .where(work_leases.c.work == work)
        .values(holder=holder, token=token, expires_at=until)
    )
    return token


def take_work(connection: Connection, work: str, holder: str, now: int) -> None:
    """Take work from whoever has it: their next write is refused, and anybody may have it."""
    connection.execute(
        update(work_leases)
        .where(work_leases.c.work == work)
        .values(holder=holder, token=work_leases.c.token + 1, expires_at=now)
    )


def check_token(connection: Connection, work: str, token: int) -> None:
    """Raises UNAVAILABLE when another holder has taken the work over meanwhile."""
    current = connection.scalar(select(work_leases.c.token).where(work_leases.c.work == work))
    if current != token:
        raise StoreError(ErrorKind.UNAVAILABLE, f"another process does the work of the {work} now")


def prolong_work(connection: Connection, work: str, token: int, until: int) -> None:
    """`check_token`, and hold the work until then. Raises UNAVAILABLE as that does."""
    if run(connection, _PROLONG, work=work, token=token, until=until) == 0:
        check_token(connection, work, token)


def release_work(connection: Connection, work: str, token: int, now: int) -> None:
    """Let another process have the work from now on."""
    connection.execute(update(work_leases).where(*_held(work, token)).values(expires_at=now))


def _held(work: str, token: int) -> tuple[Any, ...]:
    return work_leases.c.work == work, work_leases.c.token == token
