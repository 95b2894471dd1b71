"""Content with the repositories that have it, in the order it arrived: what packing and moving look over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from registry.contract.dataplane import DomainId
from registry.contract.digest import Digest
from registry.contract.names import Repository
from registry.control.sql.lookups import PRESENT

_PAGE = text("""
SELECT rb.blob_id, rb.repository_id, r.name, b.domain, b.content_address, b.size, b.state, b.created_at
FROM repository_blobs rb
JOIN blobs b ON b.id = rb.blob_id
JOIN repositories r ON r.id = rb.repository_id
WHERE (rb.blob_id, rb.repository_id) > (:blob_id, :repository_id)
ORDER BY rb.blob_id, rb.repository_id LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class Had:
    """Content that a repository has. `created_at` is in microseconds, and never falls as `blob_id` grows."""

    blob_id: int
    repository_id: int
    repository: Repository
    domain: DomainId
    address: str
    size: int
    present: bool
    created_at: int

    @property
    def digest(self) -> Digest:
        return Digest.parse(self.address)


def following(connection: Connection, after: tuple[int, int], limit: int) -> list[Had]:
    """What comes behind `after` (blob id, repository id), in order; one row a repository."""
    where = {"blob_id": after[0], "repository_id": after[1], "limit": limit}
    return [_had(row) for row in connection.execute(_PAGE, where)]


def _had(row: Sequence[Any]) -> Had:
    return Had(
        row[0],
        row[1],
        Repository(row[2]),
        DomainId(row[3]),
        row[4],
        row[5],
        row[6] == PRESENT,
        row[7],
    )
