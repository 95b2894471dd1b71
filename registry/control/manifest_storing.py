"""The one transaction step by which a manifest comes in, from either face."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from registry.contract.dataplane import Content
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, FieldError, StoreError
from registry.contract.events import ManifestStored, TagSet
from registry.contract.manifest import EdgeKind, Manifest
from registry.contract.names import Repository, Tag
from registry.contract.package import PackageManifest
from registry.control import recording
from registry.control.core import Core
from registry.control.details import details_of
from registry.control.sql import leases, lookups, statements
from registry.control.sql.lookups import MISSING, BlobRow, RepositoryRow
from registry.control.sql.transaction import Transaction

_PRESENT = """
SELECT d.digest FROM repositories r
JOIN blob_digests d ON d.domain = r.domain AND d.digest IN ({places})
JOIN repository_blobs rb ON rb.repository_id = r.id AND rb.blob_id = d.blob_id
JOIN blobs b ON b.id = d.blob_id AND {present}
WHERE r.name = :repository
"""
_STANDS = """
SELECT m.blob_id, t.digest_algorithm FROM tags t JOIN manifests m ON m.id = t.manifest_id
WHERE t.repository_id = :repository_id AND t.name = :tag
"""
_AT_ONCE = 500
_NAMED = 100


@dataclass(frozen=True, slots=True)
class NativePackage:
    """The canonical manifest of a package, its digest and the schema its metadata was checked against."""

    manifest: PackageManifest
    digest: Digest
    schema_version: int | None


@dataclass(frozen=True, slots=True)
class Incoming:
    """A parsed manifest whose bytes are durable. `digest` is in the algorithm it was pushed with.

    `schema_version` is that of a foreign artifact with typed metadata; a package has its own.
    """

    manifest: Manifest
    content: Content
    digest: Digest
    package: NativePackage | None
    schema_version: int | None = None


async def check_children_early(core: Core, repository: Repository, manifest: Manifest) -> None:
    """`check_children` by hot look-ups, before any byte is stored; the transaction looks again."""
    required = _required(core, repository, manifest)
    for statement, parameters in _present(repository, list(required)):
        for row in await core.database.fetch(statement, parameters):
            required.pop(row[0], None)
    _refuse_absent(repository, required)


def check_children(tx: Transaction, core: Core, repository: Repository, manifest: Manifest) -> None:
    """Raises MANIFEST_CHILD_UNKNOWN that names what the repository lacks, unless its policy says sparse.

    A descriptor is satisfied by a manifest or a blob of the repository (decision 15). Source:
    distribution-spec, "Pushing Manifests".
    """
    required = _required(core, repository, manifest)
    for statement, parameters in _present(repository, list(required)):
        for row in statements.rows(tx.connection, statement, **parameters):
            required.pop(row[0], None)
    _refuse_absent(repository, required)


def _required(core: Core, repository: Repository, manifest: Manifest) -> dict[str, EdgeKind]:
    if core.policies.of(repository).sparse:
        return {}
    return {str(edge.descriptor.digest): edge.kind for edge in manifest.edges if edge.required}


def _present(repository: Repository, wanted: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Statements that find which of the wanted digests the repository has."""
    for start in range(0, len(wanted), _AT_ONCE):
        named = {f"d{position}": digest for position, digest in enumerate(wanted[start : start + _AT_ONCE])}
        places = ", ".join(f":{name}" for name in named)
        yield _PRESENT.format(places=places, present=lookups.NOT_GONE), {"repository": repository, **named}


def _refuse_absent(repository: Repository, absent: Mapping[str, EdgeKind]) -> None:
    if not absent:
        return
    named = list(absent.items())[:_NAMED]
    raise StoreError(
        ErrorKind.MANIFEST_CHILD_UNKNOWN,
        f"{repository} does not have {len(absent)} of what the manifest names, "
        f"e.g. {named[0][0]}: push that first",
        detail={"missing": [digest for digest, _ in named]},
        errors=[FieldError(f"/{_FIELD[kind]}", f"{digest} is unknown") for digest, kind in named],
    )


_FIELD = {EdgeKind.CONFIG: "config", EdgeKind.LAYER: "layers", EdgeKind.MANIFEST: "manifests"}


def store_manifest(
    tx: Transaction, core: Core, repository: Repository, incoming: Incoming, tags: Sequence[Tag]
) -> bool:
    """Record the manifest, its children and tags. True when the manifest is new to the repository.

    Children are looked at again here, inside the transaction: one may have been deleted meanwhile.
    """
    target = recording.ensure_repository(tx, core, repository)
    check_children(tx, core, repository, incoming.manifest)
    before = tx.find_blob(target.domain, incoming.content.blake3)
    blob = recording.record_content(tx, target.domain, incoming.content)
    details = details_of(incoming.manifest, incoming.package.manifest if incoming.package else None)
    known = tx.has_manifest(target, blob)
    if not known:
        package = incoming.package
        tx.emit(
            ManifestStored(
                repository,
                blob.address,
                incoming.manifest.media_type,
                incoming.digest.algorithm,
                package.digest if package else None,
                package.schema_version if package else incoming.schema_version,
            ),
            details,
        )
    else:
        _check_media_type(tx, repository, blob.address, incoming.manifest.media_type)
        if before is not None and before.state == MISSING:
            # A rebuild that ran without the bytes has left out what they say.
            tx.restore_details(target, blob, details)
        if not tags and core.policies.of(repository).untagged_after is not None:
            until = tx.now + core.limits.content_lease
            leases.lease_content(tx.connection, target.domain, blob.address, leases.NOBODY, until)
    for event in _moves(tx, core, target, blob, incoming.digest, tags):
        tx.emit(event)
    return not known


def _check_media_type(tx: Transaction, repository: Repository, address: Digest, media_type: str) -> None:
    """The same bytes are one manifest of a repository, and it has one type."""
    known = lookups.find_manifest(tx.connection, repository, digest=address)
    if known is not None and known.media_type != media_type:
        raise StoreError(
            ErrorKind.MANIFEST_INVALID,
            f"{repository} has these bytes as {known.media_type}, not as {media_type}",
        )


def _moves(
    tx: Transaction, core: Core, target: RepositoryRow, blob: BlobRow, digest: Digest, tags: Sequence[Tag]
) -> Iterator[TagSet]:
    """The tags that do not stand there yet. Raises HELD for an immutable one that would move."""
    repository = Repository(target.name)
    for tag in tags:
        stands = statements.first(tx.connection, _STANDS, repository_id=target.id, tag=tag)
        if stands is not None and (stands[0], stands[1]) == (blob.id, digest.algorithm):
            continue
        moves = stands is not None and stands[0] != blob.id
        if moves and core.policies.of(repository).forbids_moving(tag):
            current = lookups.find_manifest(tx.connection, repository, tag=tag)
            raise StoreError(
                ErrorKind.HELD,
                f"the tag {tag} is immutable in {repository} and stands at {current and current.digest}",
            )
        yield TagSet(repository, tag, blob.address, digest.algorithm)
