"""Lists of packages: everything, and one repository's versions. Pages by key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from registry.contract.digest import Digest
from registry.contract.model import PackageSummary, Page
from registry.contract.names import Repository, Tag
from registry.control.paging import page_by_key
from registry.control.sql import Connection, lookups, statements

#: What `package_summary` reads, by position.
PACKAGE_COLUMNS = "r.name, t.name, d.digest, m.package_digest, m.variant, m.artifact_type, m.created_at, m.id"
_TAGGED = f"""
SELECT {PACKAGE_COLUMNS}
FROM {{tags}}
JOIN manifests m ON m.id = t.manifest_id
JOIN blob_digests d ON d.blob_id = m.blob_id AND d.digest_algorithm = t.digest_algorithm
WHERE {{where}} ORDER BY {{order}} LIMIT :limit
"""
#: By the repository's id: PostgreSQL does not see that one name is one repository, and would sort its tags.
_VERSIONS = _TAGGED.format(
    tags="tags t JOIN repositories r ON r.id = t.repository_id",
    where="t.repository_id = :repository_id AND t.name > :tag",
    order="t.name",
)
#: Versions of the repositories that follow. PostgreSQL sorts the tags of each repository that it comes to, so
#: that it must be told to look at no more of them than the page can have.
_FOLLOWING = {
    "sqlite": _TAGGED.format(
        tags="repositories r JOIN tags t ON t.repository_id = r.id",
        where="r.name > :repository",
        order="r.name, t.name",
    ),
    "postgresql": _TAGGED.format(
        tags="""repositories r
CROSS JOIN LATERAL (SELECT * FROM tags v WHERE v.repository_id = r.id ORDER BY v.name LIMIT :limit) t""",
        where="r.name > :repository",
        order="r.name, t.name",
    ),
}


def every(connection: Connection, after: str | None, limit: int) -> Page[PackageSummary]:
    """All versions; the key of a page is `repository:version`."""
    repository, _, tag = (after or "").partition(":")
    found = _of_repository(connection, repository, tag, limit + 1) if repository else []
    missing = limit + 1 - len(found)
    if missing:
        statement = _FOLLOWING[connection.dialect.name]
        found = [*found, *statements.rows(connection, statement, repository=repository, limit=missing)]
    return page_by_key(
        [package_summary(row) for row in found], limit, key=lambda item: f"{item.repository}:{item.version}"
    )


def versions(
    connection: Connection, repository: Repository, after: str | None, limit: int
) -> Page[PackageSummary]:
    """One repository's versions by name."""
    found = _of_repository(connection, repository, after or "", limit + 1)
    return page_by_key([package_summary(row) for row in found], limit, key=lambda item: str(item.version))


def _of_repository(connection: Connection, name: str, tag: str, limit: int) -> list[statements.Row]:
    """Versions behind `tag`; none of a repository that is not there."""
    known = lookups.find_repository(connection, name)
    if known is None:
        return []
    return statements.rows(connection, _VERSIONS, repository_id=known.id, tag=tag, limit=limit)


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
