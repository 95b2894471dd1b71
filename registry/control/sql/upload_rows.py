"""Upload sessions, as rows. Where a session's bytes stand is the data plane's to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from registry.contract.dataplane import Content, DomainId, Stage
from registry.contract.digest import Algorithm, Digest
from registry.contract.names import Repository
from registry.control.sql.statements import first, insert_into, rows, run
from registry.control.sql.tables import uploads

_COLUMNS = (
    "SELECT id, repository, domain, principal, size, expected, announced, content, expires_at FROM uploads"
)
#: For `Database.fetch_one`: a session by `:id`.
UPLOAD = f"{_COLUMNS} WHERE id = :id"
_EXPIRED = f"{_COLUMNS} WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit"
_OPEN = "SELECT COUNT(*) FROM uploads WHERE principal = :principal AND content IS NULL"
_ADD = insert_into(uploads)
_CONTENT = "SELECT content FROM uploads WHERE id = :id"
_COMPLETE = "UPDATE uploads SET content = :content, expires_at = :until WHERE id = :id"
_PROLONG = "UPDATE uploads SET expires_at = :until WHERE id = :id"
_DROP = "DELETE FROM uploads WHERE id = :id"


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
    row = first(connection, _OPEN, principal=principal)
    return int(row[0]) if row else 0


def add(connection: Connection, row: UploadRow) -> None:
    """Write down a new session."""
    run(
        connection,
        _ADD,
        id=row.id,
        repository=row.repository,
        domain=row.domain,
        principal=row.principal,
        size=row.size,
        expected=str(row.expected) if row.expected else None,
        announced=row.announced.value if row.announced else None,
        content=None,
        expires_at=row.expires_at,
    )


def find(connection: Connection, upload: str) -> UploadRow | None:
    """A session by its id."""
    row = first(connection, UPLOAD, id=upload)
    return UploadRow.of(row) if row else None


def complete(connection: Connection, upload: str, content: Content, until: int) -> Content:
    """Keep the outcome until then; a completion that came first wins, and its content is returned."""
    done = first(connection, _CONTENT, id=upload)
    if done is not None and done[0] is not None:
        return _read_content(done[0])
    run(connection, _COMPLETE, id=upload, content=_write_content(content), until=until)
    return content


def prolong(connection: Connection, upload: str, until: int) -> None:
    """The session lives until then."""
    run(connection, _PROLONG, id=upload, until=until)


def drop(connection: Connection, upload: str) -> None:
    """Forget a session."""
    run(connection, _DROP, id=upload)


def expired(connection: Connection, now: int, limit: int) -> list[UploadRow]:
    """Sessions past their time, complete or not, the oldest first."""
    return [UploadRow.of(row) for row in rows(connection, _EXPIRED, now=now, limit=limit)]


def _write_content(content: Content) -> str:
    return " ".join([str(content.size), *(str(digest) for digest in content.digests)])


def _read_content(text: str) -> Content:
    size, *digests = text.split(" ")
    named = {digest.algorithm: digest for digest in map(Digest.parse, digests)}
    return Content(named[Algorithm.BLAKE3], named[Algorithm.SHA256], int(size), named.get(Algorithm.SHA512))
