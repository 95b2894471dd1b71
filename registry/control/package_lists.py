"""Lists of packages: everything, and one repository's versions. Pages by key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from registry.contract.digest import Digest
from registry.contract.model import PackageSummary, Page
from registry.contract.names import Repository, Tag
from registry.control.paging import page_by_key
from registry.control.sql import Connection, statements

#: What `package_summary` reads, by position.
PACKAGE_COLUMNS = "r.name, t.name, d.digest, m.package_digest, m.variant, m.artifact_type, m.created_at, m.id"
_TAGGED = f"""
SELECT {PACKAGE_COLUMNS}
FROM repositories r
JOIN tags t ON t.repository_id = r.id
JOIN manifests m ON m.id = t.manifest_id
JOIN blob_digests d ON d.blob_id = m.blob_id AND d.digest_algorithm = t.digest_algorithm
"""
#: The first condition lets the index begin where the page does.
_EVERY = (
    _TAGGED
    + """
WHERE r.name >= :repository AND (r.name, t.name) > (:repository, :tag) ORDER BY r.name, t.name LIMIT :limit
"""
)
_VERSIONS = _TAGGED + " WHERE r.name = :repository AND t.name > :tag ORDER BY t.name LIMIT :limit"


def every(connection: Connection, after: str | None, limit: int) -> Page[PackageSummary]:
    """All versions; the key of a page is `repository:version`."""
    repository, _, tag = (after or "").partition(":")
    found = statements.rows(connection, _EVERY, repository=repository, tag=tag, limit=limit + 1)
    return page_by_key(
        [package_summary(row) for row in found], limit, key=lambda item: f"{item.repository}:{item.version}"
    )


def versions(
    connection: Connection, repository: Repository, after: str | None, limit: int
) -> Page[PackageSummary]:
    """One repository's versions by name."""
    found = statements.rows(connection, _VERSIONS, repository=repository, tag=after or "", limit=limit + 1)
    return page_by_key([package_summary(row) for row in found], limit, key=lambda item: str(item.version))


def package_summary(row: Sequence[Any]) -> PackageSummary:
    """One row of PACKAGE_COLUMNS."""
    return PackageSummary(
        repository=Repository(row[0]),
        version=Tag(row[1]) if row[1] else None,
        manifest_digest=Digest.parse(row[2]),
        package_digest=Digest.parse(row[3]) if row[3] else None,
        variant=row[4],
        artifact_type=row[5],
        created_at=row[6],
    )
