"""Packages: put, promote, read, delete, list and search (A8, A9)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from registry.contract.dataplane import Content, DomainId
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, FieldError, StoreError
from registry.contract.events import TagDeleted
from registry.contract.manifest import Descriptor, parse_manifest
from registry.contract.model import (
    FileEntry,
    NewFile,
    NewPackage,
    Package,
    PackageAccepted,
    PackageSummary,
    Page,
    Precondition,
    Reading,
    Search,
)
from registry.contract.names import Reference, Repository, Tag
from registry.contract.package import PackageFile, PackageManifest, encode_package, package_digest
from registry.contract.package_oci import EMPTY_CONTENT, to_oci_manifest
from registry.contract.package_rules import check_package, path_fault
from registry.contract.store import FileReading
from registry.control import arrival, package_lists, recording, retention
from registry.control.access import Action, Caller
from registry.control.manifest_storing import Incoming, NativePackage, store_manifest
from registry.control.manifests import ManifestService, check_precondition
from registry.control.package_reading import check_at_hand, read_package, sha256_of
from registry.control.promotion import promote
from registry.control.reading import StoredFile, StoredReading, absence, open_reading
from registry.control.search import search
from registry.control.sql import lookups, statements
from registry.control.sql.lookups import GONE, BlobRow, ManifestRow
from registry.control.sql.transaction import Transaction
from registry.control.typed_metadata import check_metadata

#: A file by its path: the layer's descriptor, and the content address that a native package gives instead.
_FILE = """
SELECT e.digest, e.size, e.media_type, b.content_address FROM manifest_edges e
JOIN blob_digests d ON d.domain = :domain AND d.digest = e.digest
JOIN blobs b ON b.id = d.blob_id
WHERE e.manifest_id = :manifest_id AND e.relative_path = :path
"""


def _nothing_else(_tx: Transaction) -> None:
    """A package that is put by itself."""


class PackageService:
    """Implements `registry.contract.store.Packages`."""

    def __init__(self, caller: Caller, manifests: ManifestService) -> None:
        self._caller = caller
        self._core = caller.core
        self._manifests = manifests

    async def put(
        self,
        repository: Repository,
        version: Tag,
        package: NewPackage,
        precondition: Precondition | None = None,
    ) -> PackageAccepted:
        return await self.make(repository, version, package, precondition)

    async def make(
        self,
        repository: Repository,
        version: Tag,
        package: NewPackage,
        precondition: Precondition | None = None,
        *,
        within: Callable[[Transaction], None] = _nothing_else,
    ) -> PackageAccepted:
        """`put`, with a step that belongs to the same transaction and comes first in it."""
        self._caller.may(Action.PUSH, repository)
        core, actor = self._core, self._caller.principal.id
        check_package(package)
        if len(package.files) > core.limits.package_files:
            raise _too_large(f"it has {len(package.files)} files", f"{core.limits.package_files} files")
        schema = await check_metadata(core, package.variant, package.metadata) if package.variant else None
        domain, files = await self._resolve_files(repository, package.files)
        subject = await self._resolve_subject(repository, package.subject)
        canonical = PackageManifest(package.variant, package.metadata, package.labels, files, subject)
        config = encode_package(canonical)
        document = to_oci_manifest(canonical, config)
        if len(document) > core.limits.package_manifest_bytes:
            raise _too_large(
                f"its OCI manifest has {len(document)} bytes", f"{core.limits.package_manifest_bytes} bytes"
            )
        address = Digest.of(document, Algorithm.BLAKE3)
        if (
            precondition is None
        ):  # a condition comes before the conflict (RFC 9110 13.2.1), in the transaction
            await self._check_free(repository, version, address)
        small = (document, config) if files else (document, config, EMPTY_CONTENT)

        async def store() -> list[Content]:
            return [await core.dataplane.put(domain, data) for data in small]

        since = core.clock.now()
        content, *kept = await store()
        native = NativePackage(canonical, package_digest(config), schema)
        incoming = Incoming(parse_manifest(document, None), content, content.sha256, native)

        def change(tx: Transaction) -> bool:
            within(tx)
            check_precondition(tx, repository, version, precondition)
            if _stands_at(tx, repository, version, address):
                return False
            self._link(tx, repository, domain, kept, files)
            store_manifest(tx, core, repository, incoming, (version,))
            return True

        created = await arrival.record(core, actor, change, since=since, again=store)
        return PackageAccepted(created, await self.get(repository, version))

    async def promote(
        self,
        repository: Repository,
        version: Tag,
        source: Repository,
        digest: Digest,
        precondition: Precondition | None = None,
    ) -> PackageAccepted:
        self._caller.may(Action.PUSH, repository)
        self._caller.may(Action.PULL, source)
        actor = self._caller.principal.id
        created = await promote(self._core, actor, repository, version, source, digest, precondition)
        return PackageAccepted(created, await self.get(repository, version))

    async def get(self, repository: Repository, reference: Reference) -> Package:
        self._caller.may(Action.PULL, repository)
        row = await self._row(repository, reference)
        return await read_package(self._core, self._caller.principal.id, repository, row)

    async def file(self, repository: Repository, reference: Reference, path: str) -> FileReading:
        self._caller.may(Action.PULL, repository)
        row = await self._row(repository, reference)
        check_at_hand(row)
        entry = await self._entry(repository, row, path)
        content = await self._open(repository, entry.digest, ErrorKind.FILE_UNKNOWN)
        return StoredFile(entry.digest, content.size, path, entry.media_type, content)

    async def canonical(self, repository: Repository, reference: Reference) -> Reading:
        self._caller.may(Action.PULL, repository)
        row = await self._row(repository, reference)
        if row.package_digest is None:
            raise StoreError(
                ErrorKind.PACKAGE_UNKNOWN,
                "a foreign artifact has no canonical manifest; read its OCI manifest",
            )
        return await self._open(repository, row.package_digest, ErrorKind.PACKAGE_UNKNOWN)

    async def delete(self, repository: Repository, version: Tag) -> None:
        self._caller.may(Action.DELETE, repository)

        def change(tx: Transaction) -> None:
            row = lookups.find_manifest(tx.connection, repository, tag=version)
            if row is None:
                raise absence(ErrorKind.PACKAGE_UNKNOWN, f"{repository}:{version}")
            retention.check_mutable(self._core, repository, version)
            tx.emit(TagDeleted(repository, version))
            others = statements.first(tx.connection, lookups.TAGS_OF_MANIFEST, manifest_id=row.id)
            if others is None and not retention.manifests_naming(tx.connection, repository, row.blob_id):
                retention.delete_manifest(tx, self._core, repository, row)

        await self._core.database.write(self._caller.principal.id, change)

    async def list(self, *, after: str | None, limit: int) -> Page[PackageSummary]:
        self._caller.may(Action.PULL)
        return await self._core.database.read(
            lambda connection: package_lists.every(connection, after, limit)
        )

    async def versions(
        self, repository: Repository, *, after: str | None, limit: int
    ) -> Page[PackageSummary]:
        self._caller.may(Action.PULL, repository)
        if await self._core.database.fetch_one(lookups.REPOSITORY, {"repository": repository}) is None:
            raise absence(ErrorKind.REPOSITORY_UNKNOWN, repository)
        return await self._core.database.read(
            lambda connection: package_lists.versions(connection, repository, after, limit)
        )

    async def search(self, query: Search, *, after: str | None, limit: int) -> Page[PackageSummary]:
        self._caller.may(Action.PULL, query.repository)
        return await self._core.database.read(lambda connection: search(connection, query, after, limit))

    # --- steps -----------------------------------------------------------------------------------------

    async def _row(self, repository: Repository, reference: Reference) -> ManifestRow:
        row = await self._manifests.find(repository, reference)
        if row is None:
            raise absence(ErrorKind.PACKAGE_UNKNOWN, f"{repository} at {reference}")
        return row

    async def _entry(self, repository: Repository, row: ManifestRow, path: str) -> FileEntry:
        """One file of a package; FILE_UNKNOWN when it has none of that path."""
        if path_fault(path) is None:
            found = await self._core.database.fetch_one(
                _FILE, {"manifest_id": row.id, "path": path, "domain": row.domain}
            )
            if found is not None:
                digest = found[3] if row.package_digest is not None else found[0]
                return FileEntry(path, Digest.parse(digest), found[1], found[2])
        # A rebuild that ran without the bytes has left no rows, and sparse repositories lack content.
        package = await read_package(self._core, self._caller.principal.id, repository, row)
        entry = next((file for file in package.files if file.relative_path == path), None)
        if entry is None:
            raise StoreError(ErrorKind.FILE_UNKNOWN, f"the package has no file {path!r}")
        return entry

    async def _open(self, repository: Repository, digest: Digest, absent: ErrorKind) -> StoredReading:
        found = await self._core.database.fetch_one(
            lookups.BLOB_OF_REPOSITORY, {"repository": repository, "digest": str(digest)}
        )
        if found is None:
            raise absence(absent, digest)
        return await open_reading(self._core, self._caller.principal.id, BlobRow.of(found), digest, absent)

    async def _resolve_files(
        self, repository: Repository, files: Sequence[NewFile]
    ) -> tuple[DomainId, tuple[PackageFile, ...]]:
        """Content that the package may name (decision 22).

        Anything else is VALIDATION_FAILED as if absent.
        """
        principal = self._caller.principal.id

        def query(connection: Any) -> tuple[DomainId, list[PackageFile], list[FieldError]]:
            known = lookups.find_repository(connection, repository)
            domain = known.domain if known else self._core.policies.of(repository).domain
            resolved: list[PackageFile] = []
            errors: list[FieldError] = []
            now = self._core.clock.now()
            for index, file in enumerate(files):
                row = statements.first(
                    connection,
                    lookups.BLOB_OF_STORE,
                    digest=str(file.content),
                    domain=domain,
                    principal=principal,
                    now=now,
                )
                blob = BlobRow.of(row) if row else None
                if blob is None or blob.state in GONE:
                    errors.append(
                        FieldError(
                            f"/files/{index}/content_address",
                            f"{file.content} is not known here: upload it first",
                        )
                    )
                    continue
                sha256 = sha256_of(lookups.digests_of(connection, blob.id))
                resolved.append(
                    PackageFile(file.relative_path, blob.size, blob.address, sha256, file.media_type)
                )
            return domain, resolved, errors

        domain, resolved, errors = await self._core.database.read(query)
        if errors:
            raise StoreError(
                ErrorKind.VALIDATION_FAILED,
                "the package names content that is not there",
                errors=errors[:100],
            )
        return domain, tuple(resolved)

    async def _resolve_subject(self, repository: Repository, subject: Digest | None) -> Descriptor | None:
        if subject is None:
            return None
        row = await self._manifests.find(repository, subject)
        if row is None:
            raise StoreError(
                ErrorKind.VALIDATION_FAILED,
                "the subject is not there",
                errors=[FieldError("/subject", f"{repository} has no manifest {subject}")],
            )
        # Named by whichever digest, the package is the same, and other registries' clients know this one.
        named = await self._core.database.fetch(lookups.DIGESTS_OF_BLOB, {"blob_id": row.blob_id})
        return Descriptor(row.media_type, sha256_of([name[0] for name in named]), row.size)

    async def _check_free(self, repository: Repository, version: Tag, address: Digest) -> None:
        """Before any byte is stored; the transaction looks again."""
        row = await self._manifests.find(repository, version)
        if row is not None and row.address != address:
            raise taken(repository, version, row.digest)

    def _link(
        self,
        tx: Transaction,
        repository: Repository,
        domain: DomainId,
        kept: Sequence[Content],
        files: Sequence[PackageFile],
    ) -> None:
        """Config and files become blobs of the repository."""
        target = recording.ensure_repository(tx, self._core, repository, domain)
        for content in kept:
            recording.link_blob(tx, target, recording.record_content(tx, domain, content))
        for address in dict.fromkeys(file.blake3 for file in files):
            blob = tx.find_blob(domain, address)
            if blob is None or blob.state in GONE:
                raise StoreError(ErrorKind.VALIDATION_FAILED, f"the content {address} has gone meanwhile")
            recording.link_blob(tx, target, blob)


def taken(repository: Repository, version: Tag, digest: Digest) -> StoreError:
    """The refusal of another body under a taken version (decision 20)."""
    return StoreError(
        ErrorKind.CONFLICT,
        f"{repository}:{version} is taken by {digest}: choose another version",
        detail={"manifest_digest": str(digest)},
    )


def _too_large(it: str, limit: str) -> StoreError:
    message = f"the package is too large: {it}, where {limit} are allowed; make several of it"
    return StoreError(ErrorKind.PACKAGE_TOO_LARGE, message)


def _stands_at(tx: Transaction, repository: Repository, version: Tag, address: Digest) -> bool:
    """True when the version already is this manifest; raises CONFLICT when it is another.

    Told by the content address: the tag may answer in another algorithm than a package's.
    """
    current = lookups.find_manifest(tx.connection, repository, tag=version)
    if current is None:
        return False
    if current.address != address:
        raise taken(repository, version, current.digest)
    return True
