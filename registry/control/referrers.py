"""Referrers: the manifests of a repository that name a subject (distribution-spec, "Listing Referrers").

Clients that found no referrers API elsewhere have pushed an index under the tag `<algorithm>-<hex>` (the
"Referrers Tag Schema"). What it lists has been pushed as well and names its subject itself, so it is here by
the same rule, described by its own bytes; an entry that does not name the subject is no referrer of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from registry.contract.digest import Digest
from registry.contract.manifest import Descriptor
from registry.contract.model import Page
from registry.contract.names import Repository
from registry.control.sql import Connection, lookups, statements

#: Characters of annotations on a page of more than one entry: what clients take of an index. A manifest can
#: hold as many, and a page has thousands of entries.
_LARGEST_PAGE = 4 * 1024 * 1024
_ALL = 2**62

_REFERRERS = """
SELECT {columns}
FROM manifests m
JOIN blobs b ON b.id = m.blob_id AND {present}
JOIN blob_digests d ON d.blob_id = m.blob_id AND d.digest_algorithm = m.digest_algorithm
WHERE m.repository_id = :repository_id AND m.subject_digest = :subject AND m.id > :after AND m.id <= :until
    AND (:any_type OR m.artifact_type = :artifact_type)
ORDER BY m.id LIMIT :limit
"""
_SIZES = _REFERRERS.format(present=lookups.NOT_GONE, columns="m.id, COALESCE(LENGTH(m.annotations), 0)")
_ROWS = _REFERRERS.format(
    present=lookups.NOT_GONE, columns="m.id, m.media_type, d.digest, b.size, m.artifact_type, m.annotations"
)


def page(
    connection: Connection,
    repository: Repository,
    subject: Digest,
    artifact_type: str | None,
    after: str | None,
    limit: int,
) -> Page[Descriptor]:
    """One page, oldest first. `after` is the key of the last page's end; what cannot be one is the start."""
    known = lookups.find_repository(connection, repository)
    if known is None:
        return Page(())
    same = statements.rows(connection, lookups.DIGESTS_OF_SAME, repository=repository, digest=str(subject))
    digests = [row[0] for row in same] or [str(subject)]
    parameters: dict[str, Any] = {
        "repository_id": known.id,
        "after": int(after) if after and after.isascii() and after.isdigit() and len(after) < 19 else 0,
        "until": _ALL,
        "any_type": artifact_type is None,
        "artifact_type": artifact_type or "",
        "limit": limit + 1,
    }
    # One statement a digest: each reads its part of the index in order, and stops at the limit.
    sizes = sorted(
        (int(row[0]), int(row[1]))
        for digest in digests
        for row in statements.rows(connection, _SIZES, **parameters, subject=digest)
    )
    keys = _fitting(sizes[:limit])
    if not keys:
        return Page(())
    parameters["until"] = keys[-1]
    found = [
        row for digest in digests for row in statements.rows(connection, _ROWS, **parameters, subject=digest)
    ]
    listed = sorted(found, key=lambda row: int(row[0]))
    return Page(tuple(map(_descriptor, listed)), str(keys[-1]) if len(sizes) > len(keys) else None)


def _fitting(sizes: Sequence[tuple[int, int]]) -> list[int]:
    """The ids of a page, the first at least, by (id, characters of annotations)."""
    keys: list[int] = []
    held = 0
    for key, size in sizes:
        if keys and held + size > _LARGEST_PAGE:
            break
        keys.append(key)
        held += size
    return keys


def _descriptor(row: Sequence[Any]) -> Descriptor:
    _, media_type, digest, size, artifact_type, annotations = row
    return Descriptor(
        media_type,
        Digest.parse(digest),
        size,
        json.loads(annotations) if annotations else {},
        artifact_type,
    )
