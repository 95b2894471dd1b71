"""Upload sessions, as rows. Where a session's bytes stand is the data plane's to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, text, update

from registry.contract.dataplane import Content, DomainId, Stage
from registry.contract.digest import Algorithm, Digest
from registry.contract.names import Repository
from registry.control.sql.tables import uploads

_COLUMNS = (
    "SELECT id, repository, domain, principal, size, expected, announced, content, expires_at FROM uploads"
)
#: For `Database.fetch_one`: a session by `:id`.
UPLOAD = f"{_COLUMNS} WHERE id = :id"
_EXPIRED = f"{_COLUMNS} WHERE expires_at <= :now LIMIT :limit"


@dataclass(frozen=True, slots=True)
class UploadRow:
    """A session. `content` is set once it is complete."""

    id: str
    repository: Repository | None
    domain: DomainId
    principal: str
    size: int | None
    expected: Digest | None
    announced: Algorithm | None
    expires_at: int
    content: Content | None = None

    @property
    def stage(self) -> Stage:
        return Stage(self.domain, self.id, self.announced)

    @classmethod
    def of(cls, row: Sequence[Any]) -> UploadRow:
        """From a row of UPLOAD."""
        return cls(
            id=row[0],
            repository=row[1],
            domain=row[2],
            principal=row[3],
            size=row[4],
            expected=Digest.parse(row[5]) if row[5] else None,
            announced=Algorithm(row[6]) if row[6] else None,
            content=_read_content(row[7]) if row[7] else None,
            expires_at=row[8],
        )


def count_open(connection: Connection, principal: str) -> int:
    """Sessions that `principal` has begun and not completed."""
    mine = select(func.count()).where(uploads.c.principal == principal, uploads.c.content.is_(None))
    return int(connection.scalar(mine) or 0)


def add(connection: Connection, row: UploadRow) -> None:
    """Write down a new session."""
    connection.execute(
        insert(uploads),
        {
            "id": row.id,
            "repository": row.repository,
            "domain": row.domain,
            "principal": row.principal,
            "size": row.size,
            "expected": str(row.expected) if row.expected else None,
            "announced": row.announced.value if row.announced else None,
            "content": None,
            "expires_at": row.expires_at,
        },
    )


def complete(connection: Connection, upload: str, content: Content, until: int) -> Content:
    """Keep the outcome until then; a completion that came first wins, and its content is returned."""
    done = connection.scalar(select(uploads.c.content).where(uploads.c.id == upload))
    if done is not None:
        return _read_content(done)
    connection.execute(
        update(uploads)
        .where(uploads.c.id == upload)
        .values(content=_write_content(content), expires_at=until)
    )
    return content


def drop(connection: Connection, upload: str) -> None:
    """Forget a session."""
    connection.execute(delete(uploads).where(uploads.c.id == upload))


def expired(connection: Connection, now: int, limit: int) -> list[UploadRow]:
    """Sessions past their time, complete or not."""
    found = connection.execute(text(_EXPIRED), {"now": now, "limit": limit})
    return [UploadRow.of(row) for row in found]


def exists(connection: Connection, upload: str) -> bool:
    """Whether somebody has a session of that id."""
    return connection.scalar(select(uploads.c.id).where(uploads.c.id == upload)) is not None


def _write_content(content: Content) -> str:
    return " ".join([str(content.size), *(str(digest) for digest in content.digests)])


def _read_content(text: str) -> Content:
    size, *digests = text.split(" ")
    named = {digest.algorithm: digest for digest in map(Digest.parse, digests)}
    return Content(named[Algorithm.BLAKE3], named[Algorithm.SHA256], int(size), named.get(Algorithm.SHA512))
