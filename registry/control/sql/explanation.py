"""Everything that touches one content, for a person who asks why it is still there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from registry.contract.dataplane import DomainId
from registry.contract.digest import Digest

_CONTENTS = """
SELECT b.id, b.domain, b.content_address, b.size, b.state, b.created_at
FROM blob_digests d JOIN blobs b ON b.id = d.blob_id WHERE d.digest = :digest ORDER BY b.id
"""
_LINKS = """
SELECT rb.repository_id, r.name, rb.as_blob, rb.as_manifest, m.id
FROM repository_blobs rb JOIN repositories r ON r.id = rb.repository_id
LEFT JOIN manifests m ON m.repository_id = rb.repository_id AND m.blob_id = rb.blob_id
WHERE rb.blob_id = :blob_id ORDER BY r.name LIMIT :limit
"""
_NAMED_BY = """
SELECT DISTINCT m.id, m.blob_id, o.digest
FROM blob_digests n CROSS JOIN manifest_edges e
JOIN manifests m ON m.id = e.manifest_id
JOIN blob_digests o ON o.blob_id = m.blob_id AND o.digest_algorithm = m.digest_algorithm
WHERE n.blob_id = :blob_id AND e.repository_id = :repository_id AND e.digest = n.digest
ORDER BY m.id LIMIT :limit
"""
_TAGS = "SELECT name FROM tags WHERE manifest_id = :manifest_id ORDER BY name LIMIT :limit"
_SUBJECT = "SELECT subject_digest FROM manifests WHERE id = :manifest_id"
_LEASES = """
SELECT MAX(expires_at) FROM content_leases
WHERE domain = :domain AND content_address = :content_address AND expires_at > :now
"""
_DRAFTS = """
SELECT DISTINCT repository, version FROM draft_files WHERE content_address = :content_address
ORDER BY repository, version LIMIT :limit
"""
_SCHEMAS = """
SELECT variant, version FROM metadata_schemas WHERE content_address = :content_address
ORDER BY variant, version LIMIT :limit
"""
_UPLOADS = "SELECT id FROM uploads WHERE content LIKE :pattern ORDER BY id LIMIT :limit"
_REMOVALS = """
SELECT domain, content_address, size, state, due_at, generation FROM removals
WHERE content_address = :digest OR sha256 = :digest
"""
_UNTAGGED = "SELECT since FROM untagged_manifests WHERE manifest_id = :manifest_id"

#: As many of each kind are named.
_NAMED = 20


@dataclass(frozen=True, slots=True)
class Content:
    """Content of a domain. `state` as in the view."""

    id: int
    domain: DomainId
    address: Digest
    size: int
    state: str
    created_at: int


@dataclass(frozen=True, slots=True)
class InRepository:
    """Where content is. `manifest_id` is set where it is a manifest."""

    repository_id: int
    repository: str
    as_blob: bool
    as_manifest: bool
    manifest_id: int | None


@dataclass(frozen=True, slots=True)
class Namer:
    """A manifest that names something."""

    id: int
    blob_id: int
    digest: str


@dataclass(frozen=True, slots=True)
class Leaving:
    """Bytes on their way out, as `removals` has them."""

    domain: DomainId
    address: Digest
    size: int
    state: str
    due_at: int
    generation: int


def contents(connection: Connection, digest: Digest) -> list[Content]:
    """Content of that name, one a domain."""
    return [
        Content(row[0], DomainId(row[1]), Digest.parse(row[2]), row[3], row[4], row[5])
        for row in _rows(connection, _CONTENTS, digest=str(digest))
    ]


def links(connection: Connection, blob_id: int) -> list[InRepository]:
    """Repositories that have it."""
    found = _rows(connection, _LINKS, blob_id=blob_id, limit=_NAMED)
    return [InRepository(row[0], row[1], bool(row[2]), bool(row[3]), row[4]) for row in found]


def namers(connection: Connection, repository_id: int, blob_id: int) -> list[Namer]:
    """Manifests of the repository that name it."""
    found = _rows(connection, _NAMED_BY, repository_id=repository_id, blob_id=blob_id, limit=_NAMED)
    return [Namer(*row) for row in found]


def tags(connection: Connection, manifest_id: int) -> list[str]:
    return [row[0] for row in _rows(connection, _TAGS, manifest_id=manifest_id, limit=_NAMED)]


def subject(connection: Connection, manifest_id: int) -> str | None:
    """What the manifest refers to."""
    return next((row[0] for row in _rows(connection, _SUBJECT, manifest_id=manifest_id)), None)


def untagged_since(connection: Connection, manifest_id: int) -> int | None:
    """Since when nothing was seen to need the manifest; microseconds."""
    return next((row[0] for row in _rows(connection, _UNTAGGED, manifest_id=manifest_id)), None)


def leased_until(connection: Connection, content: Content, now: int) -> int | None:
    """The end of the last lease that runs."""
    key = {"domain": content.domain, "content_address": str(content.address), "now": now}
    return next((row[0] for row in _rows(connection, _LEASES, **key)), None)


def drafts(connection: Connection, content: Content) -> list[tuple[str, str]]:
    """(repository, version) of drafts with it."""
    found = _rows(connection, _DRAFTS, content_address=str(content.address), limit=_NAMED)
    return [(row[0], row[1]) for row in found]


def schemas(connection: Connection, content: Content) -> list[tuple[str, int]]:
    """(variant, version) of schemas whose document it is."""
    found = _rows(connection, _SCHEMAS, content_address=str(content.address), limit=_NAMED)
    return [(row[0], row[1]) for row in found]


def uploads(connection: Connection, content: Content) -> list[str]:
    """Completed sessions that still answer with it."""
    return [row[0] for row in _rows(connection, _UPLOADS, pattern=f"%{content.address}%", limit=_NAMED)]


def leaving(connection: Connection, digest: Digest) -> list[Leaving]:
    """Bytes of that name without a row."""
    return [
        Leaving(DomainId(row[0]), Digest.parse(row[1]), row[2], row[3], row[4], row[5])
        for row in _rows(connection, _REMOVALS, digest=str(digest))
    ]


def _rows(connection: Connection, statement: str, **parameters: Any) -> list[Sequence[Any]]:
    return list(connection.execute(text(statement), parameters))
