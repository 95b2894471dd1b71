"""What fsck asks of the database: is the ledger whole, do the views agree with each other?

Each check yields sentences, one a fault. They run on a snapshot, so a live server does not disturb them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, text

from registry.contract.cbor import CborError
from registry.contract.dataplane import DomainId
from registry.contract.digest import Digest
from registry.contract.errors import StoreError
from registry.contract.events import decode_entry, encode_entry, scope_of
from registry.control.sql import tables as t

_DANGLING = """
SELECT 'tag ' || COALESCE(r.name, '?') || ':' || t.name || ' points at no manifest'
FROM tags t LEFT JOIN repositories r ON r.id = t.repository_id
LEFT JOIN manifests m ON m.id = t.manifest_id AND m.repository_id = t.repository_id
WHERE m.id IS NULL OR r.id IS NULL
UNION ALL
SELECT 'manifest ' || m.id || ' has no content' FROM manifests m
LEFT JOIN blobs b ON b.id = m.blob_id WHERE b.id IS NULL
UNION ALL
SELECT 'content ' || b.content_address || ' is not known by its own address' FROM blobs b
LEFT JOIN blob_digests d ON d.blob_id = b.id AND d.digest = b.content_address WHERE d.blob_id IS NULL
UNION ALL
SELECT 'repository ' || COALESCE(r.name, '?') || ' has content that is not recorded' FROM repository_blobs rb
LEFT JOIN repositories r ON r.id = rb.repository_id LEFT JOIN blobs b ON b.id = rb.blob_id
WHERE b.id IS NULL OR r.id IS NULL
UNION ALL
SELECT 'content ' || b.content_address || ' has no location' FROM blobs b
LEFT JOIN storage_locations l ON l.blob_id = b.id WHERE l.blob_id IS NULL
UNION ALL
SELECT 'repository ' || r.name || ' counts ' || u.logical || ' bytes in ' || u.objects || ' objects'
    || ' where it has ' || COALESCE(SUM(b.size), 0) || ' in ' || COUNT(b.id)
FROM repositories r JOIN repository_usage u ON u.repository_id = r.id
LEFT JOIN repository_blobs rb ON rb.repository_id = r.id LEFT JOIN blobs b ON b.id = rb.blob_id
GROUP BY r.name, u.logical, u.objects
HAVING COALESCE(SUM(b.size), 0) <> u.logical OR COUNT(b.id) <> u.objects
UNION ALL
SELECT 'repository ' || r.name || ' counts ' || u.exclusive || ' bytes that nobody else holds, it has '
    || COALESCE(e.size, 0)
FROM repositories r JOIN repository_usage u ON u.repository_id = r.id
LEFT JOIN (
    SELECT MIN(rb.repository_id) AS repository_id, SUM(b.size) AS size FROM (
        SELECT blob_id, MIN(repository_id) AS repository_id FROM repository_blobs
        GROUP BY blob_id HAVING COUNT(*) = 1
    ) rb JOIN blobs b ON b.id = rb.blob_id GROUP BY rb.repository_id
) e ON e.repository_id = r.id
WHERE COALESCE(e.size, 0) <> u.exclusive
UNION ALL
SELECT 'repository ' || r.name || ' has no counters' FROM repositories r
LEFT JOIN repository_usage u ON u.repository_id = r.id WHERE u.repository_id IS NULL
UNION ALL
SELECT 'location ' || l.location || ' counts ' || COALESCE(u.bytes, 0) || ' bytes in '
    || COALESCE(u.objects, 0) || ' objects where it has ' || l.bytes || ' in ' || l.objects
FROM (SELECT p.location, SUM(b.size) AS bytes, COUNT(*) AS objects
      FROM storage_locations p JOIN blobs b ON b.id = p.blob_id GROUP BY p.location) l
LEFT JOIN location_usage u ON u.location = l.location
WHERE COALESCE(u.bytes, 0) <> l.bytes OR COALESCE(u.objects, 0) <> l.objects
UNION ALL
SELECT 'the store counts ' || s.physical || ' bytes in ' || s.objects || ' objects and ' || s.logical
    || ' in its repositories, it has ' || b.physical || ' in ' || b.objects || ' and ' || l.logical
FROM store_usage s
CROSS JOIN (SELECT COALESCE(SUM(size), 0) AS physical, COUNT(*) AS objects FROM blobs) b
CROSS JOIN (SELECT COALESCE(SUM(b.size), 0) AS logical
            FROM repository_blobs rb JOIN blobs b ON b.id = rb.blob_id) l
WHERE s.physical <> b.physical OR s.objects <> b.objects OR s.logical <> l.logical
"""

#: Descriptors that the repository does not have. Layers that may lack are told apart by the caller.
_ABSENT = """
SELECT r.name, own.digest, e.digest, e.media_type FROM manifest_edges e
JOIN repositories r ON r.id = e.repository_id
JOIN manifests m ON m.id = e.manifest_id
JOIN blob_digests own ON own.blob_id = m.blob_id AND own.digest_algorithm = m.digest_algorithm
LEFT JOIN blob_digests d ON d.domain = r.domain AND d.digest = e.digest
LEFT JOIN repository_blobs rb ON rb.repository_id = r.id AND rb.blob_id = d.blob_id
WHERE rb.blob_id IS NULL
ORDER BY r.name, e.manifest_id, e.position
"""


@dataclass(frozen=True, slots=True)
class KnownContent:
    """Content that the views know, with all its digests."""

    id: int
    domain: DomainId
    address: Digest
    size: int
    state: str
    digests: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class AbsentChild:
    """A descriptor whose content its manifest's repository does not have."""

    repository: str
    manifest: str
    digest: str
    media_type: str


def ledger_faults(connection: Connection) -> list[str]:
    """Gaps, envelopes that cannot be read or are not canonical, columns that differ, a wrong head."""
    return list(_ledger_faults(connection))


def _ledger_faults(connection: Connection) -> Iterator[str]:
    expected, latest = 1, 0
    columns = t.events.c
    statement = select(columns.seq, columns.time, columns.kind, columns.scope, columns.envelope)
    rows = connection.execute(statement.order_by(columns.seq).execution_options(yield_per=1000))
    for row in rows:
        if row.seq != expected:
            yield f"event {expected} is missing from the ledger"
        expected = row.seq + 1
        yield from _entry_faults(row, latest)
        latest = row.time
    head = connection.execute(select(t.ledger_head.c.seq, t.ledger_head.c.time)).one()
    if (head.seq, head.time) != (expected - 1, latest):
        yield f"the ledger's head says {head.seq}, its last event is {expected - 1}"


def _entry_faults(row: Any, latest: int) -> Iterator[str]:
    try:
        entry = decode_entry(bytes(row.envelope))
        canonical = encode_entry(entry)
    except (StoreError, CborError, KeyError, TypeError, ValueError) as error:
        yield f"event {row.seq} cannot be read: {error}"
        return
    said = (entry.seq, entry.time, entry.event.KIND, scope_of(entry.event))
    if said != (row.seq, row.time, row.kind, row.scope) or canonical != bytes(row.envelope):
        yield f"event {row.seq} is not what its envelope says"
    if row.time < latest:
        yield f"event {row.seq} is older than the one before it"


def view_faults(connection: Connection) -> list[str]:
    """Rows that point nowhere, and counters that are off."""
    return [row[0] for row in connection.execute(text(_DANGLING))]


def absent_children(connection: Connection) -> list[AbsentChild]:
    """Descriptors without content, in sparse repositories too."""
    return [AbsentChild(*row) for row in connection.execute(text(_ABSENT))]


def contents(connection: Connection, after: int, limit: int) -> list[KnownContent]:
    """Content with an id after `after`, in order."""
    found = connection.execute(
        select(t.blobs).where(t.blobs.c.id > after).order_by(t.blobs.c.id).limit(limit)
    ).all()
    digests: dict[int, list[Digest]] = {row.id: [] for row in found}
    names: Sequence[Any] = connection.execute(
        select(t.blob_digests.c.blob_id, t.blob_digests.c.digest).where(
            t.blob_digests.c.blob_id.in_(list(digests))
        )
    ).all()
    for row in names:
        digests[row.blob_id].append(Digest.parse(row.digest))
    return [
        KnownContent(
            row.id,
            DomainId(row.domain),
            Digest.parse(row.content_address),
            row.size,
            row.state,
            tuple(sorted(digests[row.id])),
        )
        for row in found
    ]
