"""Uploads: bytes gather on a stage of the data plane, and become content when they are complete (A6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

from registry.contract.dataplane import DEFAULT_DOMAIN, Content, DomainId, Stage
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, FieldError, StoreError
from registry.contract.model import Upload
from registry.contract.names import Repository
from registry.contract.store import LastBody
from registry.control import arrival, recording
from registry.control.access import Action, Caller
from registry.control.sql import leases, lookups, upload_rows
from registry.control.sql.transaction import Transaction
from registry.control.sql.upload_rows import UploadRow

#: A body of a known length up to this is gathered in memory and stored in one step.
_SMALL = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Stored:
    """Durable content, the clock before it was, and how to store it again while its bytes are in memory."""

    content: Content
    since: int
    again: arrival.Again | None


class UploadService:
    """Implements `registry.contract.store.Uploads`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._core = caller.core

    async def create(
        self,
        repository: Repository | None,
        *,
        size: int | None = None,
        expected: Digest | None = None,
        announced: Algorithm | None = None,
    ) -> Upload:
        self._caller.may(Action.PUSH, repository)
        limits = self._core.limits
        self._check_size(size)
        upload = self._core.identifiers.new()
        algorithm = expected.algorithm if expected else announced
        principal = self._caller.principal.id

        def change(tx: Transaction) -> Upload:
            if upload_rows.count_open(tx.connection, principal) >= limits.open_uploads:
                raise StoreError(
                    ErrorKind.TOO_MANY_REQUESTS,
                    f"{limits.open_uploads} uploads are open already: complete or cancel some",
                    detail={"retry_after": 60},
                )
            if repository is None:
                self._refuse_undecided(tx)
            known = tx.find_repository(repository) if repository else None
            domain = known.domain if known else self._domain_for(repository)
            expires_at = tx.now + limits.upload_idle
            row = UploadRow(upload, repository, domain, principal, size, expected, algorithm, expires_at)
            upload_rows.add(tx.connection, row)
            return Upload(upload, repository, 0, size, expires_at)

        return await self._core.database.write(principal, change)

    async def get(self, repository: Repository | None, upload: str) -> Upload:
        self._caller.may(Action.PUSH, repository)
        row = await self._find(repository, upload)
        if row.content is not None:
            return Upload(row.id, row.repository, row.content.size, row.size, row.expires_at, row.content)
        status = await self._core.dataplane.staged(row.stage)
        return self._open_upload(row, status.offset)

    async def append(
        self,
        repository: Repository | None,
        upload: str,
        body: AsyncIterable[bytes],
        *,
        offset: int | None = None,
        length: int | None = None,
    ) -> Upload:
        self._caller.may(Action.PUSH, repository)
        row = await self._find_open(repository, upload)
        stage = row.stage
        if offset is None:
            offset = (await self._core.dataplane.staged(stage)).offset
        limit = row.size if row.size is not None else self._core.limits.blob_bytes
        if length is not None and limit is not None and offset + length > limit:
            raise self._too_large(limit)
        reached = await self._core.dataplane.append(stage, offset, body, limit)
        if length is not None and reached - offset != length:
            raise StoreError(
                ErrorKind.BAD_REQUEST,
                f"the body had {reached - offset} bytes where {length} were announced; they were kept",
                detail={"offset": reached},
            )
        await self._still_open(repository, row)
        return self._open_upload(row, reached)

    async def complete(
        self,
        repository: Repository | None,
        upload: str,
        expected: Digest | None = None,
        last: LastBody | None = None,
    ) -> Content:
        self._caller.may(Action.PUSH, repository)
        row = await self._find(repository, upload)
        if last is not None and row.content is None:
            content, last = await self._at_once(row, expected or row.expected, last, keep=repository is None)
            if content is not None:
                return content
            await self.append(repository, upload, last.body, offset=last.offset, length=last.length)
        if row.content is not None:
            return _same(row.content, expected)
        digest = expected or row.expected
        if (
            expected
            and row.expected
            and expected.algorithm is row.expected.algorithm
            and expected != row.expected
        ):
            raise StoreError(
                ErrorKind.DIGEST_MISMATCH, f"the session was opened for {row.expected}, not for {expected}"
            )
        offset = (await self._core.dataplane.staged(row.stage)).offset
        since = self._core.clock.now()
        try:
            if (row.size is not None and offset != row.size) or (
                row.size is None and not offset and digest is None
            ):
                raise StoreError(
                    ErrorKind.UPLOAD_INCOMPLETE,
                    f"{offset} bytes have arrived of {'an unknown number' if row.size is None else row.size}",
                    detail={"offset": offset, "size": row.size},
                )
            content = await self._commit(row.stage, digest)
            if content.size < offset:  # another completion has taken the stage since, and left an empty one
                raise StoreError(
                    ErrorKind.UPLOAD_INCOMPLETE,
                    "another request completes this upload: ask for it again",
                    detail={"offset": content.size, "size": row.size},
                )
        except StoreError as error:
            if error.kind not in {ErrorKind.DIGEST_MISMATCH, ErrorKind.UPLOAD_INCOMPLETE}:
                raise
            return await self._completed_meanwhile(repository, row, expected, error)
        return await self._record(row, _Stored(content, since, None), keep=repository is None)

    async def cancel(self, repository: Repository | None, upload: str) -> None:
        self._caller.may(Action.PUSH, repository)
        row = await self._find_open(repository, upload)
        await self._core.dataplane.discard(row.stage)
        await self._core.database.write(
            self._caller.principal.id, lambda tx: upload_rows.drop(tx.connection, row.id)
        )

    async def put(
        self,
        repository: Repository,
        expected: Digest,
        body: AsyncIterable[bytes],
        *,
        length: int | None = None,
    ) -> Content:
        self._caller.may(Action.PUSH, repository)
        self._check_size(length)
        domain = await recording.domain_of(self._core, repository)
        stored = await self._store(domain, expected, body, length)
        await self._record_stored(
            stored, lambda tx: self._record_linked(tx, repository, domain, stored.content)
        )
        return stored.content

    async def put_unlinked(
        self, domain: DomainId, body: AsyncIterable[bytes], *, length: int | None = None
    ) -> Content:
        """Content for a draft: durable, in no repository yet, leased to the caller. Raises as `put`."""
        self._check_size(length)
        stored = await self._store(domain, None, body, length)
        await self._record_stored(stored, lambda tx: self._record_unlinked(tx, domain, stored.content))
        return stored.content

    # --- steps -----------------------------------------------------------------------------------------

    async def _at_once(
        self, row: UploadRow, expected: Digest | None, last: LastBody, *, keep: bool
    ) -> tuple[Content | None, LastBody]:
        """A small body that is the whole content is stored in one step, without a stage.

        Where that cannot be, None and the body to append: nothing was taken from it, or it is whole again.
        """
        length = last.length
        if expected is None or length is None or length > _SMALL or row.size not in (None, length):
            return None, last
        if last.offset or (await self._core.dataplane.staged(row.stage)).offset:
            return None, last
        arrived: list[bytes] = []
        try:
            data = await _gather(last.body, length, arrived)
        except BaseException:  # what arrived before the connection broke is the session's, as with any body
            await asyncio.shield(self._core.dataplane.append(row.stage, 0, _once(b"".join(arrived)), length))
            raise
        if not Digest.of(data, expected.algorithm).matches(expected):
            return None, replace(last, body=_once(data))  # kept in the session, and refused with it

        def put() -> Awaitable[Content]:
            return self._core.dataplane.put(row.domain, data, expected.algorithm)

        since = self._core.clock.now()
        return await self._record(row, _Stored(await put(), since, put), keep=keep), last

    async def _store(
        self, domain: DomainId, expected: Digest | None, body: AsyncIterable[bytes], length: int | None
    ) -> _Stored:
        """The content, durable."""
        if length is not None and length <= _SMALL:
            data = await _gather(body, length, [])
            algorithm = expected.algorithm if expected else None
            if expected and not Digest.of(data, expected.algorithm).matches(expected):
                raise StoreError(
                    ErrorKind.DIGEST_MISMATCH, f"the bytes that arrived are not those of {expected}"
                )

            def put() -> Awaitable[Content]:
                return self._core.dataplane.put(domain, data, algorithm)

            since = self._core.clock.now()
            return _Stored(await put(), since, put)
        stage = Stage(domain, self._core.identifiers.new(), expected.algorithm if expected else None)
        try:
            reached = await self._core.dataplane.append(stage, 0, body, self._core.limits.blob_bytes)
            if length is not None and reached != length:
                raise StoreError(
                    ErrorKind.BAD_REQUEST, f"the body had {reached} bytes where {length} were announced"
                )
            since = self._core.clock.now()
            return _Stored(await self._commit(stage, expected), since, None)
        except BaseException:
            await asyncio.shield(self._core.dataplane.discard(stage))
            raise

    async def _commit(self, stage: Stage, expected: Digest | None) -> Content:
        """Make staged bytes content, when nobody is about to delete that very content."""
        told = await self._core.dataplane.identify(stage, expected)
        await arrival.reserve(self._core, self._caller.principal.id, stage.domain, told.blake3)
        return await self._core.dataplane.commit(stage, expected)

    async def _record_stored(self, stored: _Stored, change: Callable[[Transaction], None]) -> None:
        actor = self._caller.principal.id
        await arrival.record(self._core, actor, change, since=stored.since, again=stored.again)

    async def _record(self, row: UploadRow, stored: _Stored, *, keep: bool) -> Content:
        """Write what was made durable. A native session stays for a day, to answer again."""
        content = stored.content

        def change(tx: Transaction) -> Content:
            if row.repository is not None:
                self._record_linked(tx, row.repository, row.domain, content)
            else:
                self._record_unlinked(tx, row.domain, content)
            if keep:
                until = tx.now + self._core.limits.content_lease
                return upload_rows.complete(tx.connection, row.id, content, until)
            upload_rows.drop(tx.connection, row.id)
            return content

        actor = self._caller.principal.id
        return await arrival.record(self._core, actor, change, since=stored.since, again=stored.again)

    def _record_linked(
        self, tx: Transaction, repository: Repository, domain: DomainId, content: Content
    ) -> None:
        target = recording.ensure_repository(tx, self._core, repository, domain)
        blob = recording.record_content(tx, domain, content)
        recording.link_blob(tx, target, blob)
        recording.keep(tx, self._core, target, blob, self._caller.principal.id)

    def _record_unlinked(self, tx: Transaction, domain: DomainId, content: Content) -> None:
        recording.record_content(tx, domain, content)
        until = tx.now + self._core.limits.content_lease
        leases.lease_content(tx.connection, domain, content.blake3, self._caller.principal.id, until)

    async def _completed_meanwhile(
        self, repository: Repository | None, row: UploadRow, expected: Digest | None, error: StoreError
    ) -> Content:
        """Two completions at once: the second finds no stage, and the first's outcome in the row.

        It looks in the writer's queue, behind the first.
        """
        if (await self._core.dataplane.staged(row.stage)).offset:
            raise error
        now = await self._core.database.write(
            self._caller.principal.id, lambda tx: upload_rows.find(tx.connection, row.id)
        )
        if now is None:
            raise _unknown()
        if now.content is None or repository is not None:
            raise error
        return _same(now.content, expected)

    async def _find(self, repository: Repository | None, upload: str) -> UploadRow:
        found = await self._core.database.fetch_one(upload_rows.UPLOAD, {"id": upload})
        row = UploadRow.of(found) if found else None
        if (
            row is None
            or row.principal != self._caller.principal.id
            or (repository is not None and (row.repository != repository or row.content is not None))
        ):
            raise _unknown()
        return row

    async def _find_open(self, repository: Repository | None, upload: str) -> UploadRow:
        row = await self._find(repository, upload)
        if row.content is not None:
            raise StoreError(ErrorKind.CONFLICT, "the upload is complete already")
        return row

    async def _still_open(self, repository: Repository | None, row: UploadRow) -> None:
        """After an append, since another replica may have ended the session meanwhile: then these bytes are
        nowhere, and what is left of them goes. Raises UPLOAD_UNKNOWN, CONFLICT."""
        try:
            await self._find_open(repository, row.id)
        except StoreError as error:
            if error.kind in {ErrorKind.UPLOAD_UNKNOWN, ErrorKind.CONFLICT}:
                await self._core.dataplane.discard(row.stage)
            raise

    def _refuse_undecided(self, tx: Transaction) -> None:
        """Where there are several domains, bytes alone do not say which one they are for (decision 22)."""
        if self._core.policies.has_domains or lookups.has_domains(tx.connection):
            message = "name the repository that the content is for: the store has more than one domain"
            raise StoreError(
                ErrorKind.VALIDATION_FAILED, message, errors=(FieldError("/repository", message),)
            )

    def _domain_for(self, repository: Repository | None) -> DomainId:
        return self._core.policies.of(repository).domain if repository else DEFAULT_DOMAIN

    def _open_upload(self, row: UploadRow, offset: int) -> Upload:
        expires_at = max(
            row.expires_at, self._core.clock.now() + self._core.limits.upload_idle if offset else 0
        )
        return Upload(row.id, row.repository, offset, row.size, expires_at)

    def _check_size(self, size: int | None) -> None:
        limit = self._core.limits.blob_bytes
        if size is not None and limit is not None and size > limit:
            raise self._too_large(limit)

    def _too_large(self, limit: int) -> StoreError:
        return StoreError(ErrorKind.TOO_LARGE, f"the upload may have {limit} bytes", detail={"limit": limit})


def _unknown() -> StoreError:
    return StoreError(ErrorKind.UPLOAD_UNKNOWN, "there is no such upload, or it has expired: begin a new one")


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _gather(body: AsyncIterable[bytes], length: int, parts: list[bytes]) -> bytes:
    """A small body, whole; its `parts` as they arrive. Raises BAD_REQUEST when it is longer or shorter."""
    held = 0
    async for part in body:
        held += len(part)
        if held > length:
            break
        parts.append(part)
    if held != length:
        raise StoreError(
            ErrorKind.BAD_REQUEST, f"the body does not have the {length} bytes that were announced"
        )
    return b"".join(parts)


def _same(content: Content, expected: Digest | None) -> Content:
    if expected is not None and expected not in content.digests:
        raise StoreError(
            ErrorKind.DIGEST_MISMATCH, f"the upload is complete, and its bytes are not those of {expected}"
        )
    return content
