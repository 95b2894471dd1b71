"""Which locations hold which content, and how much: what moving and restoring look over."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from registry.contract.dataplane import DomainId
from registry.contract.digest import Digest
from registry.control.sql.lookups import NOT_GONE
from registry.control.sql.statements import rows

_PLACES = """
SELECT blob_id, location, retrieval_tier, restore_status, restored_until FROM storage_locations
WHERE blob_id BETWEEN :low AND :high ORDER BY blob_id, location
"""
#: Content that views are made from: manifests, the canonical ones of packages, schemas.
_VIEWED = """(
    EXISTS (SELECT 1 FROM repository_blobs rb WHERE rb.blob_id = b.id AND rb.as_manifest)
    OR EXISTS (SELECT 1 FROM manifests m WHERE m.package_digest = b.content_address)
    OR EXISTS (SELECT 1 FROM metadata_schemas s WHERE s.content_address = b.content_address))
"""
_VIEWED_BETWEEN = f"SELECT b.id FROM blobs b WHERE b.id BETWEEN :low AND :high AND {_VIEWED}"
_FREE = f"""
SELECT 1 FROM blobs b WHERE b.id = :blob_id AND {NOT_GONE} AND NOT EXISTS (
    SELECT 1 FROM content_leases l WHERE l.domain = b.domain AND l.content_address = b.content_address
    AND l.expires_at > :now)
AND NOT {_VIEWED}
"""
_BY_DOMAIN = """
SELECT b.domain, l.location, COUNT(*), SUM(b.size)
FROM storage_locations l JOIN blobs b ON b.id = l.blob_id AND b.state <> 'erased'
GROUP BY b.domain, l.location ORDER BY b.domain, l.location
"""
_RESTORING = """
SELECT b.id, b.domain, b.content_address, l.location, l.restore_status, l.restored_until
FROM storage_locations l JOIN blobs b ON b.id = l.blob_id
WHERE l.restore_status IS NOT NULL AND (l.blob_id, l.location) > (:blob_id, :location)
ORDER BY l.blob_id, l.location LIMIT :limit
"""
_RESTORES = """
SELECT location, restore_status, COUNT(*) FROM storage_locations WHERE restore_status IS NOT NULL
GROUP BY location, restore_status ORDER BY location, restore_status
"""
_USAGE = "SELECT location, bytes, objects FROM location_usage ORDER BY location"


@dataclass(frozen=True, slots=True)
class Holding:
    """A location that holds content, as the ledger says. Times in microseconds."""

    location: str
    tier: str
    restore_status: str | None
    until: int | None


@dataclass(frozen=True, slots=True)
class Restoring:
    """Content whose restore was asked for at a location. `until` is in microseconds."""

    blob_id: int
    domain: DomainId
    address: Digest
    location: str
    status: str
    until: int | None


@dataclass(frozen=True, slots=True)
class Amount:
    """What there is of something."""

    bytes: int
    objects: int


def places(connection: Connection, low: int, high: int) -> dict[int, tuple[Holding, ...]]:
    """Where contents with ids from `low` to `high` are."""
    found: dict[int, tuple[Holding, ...]] = {}
    for blob_id, *holding in rows(connection, _PLACES, low=low, high=high):
        found[blob_id] = (*found.get(blob_id, ()), Holding(*holding))
    return found


def viewed(connection: Connection, low: int, high: int) -> set[int]:
    """Contents with such ids that views are made from: a replay reads them, and so does every look-up."""
    return {int(row[0]) for row in rows(connection, _VIEWED_BETWEEN, low=low, high=high)}


def is_free(connection: Connection, blob_id: int, now: int) -> bool:
    """Whether content is there, no view is made from it, and no push or draft is about to need it."""
    return bool(rows(connection, _FREE, blob_id=blob_id, now=now))


def by_domain(connection: Connection) -> list[tuple[DomainId, str, Amount]]:
    """What each domain has at each location. Reads all rows."""
    return [
        (DomainId(row[0]), row[1], Amount(int(row[3]), int(row[2]))) for row in rows(connection, _BY_DOMAIN)
    ]


def restoring(connection: Connection, after: tuple[int, str], limit: int) -> list[Restoring]:
    """Restores behind `after` (blob id, location), in order."""
    found = rows(connection, _RESTORING, blob_id=after[0], location=after[1], limit=limit)
    return [
        Restoring(row[0], DomainId(row[1]), Digest.parse(row[2]), row[3], row[4], row[5]) for row in found
    ]


def restores(connection: Connection) -> list[tuple[str, str, int]]:
    """How many restores each location has, by their status."""
    return [(row[0], row[1], int(row[2])) for row in rows(connection, _RESTORES)]


def usage(connection: Connection) -> dict[str, Amount]:
    """What each location holds, by counters."""
    return {row[0]: Amount(int(row[1]), int(row[2])) for row in rows(connection, _USAGE)}
