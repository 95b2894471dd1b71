"""Manifests and tags: get, put, delete, list; and who refers to whom."""

from __future__ import annotations

from collections.abc import Sequence

from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.events import TagDeleted
from registry.contract.manifest import Descriptor, parse_manifest
from registry.contract.model import ManifestAccepted, Page, Precondition, StoredManifest
from registry.contract.names import Reference, Repository, Tag
from registry.control import arrival, recording, referrers, retention
from registry.control.access import Action, Caller
from registry.control.manifest_storing import Incoming, check_children_early, store_manifest
from registry.control.package_reading import native_package
from registry.control.paging import page_by_key
from registry.control.reading import absence, read_whole, refuse_gone
from registry.control.sql import leases, lookups, statements
from registry.control.sql.lookups import AWAY, ManifestRow
from registry.control.sql.transaction import Transaction
from registry.control.typed_metadata import check_foreign


class ManifestService:
    """Implements `registry.contract.store.Manifests`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._core = caller.core

    async def get(self, repository: Repository, reference: Reference) -> StoredManifest:
        self._caller.may(Action.PULL, repository)
        row = await self.find(repository, reference)
        if row is None:
            raise absence(ErrorKind.MANIFEST_UNKNOWN, str(reference))
        refuse_gone(row.state, ErrorKind.MANIFEST_UNKNOWN, str(reference))
        if row.state == AWAY:
            raise recording.restore_required(row.address)
        data = await read_whole(self._core, self._caller.principal.id, row.domain, row.address, row.size)
        if data is None:
            raise absence(ErrorKind.MANIFEST_UNKNOWN, str(reference))
        if isinstance(reference, Digest) and self._core.policies.of(repository).untagged_after is not None:
            await self._keep(row)
        return StoredManifest(row.digest, row.media_type, data)

    async def find(self, repository: Repository, reference: Reference) -> ManifestRow | None:
        """The manifest's row. A tag is looked up anew each time, so it is never stale."""
        database = self._core.database
        if isinstance(reference, Digest):
            row = await database.fetch_one(
                lookups.MANIFEST_BY_DIGEST, {"repository": repository, "digest": str(reference)}
            )
        else:
            row = await database.fetch_one(
                lookups.MANIFEST_BY_TAG, {"repository": repository, "tag": reference}
            )
        return ManifestRow.of(row) if row else None

    async def put(
        self,
        repository: Repository,
        reference: Reference,
        content_type: str | None,
        data: bytes,
        *,
        tags: Sequence[Tag] = (),
        precondition: Precondition | None = None,
    ) -> ManifestAccepted:
        self._caller.may(Action.PUSH, repository)
        core, actor = self._core, self._caller.principal.id
        if len(data) > core.limits.manifest_bytes:
            raise StoreError(ErrorKind.TOO_LARGE, f"a manifest may have {core.limits.manifest_bytes} bytes")
        algorithm = reference.algorithm if isinstance(reference, Digest) else Algorithm.SHA256
        digest = Digest.of(data, algorithm)
        if isinstance(reference, Digest) and not digest.matches(reference):
            raise StoreError(ErrorKind.DIGEST_MISMATCH, f"the manifest's digest is {digest}, not {reference}")
        manifest = parse_manifest(data, content_type)
        names = tuple(dict.fromkeys(tags if isinstance(reference, Digest) else (reference, *tags)))
        await check_children_early(core, repository, manifest)
        package = await native_package(core, actor, repository, manifest, data)
        schema_version = await check_foreign(core, actor, repository, manifest, package)
        domain = await recording.domain_of(core, repository)
        since = core.clock.now()
        content = await core.dataplane.put(domain, data, algorithm)
        incoming = Incoming(manifest, content, digest, package, schema_version)

        def change(tx: Transaction) -> bool:
            check_precondition(tx, repository, reference, precondition)
            return store_manifest(tx, core, repository, incoming, names)

        created = await arrival.record(
            core, actor, change, since=since, again=lambda: core.dataplane.put(domain, data, algorithm)
        )
        return ManifestAccepted(digest, created, manifest.subject.digest if manifest.subject else None, names)

    async def delete(self, repository: Repository, reference: Reference) -> None:
        self._caller.may(Action.DELETE, repository)

        def change(tx: Transaction) -> None:
            if isinstance(reference, Digest):
                row = self._row(tx, repository, digest=reference)
                retention.delete_manifest(tx, self._core, repository, row)
            else:
                self._row(tx, repository, tag=reference)
                retention.check_mutable(self._core, repository, reference)
                tx.emit(TagDeleted(repository, reference))

        await self._core.database.write(self._caller.principal.id, change)

    async def tags(self, repository: Repository, *, after: str | None, limit: int) -> Page[Tag]:
        self._caller.may(Action.PULL, repository)
        found = await self._core.database.fetch_one(lookups.REPOSITORY, {"repository": repository})
        if found is None:
            raise absence(ErrorKind.REPOSITORY_UNKNOWN, repository)
        if limit <= 0:
            return Page(())
        rows = await self._core.database.fetch(
            lookups.TAGS_PAGE, {"repository_id": found[0], "after": after or "", "limit": limit + 1}
        )
        return page_by_key([Tag(row[0]) for row in rows], limit)

    async def repositories(self, *, after: str | None, limit: int) -> Page[Repository]:
        self._caller.may(Action.PULL)
        if limit <= 0:
            return Page(())
        rows = await self._core.database.fetch(
            lookups.REPOSITORIES_PAGE, {"after": after or "", "limit": limit + 1}
        )
        return page_by_key([Repository(row[0]) for row in rows], limit)

    async def referrers(
        self,
        repository: Repository,
        subject: Digest,
        *,
        artifact_type: str | None,
        after: str | None,
        limit: int,
    ) -> Page[Descriptor]:
        self._caller.may(Action.PULL, repository)
        return await self._core.database.read(
            lambda connection: referrers.page(connection, repository, subject, artifact_type, after, limit)
        )

    async def _keep(self, row: ManifestRow) -> None:
        """Renew the lease on an untagged manifest that a policy may let go, before its reader hears of it."""
        key = {"manifest_id": row.id, "domain": row.domain, "content_address": str(row.address)}
        found = await self._core.database.fetch_one(lookups.HOLD_OF_MANIFEST, key)
        limits = self._core.limits
        if found is None or found[0] or (found[1] or 0) > self._core.clock.now() + limits.content_lease:
            return

        def change(tx: Transaction) -> None:
            if statements.first(tx.connection, lookups.HOLD_OF_MANIFEST, **key) is None:
                raise absence(ErrorKind.MANIFEST_UNKNOWN, row.digest)
            until = tx.now + limits.content_hold
            leases.lease_content(tx.connection, row.domain, row.address, leases.NOBODY, until)

        await self._core.database.write(self._caller.principal.id, change)

    def _row(
        self, tx: Transaction, repository: Repository, *, tag: Tag | None = None, digest: Digest | None = None
    ) -> ManifestRow:
        row = lookups.find_manifest(tx.connection, repository, tag=tag, digest=digest)
        if row is None:
            raise absence(ErrorKind.MANIFEST_UNKNOWN, str(tag or digest))
        return row


def check_precondition(
    tx: Transaction, repository: Repository, reference: Reference, precondition: Precondition | None
) -> None:
    """RFC 9110 13.1.1 and 13.1.2, decided inside the transaction that writes."""
    if precondition is None or (not precondition.if_match and not precondition.if_absent):
        return
    by_digest = reference if isinstance(reference, Digest) else None
    by_tag = None if isinstance(reference, Digest) else reference
    current = lookups.find_manifest(tx.connection, repository, tag=by_tag, digest=by_digest)
    if precondition.if_absent and current is not None:
        raise StoreError(ErrorKind.PRECONDITION_FAILED, f"{reference} exists already: it is {current.digest}")
    if precondition.if_match:
        names = set(lookups.digests_of(tx.connection, current.blob_id)) if current else set()
        if not names.intersection(map(str, precondition.if_match)):
            stands = f"it is {current.digest}" if current else "it does not exist"
            raise StoreError(
                ErrorKind.PRECONDITION_FAILED, f"{reference} is not what If-Match names: {stands}"
            )
