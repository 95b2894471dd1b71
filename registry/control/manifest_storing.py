"""The one transaction step by which a manifest comes in, from either face."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from registry.control.sql import Connection, lookups
from registry.control.sql.lookups import ManifestRow
from registry.control.sql.transaction import Transaction

_PRESENT = """
SELECT d.digest FROM repositories r
JOIN blob_digests d ON d.domain = r.domain AND d.digest IN ({places})
JOIN repository_blobs rb ON rb.repository_id = r.id AND rb.blob_id = d.blob_id
JOIN blobs b ON b.id = d.blob_id AND b.state <> 'missing'
WHERE r.name = :repository
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


def check_children(
    connection: Connection, repository: Repository, manifest: Manifest, *, sparse: bool
) -> None:
    """Raises MANIFEST_CHILD_UNKNOWN that names what the repository lacks.

    Source: distribution-spec, "Pushing Manifests".

    A descriptor is satisfied by a manifest or a blob of the repository (DECISIONS 15).
    """
    if sparse:
        return
    required = {str(edge.descriptor.digest): edge.kind for edge in manifest.edges if edge.required}
    wanted = list(required)
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        names = [f"d{position}" for position in range(len(part))]
        statement = _PRESENT.format(places=", ".join(f":{name}" for name in names))
        found = lookups.rows(
            connection, statement, repository=repository, **dict(zip(names, part, strict=True))
        )
        for row in found:
            required.pop(row[0], None)
    if required:
        missing = list(required.items())[:_NAMED]
        raise StoreError(
            ErrorKind.MANIFEST_CHILD_UNKNOWN,
            f"{repository} does not have {len(required)} of what the manifest names, "
            f"e.g. {missing[0][0]}: push that first",
            detail={"missing": [digest for digest, _ in missing]},
            errors=[FieldError(f"/{_FIELD[kind]}", f"{digest} is unknown") for digest, kind in missing],
        )


_FIELD = {EdgeKind.CONFIG: "config", EdgeKind.LAYER: "layers", EdgeKind.MANIFEST: "manifests"}


def store_manifest(
    tx: Transaction, core: Core, repository: Repository, incoming: Incoming, tags: Sequence[Tag]
) -> bool:
    """Record the manifest, its children and tags. True when the manifest is new to the repository.

    Children are looked at again here, inside the transaction: one may have been deleted meanwhile.
    """
    policy = core.policies.of(repository)
    target = recording.ensure_repository(tx, core, repository)
    check_children(tx.connection, repository, incoming.manifest, sparse=policy.sparse)
    blob = recording.record_content(tx, target.domain, incoming.content)
    known = lookups.find_manifest(tx.connection, repository, digest=blob.address)
    if known is None:
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
            details_of(incoming.manifest, package.manifest if package else None),
        )
    elif known.media_type != incoming.manifest.media_type:
        raise StoreError(
            ErrorKind.MANIFEST_INVALID,
            f"{repository} has these bytes as {known.media_type}, not as {incoming.manifest.media_type}",
        )
    for event in _moves(tx, core, repository, blob.address, incoming.digest, tags):
        tx.emit(event)
    return known is None


def _moves(
    tx: Transaction, core: Core, repository: Repository, address: Digest, digest: Digest, tags: Sequence[Tag]
) -> Iterator[TagSet]:
    """The tags that do not stand there yet. Raises HELD for an immutable one that would move."""
    for tag in tags:
        current: ManifestRow | None = lookups.find_manifest(tx.connection, repository, tag=tag)
        if current is not None and current.address == address and current.digest == digest:
            continue
        if (
            current is not None
            and current.address != address
            and core.policies.of(repository).forbids_moving(tag)
        ):
            raise StoreError(
                ErrorKind.HELD, f"the tag {tag} is immutable in {repository} and stands at {current.digest}"
            )
        yield TagSet(repository, tag, address, digest.algorithm)
