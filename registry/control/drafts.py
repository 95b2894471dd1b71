"""Drafts: a package version that grows file by file, invisible until it is finalised (DECISIONS 26)."""

from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import replace

from sqlalchemy import Connection, delete, insert, select, update

from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.model import Draft, FileEntry, NewFile, NewPackage, PackageAccepted
from registry.contract.names import Repository, Tag
from registry.contract.package_rules import check_media_type, check_relative_path
from registry.control.access import Action, Caller
from registry.control.packages import PackageService, taken
from registry.control.sql import lookups, tables
from registry.control.sql.transaction import Transaction
from registry.control.uploads import UploadService

_DRAFT = tables.drafts
_FILE = tables.draft_files


class DraftService:
    """Implements `registry.contract.store.Drafts`."""

    def __init__(self, caller: Caller, uploads: UploadService, packages: PackageService) -> None:
        self._caller = caller
        self._core = caller.core
        self._uploads = uploads
        self._packages = packages

    async def put_file(
        self,
        repository: Repository,
        version: Tag,
        path: str,
        media_type: str,
        body: AsyncIterable[bytes],
        *,
        length: int | None = None,
    ) -> Draft:
        self._caller.may(Action.PUSH, repository)
        check_relative_path(path)
        check_media_type(media_type)
        principal = self._caller.principal.id
        await self._core.database.write(principal, lambda tx: self._open(tx, repository, version))
        domain = await self._uploads.domain_of(repository)
        content = await self._uploads.put_unlinked(domain, body, length=length)
        key = {"repository": repository, "version": version, "relative_path": path}
        values = {"content_address": str(content.blake3), "size": content.size, "media_type": media_type}

        def change(tx: Transaction) -> Draft:
            self._open(tx, repository, version)
            replaced = tx.connection.execute(
                update(_FILE).where(*(_FILE.c[name] == value for name, value in key.items())).values(values)
            )
            if replaced.rowcount == 0:
                tx.connection.execute(insert(_FILE), key | values)
            draft = self._read(tx.connection, repository, version, tx.now)
            if len(draft.files) > self._core.limits.package_files:
                raise StoreError(
                    ErrorKind.PACKAGE_TOO_LARGE, f"a package may have {self._core.limits.package_files} files"
                )
            return draft

        return await self._core.database.write(principal, change)

    async def get(self, repository: Repository, version: Tag) -> Draft:
        self._caller.may(Action.PUSH, repository)
        now = self._core.clock.now()
        return await self._core.database.read(
            lambda connection: self._read(connection, repository, version, now)
        )

    async def delete(self, repository: Repository, version: Tag) -> None:
        self._caller.may(Action.PUSH, repository)

        def change(tx: Transaction) -> None:
            self._read(tx.connection, repository, version, tx.now)
            drop_draft(tx, repository, version)

        await self._core.database.write(self._caller.principal.id, change)

    async def finalize(self, repository: Repository, version: Tag, package: NewPackage) -> PackageAccepted:
        draft = await self.get(repository, version)
        files = tuple(NewFile(file.relative_path, file.digest, file.media_type) for file in draft.files)
        accepted = await self._packages.put(
            repository, version, replace(package, files=(*files, *package.files))
        )
        await self._core.database.write(
            self._caller.principal.id, lambda tx: drop_draft(tx, repository, version)
        )
        return accepted

    def _open(self, tx: Transaction, repository: Repository, version: Tag) -> None:
        """Begin the draft or prolong it. Raises CONFLICT when the version or the draft is somebody else's."""
        current = lookups.find_manifest(tx.connection, repository, tag=version)
        if current is not None:
            raise taken(repository, version, current.digest)
        row = _row(tx.connection, repository, version)
        if row is not None and row[1] <= tx.now:
            drop_draft(tx, repository, version)
            row = None
        expires_at = tx.now + self._core.limits.draft_idle
        principal = self._caller.principal.id
        if row is None:
            tx.connection.execute(
                insert(_DRAFT),
                {
                    "repository": repository,
                    "version": version,
                    "principal": principal,
                    "expires_at": expires_at,
                },
            )
        elif row[0] != principal:
            raise StoreError(
                ErrorKind.CONFLICT, f"somebody else has a draft of {repository}:{version}: choose another version"
            )
        else:
            tx.connection.execute(
                update(_DRAFT)
                .where(_DRAFT.c.repository == repository, _DRAFT.c.version == version)
                .values(expires_at=expires_at)
            )

    def _read(self, connection: Connection, repository: Repository, version: Tag, now: int) -> Draft:
        row = _row(connection, repository, version)
        if row is None or row[0] != self._caller.principal.id or row[1] <= now:
            raise StoreError(ErrorKind.DRAFT_UNKNOWN, f"there is no draft of {repository}:{version}")
        files = connection.execute(
            select(_FILE.c.relative_path, _FILE.c.content_address, _FILE.c.size, _FILE.c.media_type)
            .where(_FILE.c.repository == repository, _FILE.c.version == version)
            .order_by(_FILE.c.relative_path)
        )
        entries = tuple(FileEntry(path, Digest.parse(address), size, kind) for path, address, size, kind in files)
        return Draft(repository, version, row[1], entries)


def drop_draft(tx: Transaction, repository: str, version: str) -> None:
    """Forget a draft and its files' names; their content stays leased to who uploaded it."""
    for table in (_FILE, _DRAFT):
        tx.connection.execute(
            delete(table).where(table.c.repository == repository, table.c.version == version)
        )


def _row(connection: Connection, repository: str, version: str) -> tuple[str, int] | None:
    found = connection.execute(
        select(_DRAFT.c.principal, _DRAFT.c.expires_at).where(
            _DRAFT.c.repository == repository, _DRAFT.c.version == version
        )
    ).first()
    return (found[0], found[1]) if found else None
