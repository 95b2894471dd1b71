"""Drafts: a package version that grows file by file, invisible until it is finalised (decision 26)."""

from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import replace

from registry.contract.errors import ErrorKind, StoreError
from registry.contract.manifest import check_media_type
from registry.contract.model import Draft, FileEntry, NewFile, NewPackage, PackageAccepted
from registry.contract.names import Repository, Tag
from registry.contract.package_rules import check_relative_path
from registry.control import recording
from registry.control.access import Action, Caller
from registry.control.packages import PackageService, taken
from registry.control.sql import Connection, draft_rows, lookups
from registry.control.sql.draft_rows import DraftRow
from registry.control.sql.transaction import Transaction
from registry.control.uploads import UploadService


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
        domain = await recording.domain_of(self._core, repository)
        content = await self._uploads.put_unlinked(domain, body, length=length)
        file = FileEntry(path, content.blake3, content.size, media_type)

        def change(tx: Transaction) -> Draft:
            self._open(tx, repository, version)
            draft_rows.put_file(tx.connection, repository, version, file)
            if draft_rows.count_files(tx.connection, repository, version) > self._core.limits.package_files:
                raise StoreError(
                    ErrorKind.PACKAGE_TOO_LARGE, f"a package may have {self._core.limits.package_files} files"
                )
            return Draft(repository, version, tx.now + self._core.limits.draft_idle, (file,))

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
            draft_rows.drop(tx.connection, repository, version)

        await self._core.database.write(self._caller.principal.id, change)

    async def finalize(self, repository: Repository, version: Tag, package: NewPackage) -> PackageAccepted:
        draft = await self.get(repository, version)
        files = tuple(NewFile(file.relative_path, file.digest, file.media_type) for file in draft.files)

        def close(tx: Transaction) -> None:
            # A file may have been put, and acknowledged, since the draft was read.
            if self._read(tx.connection, repository, version, tx.now).files != draft.files:
                raise StoreError(
                    ErrorKind.CONFLICT,
                    f"the draft of {repository}:{version} changed meanwhile: finalise it again",
                )
            draft_rows.drop(tx.connection, repository, version)

        return await self._packages.make(
            repository, version, replace(package, files=(*files, *package.files)), within=close
        )

    def _open(self, tx: Transaction, repository: Repository, version: Tag) -> None:
        """Begin the draft or prolong it. Raises CONFLICT when the version or the draft is somebody else's."""
        current = lookups.find_manifest(tx.connection, repository, tag=version)
        if current is not None:
            raise taken(repository, version, current.digest)
        row = draft_rows.find(tx.connection, repository, version)
        if row is not None and row.expires_at <= tx.now:
            draft_rows.drop(tx.connection, repository, version)
            row = None
        expires_at = tx.now + self._core.limits.draft_idle
        principal = self._caller.principal.id
        if row is None:
            draft_rows.add(tx.connection, repository, version, DraftRow(principal, expires_at))
        elif row.principal != principal:
            raise StoreError(
                ErrorKind.CONFLICT,
                f"somebody else has a draft of {repository}:{version}: choose another version",
            )
        else:
            draft_rows.prolong(tx.connection, repository, version, expires_at)

    def _read(self, connection: Connection, repository: Repository, version: Tag, now: int) -> Draft:
        row = draft_rows.find(connection, repository, version)
        if row is None or row.principal != self._caller.principal.id or row.expires_at <= now:
            raise StoreError(ErrorKind.DRAFT_UNKNOWN, f"there is no draft of {repository}:{version}")
        return Draft(repository, version, row.expires_at, draft_rows.files(connection, repository, version))
