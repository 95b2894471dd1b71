"""Who uses content within a repository: what stands in the way of its deletion (decision 16)."""

from __future__ import annotations

from registry.control.sql import Connection, statements

#: As many users are named in the refusal.
_NAMED = 100

#: The first edges by the index, then who they belong to: what a million manifests share costs no more.
_USERS = """
SELECT DISTINCT d.digest FROM (
    SELECT e.manifest_id AS id FROM repositories r
    JOIN blob_digests own ON own.blob_id = :blob_id
    JOIN manifest_edges e ON e.repository_id = r.id AND e.digest = own.digest
    WHERE r.name = :repository LIMIT :limit
) u
JOIN manifests m ON m.id = u.id
JOIN blob_digests d ON d.blob_id = m.blob_id AND d.digest_algorithm = m.digest_algorithm
ORDER BY d.digest
"""


def manifests_naming(connection: Connection, repository: str, blob_id: int) -> list[str]:
    """Digests of the repository's manifests that name this content, by any of its digests; 100 at most."""
    found = statements.rows(connection, _USERS, repository=repository, blob_id=blob_id, limit=_NAMED)
    return [row[0] for row in found]
