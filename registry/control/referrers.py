"""Referrers: the manifests that name a subject, and those that a fallback index lists for it.

distribution-spec, "Listing Referrers" and "Referrers Tag Schema". Clients that found no referrers API
elsewhere
have pushed an index under the tag `<algorithm>-<hex>`; what it lists counts too, described anew from the
manifests themselves.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from registry.contract.digest import Digest
from registry.contract.manifest import Descriptor
from registry.contract.model import Page
from registry.contract.names import Repository, fallback_tag
from registry.control.paging import page_by_key
from registry.control.sql import Connection, lookups

#: `:d0`… are all digests of the subject, `:f0`… the fallback tags that speak of it.
_REFERRERS = """
SELECT m.id, m.media_type, d.digest, b.size, m.artifact_type, m.annotations
FROM repositories r
JOIN manifests m ON m.repository_id = r.id
JOIN blobs b ON b.id = m.blob_id AND b.state <> 'missing'
JOIN blob_digests d ON d.blob_id = m.blob_id AND d.digest_algorithm = m.digest_algorithm
WHERE r.name = :repository AND m.id > :after AND (:any_type OR m.artifact_type = :artifact_type)
AND {source}
ORDER BY m.id LIMIT :limit
"""
_BY_SUBJECT = "m.subject_digest IN ({digests})"
_BY_FALLBACK = """m.id IN (
    SELECT c.id FROM tags t
    JOIN manifest_edges e ON e.manifest_id = t.manifest_id AND e.kind = 'manifest'
    JOIN blob_digests n ON n.domain = r.domain AND n.digest = e.digest
    JOIN manifests c ON c.repository_id = r.id AND c.blob_id = n.blob_id
    WHERE t.repository_id = r.id AND t.name IN ({tags}))"""


def page(
    connection: Connection,
    repository: Repository,
    subject: Digest,
    artifact_type: str | None,
    after: str | None,
    limit: int,
) -> Page[Descriptor]:
    """One page, oldest first. `after` is the key of the last page's end; what cannot be one is the start."""
    same = lookups.rows(connection, lookups.DIGESTS_OF_SAME, repository=repository, digest=str(subject))
    digests = [row[0] for row in same] or [str(subject)]
    parameters: dict[str, Any] = {
        "repository": repository,
        "after": int(after) if after and after.isascii() and after.isdigit() and len(after) < 19 else 0,
        "any_type": artifact_type is None,
        "artifact_type": artifact_type or "",
        "limit": limit + 1,
    }
    found: dict[int, Sequence[Any]] = {}
    tags = [fallback_tag(Digest.parse(digest)) for digest in digests]
    for template, values in ((_BY_SUBJECT, digests), (_BY_FALLBACK, tags)):
        names = [f"v{position}" for position in range(len(values))]
        places = ", ".join(f":{name}" for name in names)
        source = template.format(digests=places, tags=places)
        statement = _REFERRERS.format(source=source)
        for row in lookups.rows(connection, statement, **parameters, **dict(zip(names, values, strict=True))):
            found[row[0]] = row
    ordered = [found[key] for key in sorted(found)][: limit + 1]
    entries = [(row[0], _descriptor(row)) for row in ordered]
    listed = page_by_key(entries, limit, key=lambda entry: str(entry[0]))
    return Page(tuple(descriptor for _, descriptor in listed.items), listed.next)


def _descriptor(row: Sequence[Any]) -> Descriptor:
    _, media_type, digest, size, artifact_type, annotations = row
    return Descriptor(
        media_type,
        Digest.parse(digest),
        size,
        json.loads(annotations) if annotations else {},
        artifact_type,
    )
