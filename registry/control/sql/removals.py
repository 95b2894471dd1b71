"""Bytes on their way out, as rows: the steps between "nobody holds this" and the deletion (decision 10).

`pending` can be taken back by whoever records the content again. `removing` cannot: one process is deleting,
and the others wait. `done` stays for a while, for those whose bytes were there before the deletion and whose
row comes after it: they must look whether the bytes are still there. So must they with `failed`, a deletion
that was begun and of which nobody knows what became; it is begun again when it is due.

`since` never repeats within a row, so that it names one state of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, text

from registry.contract.dataplane import DomainId
from registry.contract.digest import Digest
from registry.control.sql.statements import first, rows, run, run_many

PENDING, REMOVING, FAILED, DONE = "pending", "removing", "failed", "done"

#: For `Database.fetch_one`: the state of one removal.
REMOVAL = "SELECT state, since FROM removals WHERE domain = :domain AND content_address = :content_address"

_NOTE = """
INSERT INTO removals (domain, content_address, sha256, size, generation, state, since, due_at)
SELECT CAST(:domain AS TEXT), CAST(:content_address AS TEXT), CAST(:sha256 AS TEXT), CAST(:size AS BIGINT),
    CAST(:generation AS BIGINT), 'pending', CAST(:since AS BIGINT), CAST(:due_at AS BIGINT)
WHERE NOT EXISTS (SELECT 1 FROM blobs b WHERE b.domain = :domain AND b.content_address = :content_address
                  AND b.state <> 'erased')
ON CONFLICT (domain, content_address) DO UPDATE SET sha256 = excluded.sha256, size = excluded.size,
    generation = excluded.generation, state = excluded.state, due_at = excluded.due_at,
    since = CASE WHEN excluded.since > removals.since THEN excluded.since ELSE removals.since + 1 END
    WHERE removals.state IN ('pending', 'done')
"""

_UNNAMED = """
SELECT b.content_address FROM blobs b
WHERE b.domain = :domain AND b.content_address IN ({places}) AND b.state <> 'erased'
UNION ALL
SELECT m.content_address FROM removals m
WHERE m.domain = :domain AND m.content_address IN ({places}) AND m.state <> 'done'
"""

#: A state at a time: the index has them in order of their time.
_CLAIMABLE = """
SELECT domain, content_address, size, since FROM removals m
WHERE state = :state AND due_at <= :now
    AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.domain = m.domain
                    AND b.content_address = m.content_address AND b.state <> 'erased')
ORDER BY due_at LIMIT :limit
"""

_IS = "domain = :domain AND content_address = :content_address"
_LATER = "since = CASE WHEN since < :now THEN :now ELSE since + 1 END"
_CLAIMED = f"WHERE {_IS} AND state = 'removing' AND since = :claimed"
_CLAIM = f"UPDATE removals SET state = 'removing', since = :since WHERE {_IS}"
_FINISH = f"UPDATE removals SET state = 'done', {_LATER} {_CLAIMED}"
_FAIL = f"UPDATE removals SET state = 'failed', due_at = :due_at, {_LATER} {_CLAIMED}"
_STANDS = f"SELECT 1 FROM removals {_CLAIMED}"
_TAKE_BACK = f"DELETE FROM removals WHERE {_IS}"
_FORGET = f"{_TAKE_BACK} AND state IN ('failed', 'done') AND since = :since"
_PUT_OFF = f"""
UPDATE removals SET due_at = CASE WHEN due_at < :until THEN :until ELSE due_at END
WHERE {_IS} AND state IN ('pending', 'failed')
"""
_WAITING = """
SELECT COUNT(*), COALESCE(SUM(size), 0), MIN(due_at) FROM removals WHERE state IN ('pending', 'failed')
"""
_BEGUN = """
SELECT domain, content_address, size, since FROM removals WHERE state = 'removing' LIMIT :limit
"""
#: The index has them by the time when they were due, and they ended after that.
_ENDED = """
SELECT domain, content_address, size, since FROM removals
WHERE state = 'done' AND due_at <= :before AND since <= :before LIMIT :limit
"""


class ContentGoingError(Exception):
    """The content that a mutation would record is being deleted, or was a moment ago."""

    def __init__(self, domain: DomainId, address: Digest) -> None:
        super().__init__(f"{address} is being removed from {domain}")
        self.domain = domain
        self.address = address


@dataclass(frozen=True, slots=True)
class Removal:
    """Bytes that one process may delete now. `size` is what the views said, or the data plane.

    `since` names the claim.
    """

    domain: DomainId
    address: Digest
    size: int
    since: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is marked and not due: how many, how many bytes, and when the first is due (microseconds)."""

    objects: int
    bytes: int
    first_due: int | None


def let_stay(connection: Connection, domain: DomainId, address: Digest) -> None:
    """Take a pending removal back, since the content is recorded again. Raises ContentGoingError."""
    row = first(connection, REMOVAL, domain=domain, content_address=str(address))
    state = row[0] if row else None
    if state in (REMOVING, FAILED, DONE):
        raise ContentGoingError(domain, address)
    if state == PENDING:
        run(connection, _TAKE_BACK, domain=domain, content_address=str(address))


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


def forget_all(connection: Connection, domain: DomainId, address: Digest) -> None:
    """The bytes come anew, in a store where nobody deletes: whatever was written down of them is over."""
    run(connection, _TAKE_BACK, domain=domain, content_address=str(address))


def put_off(connection: Connection, domain: DomainId, address: Digest, until: int) -> bool:
    """Let a removal that has not begun wait at least until then; False when there is none to put off."""
    return run(connection, _PUT_OFF, domain=domain, content_address=str(address), until=until) > 0


def unnamed(connection: Connection, domain: DomainId, addresses: Sequence[Digest]) -> list[Digest]:
    """Which of the addresses no row names, neither as content nor as bytes on their way out."""
    named = {f"a{position}": str(address) for position, address in enumerate(addresses)}
    statement = _UNNAMED.format(places=", ".join(f":{name}" for name in named))
    known = {row[0] for row in rows(connection, statement, domain=domain, **named)}
    return [address for address in addresses if str(address) not in known]


def claim(connection: Connection, now: int, limit: int) -> list[Removal]:
    """Begin to delete what is due: `limit` at most of each kind."""
    due: list[Removal] = []
    for state in (PENDING, FAILED):
        due += _found(connection, _CLAIMABLE, state=state, now=now, limit=limit)
    claimed = [replace(removal, since=max(now, removal.since + 1)) for removal in due]
    run_many(connection, _CLAIM, [{**_named(removal), "since": removal.since} for removal in claimed])
    return claimed


def begun(connection: Connection, limit: int) -> list[Removal]:
    """Deletions that somebody has begun and not ended."""
    return _found(connection, _BEGUN, limit=limit)


def ended(connection: Connection, before: int, limit: int) -> list[Removal]:
    """Deletions that ended before then."""
    return _found(connection, _ENDED, before=before, limit=limit)


def finish(connection: Connection, removal: Removal, now: int) -> None:
    """The bytes are gone. Nothing happens when somebody has ended the claim meanwhile."""
    run(connection, _FINISH, **_claimed(removal), now=now)


def fail(connection: Connection, removal: Removal, due_at: int, now: int) -> None:
    """The deletion did not come to its end, so that the bytes may be there or not: again at `due_at`.

    Nothing happens when somebody has ended the claim meanwhile.
    """
    run(connection, _FAIL, **_claimed(removal), now=now, due_at=due_at)


def forget(connection: Connection, removal: Removal) -> None:
    """The bytes were seen to be there after the row came to that state, so nobody need ask any more."""
    run(connection, _FORGET, **_named(removal), since=removal.since)


def stands(connection: Connection, removal: Removal) -> bool:
    """Whether the deletion is under way by that very claim."""
    return first(connection, _STANDS, **_claimed(removal)) is not None


def waiting(connection: Connection) -> Waiting:
    """What is marked and still has its bytes."""
    row = connection.execute(text(_WAITING)).one()
    return Waiting(int(row[0]), int(row[1]), row[2])


def _named(removal: Removal) -> dict[str, str]:
    return {"domain": removal.domain, "content_address": str(removal.address)}


def _claimed(removal: Removal) -> dict[str, Any]:
    return {**_named(removal), "claimed": removal.since}


def _found(connection: Connection, statement: str, **parameters: Any) -> list[Removal]:
    found = rows(connection, statement, **parameters)
    return [Removal(DomainId(row[0]), Digest.parse(row[1]), row[2], row[3]) for row in found]
