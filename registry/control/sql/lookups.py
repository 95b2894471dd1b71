"""The look-ups of the request path: SQL text compiled once, run by position, on either engine.

The same statements serve hot reads (`Database.fetch_one`) and mutations (`first`, inside a transaction), so
that what a reader sees and what a writer decides by is one thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from registry.contract.dataplane import DEFAULT_DOMAIN, DomainId, RetrievalTier
from registry.contract.digest import Digest
from registry.control.sql.holding import REACHED, WEAK
from registry.control.sql.statements import first, rows

#: States of content (A7): its bytes are at hand, are gone, lie where they must be fetched from first, or
#: were erased with the keys of their domain.
PRESENT, MISSING, AWAY, ERASED = "present", "missing", "away", "erased"

#: Tiers that give their bytes at once, without a restore.
AT_HAND = frozenset({RetrievalTier.HOT.value, RetrievalTier.WARM.value})

#: Content whose bytes cannot be had; in SQL `NOT_GONE` holds for all other.
GONE = frozenset({MISSING, ERASED})
NOT_GONE = "b.state NOT IN ('missing', 'erased')"

_MANIFEST_COLUMNS = """
SELECT m.id, m.repository_id, m.blob_id, r.domain, b.content_address, b.size, b.state, m.media_type, {digest},
       m.package_digest, m.schema_version, m.created_at
FROM repositories r
"""

MANIFEST_BY_TAG = (
    _MANIFEST_COLUMNS.format(digest="d.digest")
    + """
JOIN tags t ON t.repository_id = r.id AND t.name = :tag
JOIN manifests m ON m.id = t.manifest_id
JOIN blobs b ON b.id = m.blob_id
JOIN blob_digests d ON d.blob_id = m.blob_id AND d.digest_algorithm = t.digest_algorithm
WHERE r.name = :repository
"""
)

MANIFEST_BY_DIGEST = (
    _MANIFEST_COLUMNS.format(digest="d.digest")
    + """
JOIN blob_digests d ON d.domain = r.domain AND d.digest = :digest
JOIN manifests m ON m.repository_id = r.id AND m.blob_id = d.blob_id
JOIN blobs b ON b.id = m.blob_id
WHERE r.name = :repository
"""
)

_BLOB_COLUMNS = "SELECT b.id, b.domain, b.content_address, b.size, b.state, b.created_at"

#: Further columns: whether a manifest reaches it where `rb` is, and the end of its last lease.
_HOLD_COLUMNS = f""",
    CASE WHEN {REACHED} THEN 1 ELSE 0 END,
    (SELECT MAX(l.expires_at) FROM content_leases l
     WHERE l.domain = b.domain AND l.content_address = b.content_address)
"""

#: Content that a repository has, as a blob or as a manifest.
BLOB_OF_REPOSITORY = (
    _BLOB_COLUMNS
    + """, rb.as_blob, rb.as_manifest
FROM repositories r
JOIN blob_digests d ON d.domain = r.domain AND d.digest = :digest
JOIN repository_blobs rb ON rb.repository_id = r.id AND rb.blob_id = d.blob_id
JOIN blobs b ON b.id = d.blob_id
WHERE r.name = :repository
"""
)

#: The same for a reader, with what decides whether its lease must be renewed first (`HoldRow`).
BLOB_TO_READ = (
    _BLOB_COLUMNS
    + _HOLD_COLUMNS
    + """
FROM repositories r
JOIN blob_digests d ON d.domain = r.domain AND d.digest = :digest
JOIN repository_blobs rb ON rb.repository_id = r.id AND rb.blob_id = d.blob_id
JOIN blobs b ON b.id = d.blob_id
WHERE r.name = :repository
"""
)

#: What decides it for content by its address, wherever it is: `rb` is a link that reaches it, if any does.
HOLD_OF_CONTENT = f"""
SELECT CASE WHEN EXISTS (SELECT 1 FROM repository_blobs rb WHERE rb.blob_id = :blob_id AND {REACHED})
        THEN 1 ELSE 0 END,
    (SELECT MAX(l.expires_at) FROM content_leases l
     WHERE l.domain = :domain AND l.content_address = :content_address)
"""

#: Whether a manifest has a tag that keeps it, and the end of its last lease; no row when it has gone.
HOLD_OF_MANIFEST = f"""
SELECT CASE WHEN EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id AND NOT {WEAK}) THEN 1 ELSE 0 END,
    (SELECT MAX(l.expires_at) FROM content_leases l
     WHERE l.domain = :domain AND l.content_address = :content_address)
FROM manifests m WHERE m.id = :manifest_id
"""

#: Content that some repository has, or that is leased to the principal, or in one of its live drafts.
BLOB_OF_STORE = (
    _BLOB_COLUMNS
    + """
FROM blob_digests d
JOIN blobs b ON b.id = d.blob_id
WHERE d.digest = :digest AND (:domain = '' OR d.domain = :domain) AND (
    EXISTS (SELECT 1 FROM repository_blobs rb WHERE rb.blob_id = b.id)
    OR EXISTS (SELECT 1 FROM content_leases l WHERE l.domain = b.domain
               AND l.content_address = b.content_address AND l.principal = :principal AND l.expires_at > :now)
    OR EXISTS (SELECT 1 FROM draft_files f
               JOIN drafts w ON w.repository = f.repository AND w.version = f.version
               WHERE f.content_address = b.content_address AND w.principal = :principal
               AND w.expires_at > :now
               AND NOT EXISTS (SELECT 1 FROM repositories r WHERE r.name = f.repository
                               AND r.domain <> b.domain)))
ORDER BY CASE b.state WHEN 'present' THEN 0 WHEN 'away' THEN 1 ELSE 2 END, b.id LIMIT 1
"""
)

BLOB_BY_ADDRESS = (
    _BLOB_COLUMNS + " FROM blobs b WHERE b.domain = :domain AND b.content_address = :content_address"
)

REPOSITORY = "SELECT id, name, domain FROM repositories WHERE name = :repository"

DIGESTS_OF_BLOB = "SELECT digest FROM blob_digests WHERE blob_id = :blob_id ORDER BY digest"

_READABLE = "SELECT 1 FROM blobs WHERE domain = :domain AND state <> 'erased' LIMIT 1"

#: Content of another domain than the default one, by two look-ups in an index.
_OTHER_DOMAINS = (
    "SELECT 1 FROM blobs WHERE domain > :domain LIMIT 1",
    "SELECT 1 FROM blobs WHERE domain < :domain LIMIT 1",
)

#: Every name of the content that `digest` names in the repository's domain; it need not be in the repository.
DIGESTS_OF_SAME = """
SELECT o.digest FROM repositories r
JOIN blob_digests d ON d.domain = r.domain AND d.digest = :digest
JOIN blob_digests o ON o.blob_id = d.blob_id
WHERE r.name = :repository
"""

TAGS_OF_MANIFEST = "SELECT name FROM tags WHERE manifest_id = :manifest_id ORDER BY name"

TAGS_PAGE = """
SELECT t.name FROM tags t WHERE t.repository_id = :repository_id AND t.name > :after
ORDER BY t.name LIMIT :limit
"""

REPOSITORIES_PAGE = "SELECT name FROM repositories WHERE name > :after ORDER BY name LIMIT :limit"

EVENTS_PAGE = "SELECT envelope FROM events WHERE seq > :after ORDER BY seq LIMIT :limit"


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """A manifest of a repository. `digest` is the one asked for, or the tag's."""

    id: int
    repository_id: int
    blob_id: int
    domain: DomainId
    address: Digest
    size: int
    state: str
    media_type: str
    digest: Digest
    package_digest: Digest | None
    schema_version: int | None
    created_at: int

    @classmethod
    def of(cls, row: Sequence[Any]) -> ManifestRow:
        return cls(
            row[0],
            row[1],
            row[2],
            row[3],
            Digest.parse(row[4]),
            row[5],
            row[6],
            row[7],
            Digest.parse(row[8]),
            Digest.parse(row[9]) if row[9] else None,
            row[10],
            row[11],
        )


@dataclass(frozen=True, slots=True)
class BlobRow:
    """Content of a domain."""

    id: int
    domain: DomainId
    address: Digest
    size: int
    state: str
    created_at: int

    @classmethod
    def of(cls, row: Sequence[Any]) -> BlobRow:
        return cls(row[0], DomainId(row[1]), Digest.parse(row[2]), row[3], row[4], row[5])


@dataclass(frozen=True, slots=True)
class RepositoryRow:
    """A repository and its domain."""

    id: int
    name: str
    domain: DomainId


def find_manifest(
    connection: Connection, repository: str, *, tag: str | None = None, digest: Digest | None = None
) -> ManifestRow | None:
    """By tag, else by digest."""
    if tag is not None:
        row = first(connection, MANIFEST_BY_TAG, repository=repository, tag=tag)
    else:
        row = first(connection, MANIFEST_BY_DIGEST, repository=repository, digest=str(digest))
    return ManifestRow.of(row) if row else None


def find_repository(connection: Connection, repository: str) -> RepositoryRow | None:
    row = first(connection, REPOSITORY, repository=repository)
    return RepositoryRow(row[0], row[1], DomainId(row[2])) if row else None


def find_blob(connection: Connection, domain: DomainId, address: Digest) -> BlobRow | None:
    row = first(connection, BLOB_BY_ADDRESS, domain=domain, content_address=str(address))
    return BlobRow.of(row) if row else None


def find_blobs(connection: Connection, keys: Sequence[tuple[DomainId, Digest]]) -> list[BlobRow]:
    """Those of the contents that there are, whatever their state."""
    found = (find_blob(connection, domain, address) for domain, address in keys)
    return [blob for blob in found if blob is not None]


def has_domains(connection: Connection) -> bool:
    """Whether there is content in another domain than the default one."""
    return any(first(connection, statement, domain=DEFAULT_DOMAIN) for statement in _OTHER_DOMAINS)


def has_readable(connection: Connection, domain: DomainId) -> bool:
    """Whether there is content in the domain that is not known as erased."""
    return first(connection, _READABLE, domain=domain) is not None


def digests_of(connection: Connection, blob_id: int) -> list[str]:
    """Every digest by which the content is known."""
    return [row[0] for row in rows(connection, DIGESTS_OF_BLOB, blob_id=blob_id)]
