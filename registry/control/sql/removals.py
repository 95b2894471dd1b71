"""Bytes on their way out, as rows: the steps between "nobody holds this" and the deletion (DECISIONS 10).

`pending` can be taken back by whoever records the content again. `removing` cannot: one process is deleting,
and the others wait. `done` stays for a while, for those whose bytes were there before the deletion and whose
row comes after it: they must look whether the bytes are still there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, text, update

from registry.contract.dataplane import DomainId
from registry.contract.digest import Digest
from registry.control.sql.statements import first, rows, run, run_many
from registry.control.sql.tables import removals

PENDING, REMOVING, DONE = "pending", "removing", "done"

#: For `Database.fetch_one`: the state of one removal, by address or SHA-256.
REMOVAL = """
SELECT state, since, domain, content_address, due_at FROM removals
WHERE domain = :domain AND content_address = :digest
UNION ALL
SELECT state, since, domain, content_address, due_at FROM removals
WHERE domain = :domain AND sha256 = :digest
"""

_STATE = "SELECT state FROM removals WHERE domain = :domain AND content_address = :content_address"

_NOTE = """
INSERT INTO removals (domain, content_address, sha256, size, generation, state, since, due_at)
SELECT CAST(:domain AS TEXT), CAST(:content_address AS TEXT), CAST(:sha256 AS TEXT), CAST(:size AS BIGINT),
    CAST(:generation AS BIGINT), 'pending', CAST(:since AS BIGINT), CAST(:due_at AS BIGINT)
WHERE NOT EXISTS (SELECT 1 FROM blobs b WHERE b.domain = :domain AND b.content_address = :content_address
                  AND b.state <> 'erased')
ON CONFLICT (domain, content_address) DO UPDATE SET sha256 = excluded.sha256, size = excluded.size,
    generation = excluded.generation, state = excluded.state, since = excluded.since, due_at = excluded.due_at
    WHERE removals.state <> 'removing'
"""

_UNNAMED = """
SELECT b.content_address FROM blobs b
WHERE b.domain = :domain AND b.content_address IN ({places}) AND b.state <> 'erased'
UNION ALL
SELECT m.content_address FROM removals m
WHERE m.domain = :domain AND m.content_address IN ({places}) AND m.state <> 'done'
"""

_CLAIMABLE = """
SELECT p.domain, p.content_address, p.size FROM (
    SELECT m.domain, m.content_address, m.size FROM removals m
    WHERE m.state = 'pending' AND m.due_at <= :now AND {unnamed} ORDER BY m.due_at LIMIT :limit) p
UNION ALL
SELECT s.domain, s.content_address, s.size FROM (
    SELECT m.domain, m.content_address, m.size FROM removals m
    WHERE m.state = 'removing' AND m.since <= :stale AND {unnamed} LIMIT :limit) s
LIMIT :limit
""".format(
    unnamed="NOT EXISTS (SELECT 1 FROM blobs b WHERE b.domain = m.domain "
    "AND b.content_address = m.content_address AND b.state <> 'erased')"
)

_IS = "domain = :domain AND content_address = :content_address"
_CLAIM = f"UPDATE removals SET state = 'removing', since = :now WHERE {_IS}"
_CLAIMED = f"WHERE {_IS} AND state = 'removing' AND since = :claimed_at"
_FINISH = f"UPDATE removals SET state = 'done', since = :now {_CLAIMED}"
_PUT_BACK = f"UPDATE removals SET state = 'pending', due_at = :due_at {_CLAIMED}"
_WAITING = "SELECT COUNT(*), COALESCE(SUM(size), 0), MIN(due_at) FROM removals WHERE state = 'pending'"


class ContentGoingError(Exception):
    """The content that a mutation would record is being deleted, or was a moment ago."""

    def __init__(self, domain: DomainId, address: Digest) -> None:
        super().__init__(f"{address} is being removed from {domain}")
        self.domain = domain
        self.address = address


@dataclass(frozen=True, slots=True)
class Removal:
    """Bytes that one process may delete now. `size` is what the views said, or the data plane."""

    domain: DomainId
    address: Digest
    size: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is marked and not due: how many, how many bytes, and when the first is due (microseconds)."""

    objects: int
    bytes: int
    first_due: int | None


def let_stay(connection: Connection, domain: DomainId, address: Digest) -> None:
    """Take a pending removal back, since the content is recorded again. Raises ContentGoingError."""
    row = first(connection, _STATE, domain=domain, content_address=str(address))
    state = row[0] if row else None
    if state in (REMOVING, DONE):
        raise ContentGoingError(domain, address)
    if state == PENDING:
        connection.execute(delete(removals).where(*_is(domain, address)))


def note(
    connection: Connection,
    domain: DomainId,
    address: Digest,
    *,
    sha256: Digest | None,
    size: int,
    generation: int,
    now: int,
    due_at: int,
) -> None:
    """Write down that bytes shall go at `due_at`, unless a row names them or somebody deletes them now."""
    run(
        connection,
        _NOTE,
        domain=domain,
        content_address=str(address),
        sha256=str(sha256) if sha256 else None,
        size=size,
        generation=generation,
        since=now,
        due_at=due_at,
    )


def put_off(connection: Connection, domain: DomainId, address: Digest, until: int) -> None:
    """Let a pending removal wait at least until then."""
    connection.execute(
        update(removals)
        .where(*_is(domain, address), removals.c.state == PENDING, removals.c.due_at < until)
        .values(due_at=until)
    )


def unnamed(connection: Connection, domain: DomainId, addresses: Sequence[Digest]) -> list[Digest]:
    """Which of the addresses no row names, neither as content nor as bytes on their way out."""
    named = {f"a{position}": str(address) for position, address in enumerate(addresses)}
    statement = text(_UNNAMED.format(places=", ".join(f":{name}" for name in named)))
    known = {row[0] for row in connection.execute(statement, {"domain": domain, **named})}
    return [address for address in addresses if str(address) not in known]


def claim(connection: Connection, now: int, stale: int, limit: int) -> list[Removal]:
    """Begin to delete what is due, and what another process began before `stale` and did not end."""
    found = rows(connection, _CLAIMABLE, now=now, stale=stale, limit=limit)
    run_many(connection, _CLAIM, [{"domain": row[0], "content_address": row[1], "now": now} for row in found])
    return [Removal(DomainId(row[0]), Digest.parse(row[1]), row[2]) for row in found]


def finish(connection: Connection, removal: Removal, claimed_at: int, now: int) -> None:
    """The bytes are gone. Nothing happens when somebody has ended the claim meanwhile."""
    run(connection, _FINISH, **_named(removal), claimed_at=claimed_at, now=now)


def put_back(connection: Connection, removal: Removal, claimed_at: int, due_at: int) -> None:
    """The deletion failed, or was not begun: it is pending again."""
    run(connection, _PUT_BACK, **_named(removal), claimed_at=claimed_at, due_at=due_at)


def give_up(connection: Connection, domain: DomainId, address: Digest, before: int, now: int) -> None:
    """End a claim made before then, whose process must be dead: the bytes may be there or not."""
    connection.execute(
        update(removals)
        .where(*_is(domain, address), removals.c.state == REMOVING, removals.c.since <= before)
        .values(state=DONE, since=now)
    )


def forget(connection: Connection, domain: DomainId, address: Digest) -> None:
    """The bytes were seen to be there after the deletion, so nobody need ask any more."""
    connection.execute(delete(removals).where(*_is(domain, address), removals.c.state == DONE))


def forget_done(connection: Connection, before: int) -> None:
    """Deletions that ended before then: no push began so long ago."""
    connection.execute(delete(removals).where(removals.c.state == DONE, removals.c.since <= before))


def waiting(connection: Connection) -> Waiting:
    """What is marked and still has its bytes."""
    row = connection.execute(text(_WAITING)).one()
    return Waiting(int(row[0]), int(row[1]), row[2])


def _named(removal: Removal) -> dict[str, str]:
    return {"domain": removal.domain, "content_address": str(removal.address)}


def _is(domain: DomainId, address: Digest) -> tuple[Any, ...]:
    return removals.c.domain == domain, removals.c.content_address == str(address)
