"""Promotion: an existing manifest, and all it reaches, gets a version elsewhere.

No bytes move (decision 20).
"""

from __future__ import annotations

from dataclasses import dataclass

from registry.contract.dataplane import Content
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.manifest import EdgeKind, Manifest, parse_manifest
from registry.contract.model import Precondition
from registry.contract.names import Repository, Tag
from registry.contract.package import MAX_PACKAGE_BYTES, decode_package
from registry.control import arrival, recording
from registry.control.core import Core
from registry.control.manifest_storing import Incoming, NativePackage, store_manifest
from registry.control.manifests import check_precondition
from registry.control.package_reading import sha256_of
from registry.control.reading import absence, read_whole, refuse_gone
from registry.control.sql import lookups, statements
from registry.control.sql.lookups import BlobRow, ManifestRow
from registry.control.sql.transaction import Transaction

#: Indexes inside indexes.
_DEEPEST = 8
_MOST_MANIFESTS = 1000


@dataclass(frozen=True, slots=True)
class _Part:
    """One manifest to be promoted, children before parents."""

    row: ManifestRow
    manifest: Manifest
    native: NativePackage | None


async def promote(
    core: Core,
    actor: str,
    repository: Repository,
    version: Tag,
    source: Repository,
    digest: Digest,
    precondition: Precondition | None = None,
) -> bool:
    """True when the version is new.

    Raises PACKAGE_UNKNOWN, CONFLICT, PRECONDITION_FAILED, VALIDATION_FAILED for another domain.
    """
    parts: list[_Part] = []
    since = core.clock.now()
    await _collect(core, actor, source, digest, parts, _DEEPEST)

    def change(tx: Transaction) -> bool:
        check_precondition(tx, repository, version, precondition)
        target = recording.ensure_repository(tx, core, repository)
        top = parts[-1]
        if target.domain != top.row.domain:
            raise StoreError(
                ErrorKind.VALIDATION_FAILED,
                f"{source} and {repository} are in different domains: push the content there instead",
            )
        current = lookups.find_manifest(tx.connection, repository, tag=version)
        if current is not None:
            if current.address == top.row.address:
                return False
            raise StoreError(
                ErrorKind.CONFLICT,
                f"{repository}:{version} is taken by {current.digest}: choose another version",
            )
        for part in parts:
            known = tx.find_blob(part.row.domain, part.row.address)
            if known is not None:  # found lost since it was read: no bytes come here that would heal it
                refuse_gone(known.state, ErrorKind.PACKAGE_UNKNOWN, f"{source}@{digest}")
            _link_blobs(tx, target, source, part.manifest)
            digests = lookups.digests_of(tx.connection, part.row.blob_id)
            content = Content(part.row.address, sha256_of(digests), part.row.size)
            incoming = Incoming(part.manifest, content, part.row.digest, part.native, part.row.schema_version)
            store_manifest(tx, core, repository, incoming, (version,) if part is top else ())
        return True

    return await arrival.record(core, actor, change, since=since)


async def _collect(
    core: Core, actor: str, source: Repository, digest: Digest, parts: list[_Part], depth: int
) -> None:
    found = await core.database.fetch_one(
        lookups.MANIFEST_BY_DIGEST, {"repository": source, "digest": str(digest)}
    )
    row = ManifestRow.of(found) if found else None
    # What is noted as missing may still be in this process's cache, and is no content to record again.
    if row is not None:
        refuse_gone(row.state, ErrorKind.PACKAGE_UNKNOWN, f"{source}@{digest}")
    data = await read_whole(core, actor, row.domain, row.address, row.size) if row else None
    if row is None or data is None:
        raise absence(ErrorKind.PACKAGE_UNKNOWN, f"{source}@{digest}")
    if depth == 0 or len(parts) >= _MOST_MANIFESTS:
        raise StoreError(
            ErrorKind.PACKAGE_TOO_LARGE, "the index holds too many manifests to be promoted at once"
        )
    manifest = parse_manifest(data, row.media_type)
    for child in manifest.children:
        if await core.database.fetch_one(
            lookups.MANIFEST_BY_DIGEST, {"repository": source, "digest": str(child.digest)}
        ):
            await _collect(core, actor, source, child.digest, parts, depth - 1)
    native = None
    if row.package_digest is not None:
        raw = await read_whole(core, actor, row.domain, row.package_digest, MAX_PACKAGE_BYTES)
        if raw is None:
            raise absence(ErrorKind.PACKAGE_UNKNOWN, f"{source}@{digest}")
        native = NativePackage(decode_package(raw), row.package_digest, row.schema_version)
    parts.append(_Part(row, manifest, native))


def _link_blobs(
    tx: Transaction, target: lookups.RepositoryRow, source: Repository, manifest: Manifest
) -> None:
    for edge in manifest.edges:
        row = statements.first(
            tx.connection,
            lookups.BLOB_OF_REPOSITORY,
            repository=source,
            digest=str(edge.descriptor.digest),
        )
        if row is not None and (row[6] or edge.kind is not EdgeKind.MANIFEST):
            recording.link_blob(tx, target, BlobRow.of(row))
