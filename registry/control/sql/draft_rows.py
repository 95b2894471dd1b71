"""Drafts and their files, as rows."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, insert, select, update

from registry.contract.digest import Digest
from registry.contract.model import FileEntry
from registry.control.sql.tables import draft_files, drafts


@dataclass(frozen=True, slots=True)
class DraftRow:
    """Whose draft it is, and until when."""

    principal: str
    expires_at: int


def find(connection: Connection, repository: str, version: str) -> DraftRow | None:
    row = connection.execute(
        select(drafts.c.principal, drafts.c.expires_at).where(_is(drafts, repository, version))
    ).first()
    return DraftRow(row.principal, row.expires_at) if row else None


def add(connection: Connection, repository: str, version: str, row: DraftRow) -> None:
    connection.execute(
        insert(drafts),
        {
            "repository": repository,
            "version": version,
            "principal": row.principal,
            "expires_at": row.expires_at,
        },
    )


def prolong(connection: Connection, repository: str, version: str, until: int) -> None:
    connection.execute(update(drafts).where(_is(drafts, repository, version)).values(expires_at=until))


def put_file(connection: Connection, repository: str, version: str, file: FileEntry) -> None:
    """Add a file or replace the one of that path."""
    values = {"content_address": str(file.digest), "size": file.size, "media_type": file.media_type}
    replaced = connection.execute(
        update(draft_files)
        .where(_is(draft_files, repository, version), draft_files.c.relative_path == file.relative_path)
        .values(values)
    )
    if replaced.rowcount == 0:
        key = {"repository": repository, "version": version, "relative_path": file.relative_path}
        connection.execute(insert(draft_files), key | values)


def files(connection: Connection, repository: str, version: str) -> tuple[FileEntry, ...]:
    """By path, in byte order."""
    columns = draft_files.c
    found = connection.execute(
        select(columns.relative_path, columns.content_address, columns.size, columns.media_type)
        .where(_is(draft_files, repository, version))
        .order_by(columns.relative_path)
    )
    return tuple(FileEntry(path, Digest.parse(address), size, kind) for path, address, size, kind in found)


def count_files(connection: Connection, repository: str, version: str) -> int:
    """How many files a draft has."""
    counted = select(func.count()).select_from(draft_files).where(_is(draft_files, repository, version))
    return connection.scalar(counted) or 0


def drop(connection: Connection, repository: str, version: str) -> None:
    """Forget a draft and its files' names; their content stays leased to who uploaded it."""
    for table in (draft_files, drafts):
        connection.execute(delete(table).where(_is(table, repository, version)))


def expired(connection: Connection, now: int, limit: int) -> list[tuple[str, str]]:
    """(repository, version) of drafts past their time."""
    found = connection.execute(
        select(drafts.c.repository, drafts.c.version).where(drafts.c.expires_at <= now).limit(limit)
    )
    return [(row.repository, row.version) for row in found]


def _is(table: Table, repository: str, version: str) -> ColumnElement[bool]:
    return and_(table.c.repository == repository, table.c.version == version)
