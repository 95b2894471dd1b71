"""Blobs of a repository: read, mount, delete."""

from __future__ import annotations

from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.events import BlobUnlinked
from registry.contract.model import Reading
from registry.contract.names import Repository
from registry.control import recording, retention
from registry.control.access import Action, Caller
from registry.control.reading import absence, open_reading
from registry.control.sql import lookups, statements
from registry.control.sql.lookups import GONE, BlobRow
from registry.control.sql.transaction import Transaction


class BlobService:
    """Implements `registry.contract.store.Blobs`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._core = caller.core

    async def get(self, repository: Repository, digest: Digest) -> Reading:
        self._caller.may(Action.PULL, repository)
        row = await self._core.database.fetch_one(
            lookups.BLOB_TO_READ, {"repository": repository, "digest": str(digest)}
        )
        if row is None:
            raise absence(ErrorKind.BLOB_UNKNOWN, digest)
        blob = BlobRow.of(row)
        reading = await open_reading(
            self._core, self._caller.principal.id, blob, digest, ErrorKind.BLOB_UNKNOWN
        )
        if recording.needs_lease(self._core, self._core.clock.now(), blob, bool(row[6]), row[7]):
            await self._renew(repository, digest)
        return reading

    async def mount(self, repository: Repository, digest: Digest, source: Repository | None) -> bool:
        self._caller.may(Action.PUSH, repository)
        if source is not None:
            self._caller.may(Action.PULL, source)

        def change(tx: Transaction) -> BlobRow | None:
            known = tx.find_repository(repository)
            domain = known.domain if known else self._core.policies.of(repository).domain
            if source is not None:
                row = statements.first(
                    tx.connection, lookups.BLOB_OF_REPOSITORY, repository=source, digest=str(digest)
                )
            else:
                row = statements.first(
                    tx.connection,
                    lookups.BLOB_OF_STORE,
                    digest=str(digest),
                    domain=domain,
                    principal=self._caller.principal.id,
                    now=tx.now,
                )
            if row is None:
                return None
            blob = BlobRow.of(row)
            if blob.domain != domain or blob.state in GONE:
                return None
            target = recording.ensure_repository(tx, self._core, repository)
            recording.link_blob(tx, target, blob)
            recording.keep(tx, self._core, target, blob, self._caller.principal.id)
            return blob

        mounted = await self._core.database.write(self._caller.principal.id, change)
        return mounted is not None and await self._is_held(mounted, digest)

    async def _is_held(self, blob: BlobRow, digest: Digest) -> bool:
        """Whether the bytes are there: who mounts a blob sends none, and could not heal what is lost."""
        try:
            await open_reading(self._core, self._caller.principal.id, blob, digest, ErrorKind.BLOB_UNKNOWN)
        except StoreError as error:
            if error.kind is not ErrorKind.BLOB_UNKNOWN:
                raise
            return False
        return True

    async def delete(self, repository: Repository, digest: Digest) -> None:
        self._caller.may(Action.DELETE, repository)

        def change(tx: Transaction) -> None:
            row = statements.first(
                tx.connection, lookups.BLOB_OF_REPOSITORY, repository=repository, digest=str(digest)
            )
            if row is None or not row[6]:
                raise absence(ErrorKind.BLOB_UNKNOWN, digest)
            blob = BlobRow.of(row)
            retention.refuse_used(tx, repository, blob.id, digest)
            tx.emit(BlobUnlinked(repository, blob.address))

        await self._core.database.write(self._caller.principal.id, change)

    async def _renew(self, repository: Repository, digest: Digest) -> None:
        """Durably, before the reader is told that the blob is there. Raises BLOB_UNKNOWN if it has gone."""

        def change(tx: Transaction) -> None:
            target = lookups.find_repository(tx.connection, repository)
            row = statements.first(
                tx.connection, lookups.BLOB_OF_REPOSITORY, repository=repository, digest=str(digest)
            )
            if target is None or row is None:
                raise absence(ErrorKind.BLOB_UNKNOWN, digest)
            recording.keep(tx, self._core, target, BlobRow.of(row), self._caller.principal.id)

        await self._core.database.write(self._caller.principal.id, change)
