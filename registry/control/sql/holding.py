"""Who holds what, as conditions in SQL. Collection pages over them, and asks the same for one row at a time.

A *link* is a repository's blob; it is held by the repository's manifests that name it. Content is held by
links. What arrived or was asked for less than a lease ago is held too (`:young` is that moment, decision
10), and what a draft or a schema names. Rows of erased content stay, to say so. Manifests hold themselves
(decision 14), except where a policy lets untagged ones go: there they need a tag, an index, or a subject.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from registry.contract.dataplane import DomainId
from registry.contract.digest import Digest
from registry.contract.names import Repository
from registry.control.sql.statements import first

#: `rb` is reached: it is a manifest, or a manifest of its repository names it by any digest. CROSS JOIN keeps
#: SQLite to this order: by itself it may go through all edges of the repository instead.
REACHED = """(rb.as_manifest OR EXISTS (
    SELECT 1 FROM blob_digests n CROSS JOIN manifest_edges e
    WHERE n.blob_id = rb.blob_id AND e.repository_id = rb.repository_id AND e.digest = n.digest))"""

_LEASED = """EXISTS (SELECT 1 FROM content_leases l
    WHERE l.domain = b.domain AND l.content_address = b.content_address AND l.expires_at > :now)"""

_AWAITED = f"""(b.created_at > :young OR b.state = 'erased' OR {_LEASED}
    OR EXISTS (SELECT 1 FROM draft_files f WHERE f.content_address = b.content_address)
    OR (b.domain = 'default'
        AND EXISTS (SELECT 1 FROM metadata_schemas s WHERE s.content_address = b.content_address)))"""

_LINKS = f"""
SELECT rb.repository_id, rb.blob_id, r.name, b.content_address,
    CASE WHEN rb.as_blob AND NOT {_AWAITED} AND NOT {REACHED} THEN 1 ELSE 0 END
FROM repository_blobs rb
JOIN blobs b ON b.id = rb.blob_id
JOIN repositories r ON r.id = rb.repository_id
WHERE {{where}}
"""
_LINKS_PAGE = text(
    _LINKS.format(where="(rb.repository_id, rb.blob_id) > (:repository_id, :blob_id)")
    + "ORDER BY rb.repository_id, rb.blob_id LIMIT :limit"
)
_LINK = _LINKS.format(where="rb.repository_id = :repository_id AND rb.blob_id = :blob_id")

_CONTENTS = f"""
SELECT b.id, b.domain, b.content_address, b.size,
    CASE WHEN {_AWAITED}
        OR EXISTS (SELECT 1 FROM repository_blobs rb WHERE rb.blob_id = b.id {{link}}) THEN 0 ELSE 1 END
FROM blobs b
WHERE {{where}}
"""
_PAGE = "b.id > :after"
_ORDER = "ORDER BY b.id LIMIT :limit"
_CONTENTS_PAGE = text(_CONTENTS.format(link="", where=_PAGE) + _ORDER)
#: As if everything that may be unlinked were.
_PLAN_PAGE = text(_CONTENTS.format(link=f"AND {REACHED}", where=_PAGE) + _ORDER)
_CONTENT = _CONTENTS.format(link="", where="b.id = :blob_id")

#: Tags that speak of a subject by SHA-256 (`names.subject_of_tag`); they do not keep what they point at
#: (decision 14). All others do, those included that only begin like them.
WEAK = """(substr(t.name, 1, 7) = 'sha256-' AND length(t.name) >= 71
    AND trim(substr(t.name, 8, 64), '0123456789abcdef') = ''
    AND substr(t.name, 72) IN ('', '.sig', '.att', '.sbom'))"""

_SUBJECT = """SELECT 1 FROM blob_digests d
    JOIN manifests s ON s.repository_id = m.repository_id AND s.blob_id = d.blob_id
    LEFT JOIN untagged_manifests su ON su.manifest_id = s.id
    WHERE d.domain = r.domain AND d.digest = {digest}"""


def _by_subject(digest: str) -> str:
    """It lives as long as its subject. One that is not there, and never was, may still come."""
    subject = _SUBJECT.format(digest=digest)
    present = f"EXISTS ({subject} AND su.manifest_id IS NULL)"
    return f"({present} OR (u.manifest_id IS NULL AND NOT EXISTS ({subject})))"


_NEEDED = f"""({_LEASED}
    OR EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id AND NOT ({WEAK}))
    OR EXISTS (SELECT 1 FROM blob_digests n CROSS JOIN manifest_edges e
        LEFT JOIN untagged_manifests eu ON eu.manifest_id = e.manifest_id
        WHERE n.blob_id = m.blob_id AND e.repository_id = m.repository_id AND e.digest = n.digest
            AND eu.manifest_id IS NULL)
    OR (m.subject_digest IS NOT NULL AND {_by_subject("m.subject_digest")})
    OR EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id AND {WEAK}
        AND {_by_subject("'sha256:' || substr(t.name, 8, 64)")}))"""

_MANIFESTS = f"""
SELECT m.id, b.content_address, u.since, CASE WHEN {_NEEDED} THEN 1 ELSE 0 END
FROM manifests m
JOIN blobs b ON b.id = m.blob_id
JOIN repositories r ON r.id = m.repository_id
LEFT JOIN untagged_manifests u ON u.manifest_id = m.id
WHERE {{where}}
"""
_MANIFESTS_PAGE = text(
    _MANIFESTS.format(where="m.repository_id = :repository_id AND m.id > :after")
    + "ORDER BY m.id LIMIT :limit"
)
_MANIFEST = text(_MANIFESTS.format(where="m.id = :manifest_id"))

_OVERDUE = text("""
SELECT m.id FROM untagged_manifests u JOIN manifests m ON m.id = u.manifest_id
WHERE m.repository_id = :repository_id AND u.since <= :before AND m.id < :below
ORDER BY m.id DESC LIMIT :limit
""")
_DOOM = text("INSERT INTO untagged_manifests (manifest_id, since) VALUES (:manifest_id, :since)")
_SPARE = text("DELETE FROM untagged_manifests WHERE manifest_id = :manifest_id")
_REPOSITORIES = text("SELECT id, name FROM repositories WHERE id > :after ORDER BY id LIMIT :limit")


@dataclass(frozen=True, slots=True)
class Moment:
    """When is asked: `now`, and the time since when what arrived is held for whoever brought it."""

    now: int
    young: int

    @property
    def parameters(self) -> dict[str, int]:
        return {"now": self.now, "young": self.young}


@dataclass(frozen=True, slots=True)
class Link:
    """A repository's blob."""

    repository_id: int
    blob_id: int
    repository: Repository
    address: Digest
    free: bool


@dataclass(frozen=True, slots=True)
class Held:
    """Content, and whether something holds it."""

    id: int
    domain: DomainId
    address: Digest
    size: int
    free: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A manifest of a repository that lets untagged ones go. `since` is when it was first seen so."""

    id: int
    address: Digest
    since: int | None
    needed: bool


def links(connection: Connection, moment: Moment, after: tuple[int, int], limit: int) -> list[Link]:
    """Links behind `after` (repository id, blob id), in order."""
    where = {"repository_id": after[0], "blob_id": after[1], "limit": limit}
    return [_link(row) for row in connection.execute(_LINKS_PAGE, {**moment.parameters, **where})]


def link(connection: Connection, moment: Moment, repository_id: int, blob_id: int) -> Link | None:
    """One link as it is now."""
    where = {"repository_id": repository_id, "blob_id": blob_id}
    row = first(connection, _LINK, **moment.parameters, **where)
    return _link(row) if row else None


def contents(
    connection: Connection, moment: Moment, after: int, limit: int, *, plan: bool = False
) -> list[Held]:
    """Content with an id behind `after`, in order. With `plan`, as if free links were gone already."""
    statement = _PLAN_PAGE if plan else _CONTENTS_PAGE
    found = connection.execute(statement, {**moment.parameters, "after": after, "limit": limit})
    return [_held(row) for row in found]


def content(connection: Connection, moment: Moment, blob_id: int) -> Held | None:
    """One content as it is now."""
    row = first(connection, _CONTENT, **moment.parameters, blob_id=blob_id)
    return _held(row) if row else None


def candidates(
    connection: Connection, now: int, repository_id: int, after: int, limit: int
) -> list[Candidate]:
    """Manifests of the repository with an id behind `after`, in order."""
    where = {"repository_id": repository_id, "after": after, "limit": limit}
    return [_candidate(row) for row in connection.execute(_MANIFESTS_PAGE, {"now": now, **where})]


def candidate(connection: Connection, now: int, manifest_id: int) -> Candidate | None:
    """One manifest as it is now."""
    row = connection.execute(_MANIFEST, {"now": now, "manifest_id": manifest_id}).first()
    return _candidate(row) if row else None


def overdue(connection: Connection, repository_id: int, before: int, below: int, limit: int) -> list[int]:
    """Ids of manifests seen untagged since before then, the newest first, below `below`."""
    where = {"repository_id": repository_id, "before": before, "below": below, "limit": limit}
    return [row[0] for row in connection.execute(_OVERDUE, where)]


def doom(connection: Connection, manifest_id: int, now: int) -> None:
    """Write down that nothing needs the manifest, from now on."""
    connection.execute(_DOOM, {"manifest_id": manifest_id, "since": now})


def spare(connection: Connection, manifest_id: int) -> None:
    """It is needed again, or gone."""
    connection.execute(_SPARE, {"manifest_id": manifest_id})


def repositories(connection: Connection, after: int, limit: int) -> list[tuple[int, Repository]]:
    """(id, name) behind `after`, in order."""
    found = connection.execute(_REPOSITORIES, {"after": after, "limit": limit})
    return [(row[0], Repository(row[1])) for row in found]


def _link(row: Sequence[Any]) -> Link:
    return Link(row[0], row[1], Repository(row[2]), Digest.parse(row[3]), bool(row[4]))


def _held(row: Sequence[Any]) -> Held:
    return Held(row[0], DomainId(row[1]), Digest.parse(row[2]), row[3], bool(row[4]))


def _candidate(row: Sequence[Any]) -> Candidate:
    return Candidate(row[0], Digest.parse(row[1]), row[2], bool(row[3]))
