"""Lists of packages: everything, one repository's versions, and search by typed metadata. Pages by key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from registry.contract import jsonvalue
from registry.contract.digest import Digest
from registry.contract.errors import StoreError
from registry.contract.model import PackageSummary, Page, Search
from registry.contract.names import Repository, Tag
from registry.control.details import scalar_text
from registry.control.paging import page_by_key
from registry.control.sql import Connection, lookups

_COLUMNS = "r.name, t.name, d.digest, m.package_digest, m.variant, m.artifact_type, m.created_at, m.id"
_TAGGED = f"""
SELECT {_COLUMNS}
FROM repositories r
JOIN tags t ON t.repository_id = r.id
JOIN manifests m ON m.id = t.manifest_id
JOIN blob_digests d ON d.blob_id = m.blob_id AND d.digest_algorithm = t.digest_algorithm
"""
_EVERY = _TAGGED + " WHERE (r.name, t.name) > (:repository, :tag) ORDER BY r.name, t.name LIMIT :limit"
_VERSIONS = _TAGGED + " WHERE r.name = :repository AND t.name > :tag ORDER BY t.name LIMIT :limit"

_NEWEST_TAG = (
    "(SELECT n.name FROM tags n WHERE n.manifest_id = m.id ORDER BY n.updated_at DESC, n.name LIMIT 1)"
)
_SEARCH = f"""
SELECT {_COLUMNS.replace("t.name", _NEWEST_TAG)}
FROM {{source}}
JOIN repositories r ON r.id = m.repository_id
JOIN blob_digests d ON d.blob_id = m.blob_id AND d.digest_algorithm = m.digest_algorithm
WHERE {{conditions}}
ORDER BY m.id DESC LIMIT :limit
"""
_BEFORE_ALL = 2**62


def every(connection: Connection, after: str | None, limit: int) -> Page[PackageSummary]:
    """All versions; the key of a page is `repository:version`."""
    repository, _, tag = (after or "").partition(":")
    found = lookups.rows(connection, _EVERY, repository=repository, tag=tag, limit=limit + 1)
    return page_by_key(
        [_summary(row) for row in found], limit, key=lambda item: f"{item.repository}:{item.version}"
    )


def versions(
    connection: Connection, repository: Repository, after: str | None, limit: int
) -> Page[PackageSummary]:
    """One repository's versions by name."""
    found = lookups.rows(connection, _VERSIONS, repository=repository, tag=after or "", limit=limit + 1)
    return page_by_key([_summary(row) for row in found], limit, key=lambda item: str(item.version))


def search(connection: Connection, query: Search, after: str | None, limit: int) -> Page[PackageSummary]:
    """Newest first.

    All conditions hold; text matches a string, a number or a truth value written that way.
    """
    wanted = list(query.fields)
    if query.variant is not None:
        wanted.append(("variant", query.variant))
    before = int(after) if after and after.isascii() and after.isdigit() and len(after) < 19 else _BEFORE_ALL
    parameters: dict[str, Any] = {"limit": limit + 1, "before": before}
    conditions = ["m.id < :before"]
    source = "manifests m"
    for number, (path, text) in enumerate(wanted):
        values = candidates(text)
        names = [f"v{number}_{position}" for position in range(len(values))]
        parameters |= dict(zip(names, values, strict=True))
        parameters[f"p{number}"] = path
        places = ", ".join(f":{name}" for name in names)
        if number == 0:
            source = f"""(SELECT DISTINCT manifest_id FROM manifest_fields
                          WHERE path = :p0 AND value IN ({places}) AND manifest_id < :before) f0
                         JOIN manifests m ON m.id = f0.manifest_id"""
        else:
            conditions.append(
                f"EXISTS (SELECT 1 FROM manifest_fields f WHERE f.manifest_id = m.id "
                f"AND f.path = :p{number} AND f.value IN ({places}))"
            )
    if query.repository is not None:
        conditions.append("r.name = :repository")
        parameters["repository"] = query.repository
    if query.created_after is not None:
        conditions.append("m.created_at > :created_after")
        parameters["created_after"] = query.created_after
    statement = _SEARCH.format(source=source, conditions=" AND ".join(conditions))
    found = lookups.rows(connection, statement, **parameters)
    entries = [(row[7], _summary(row)) for row in found]
    listed = page_by_key(entries, limit, key=lambda entry: str(entry[0]))
    return Page(tuple(summary for _, summary in listed.items), listed.next)


def candidates(text: str) -> list[str]:
    """The canonical JSON scalars that someone who writes `text` in a query can mean."""
    found = [scalar_text(text)]
    if text in {"true", "false", "null"}:
        found.append(text)
    else:
        number = _number(text)
        if number is not None:
            found.append(number)
    return found


def _number(text: str) -> str | None:
    try:
        value = jsonvalue.parse(text.encode(), max_bytes=64)
    except StoreError:
        return None
    return scalar_text(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _summary(row: Sequence[Any]) -> PackageSummary:
    return PackageSummary(
        repository=Repository(row[0]),
        version=Tag(row[1]) if row[1] else None,
        manifest_digest=Digest.parse(row[2]),
        package_digest=Digest.parse(row[3]) if row[3] else None,
        variant=row[4],
        artifact_type=row[5],
        created_at=row[6],
    )
