"""A manifest read as a package: native ones by their canonical manifest, all others by their layers (A9)."""

from __future__ import annotations

from collections.abc import Mapping

from registry.contract import jsonvalue
from registry.contract.dataplane import DomainId
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.manifest import Manifest, parse_manifest
from registry.contract.model import FileEntry, Package
from registry.contract.names import Repository, Tag
from registry.contract.package import MAX_PACKAGE_BYTES, PackageManifest, decode_package, package_digest
from registry.contract.package_oci import PACKAGE_CONFIG, matches_oci_manifest
from registry.control.core import Core
from registry.control.details import foreign_files
from registry.control.manifest_storing import NativePackage
from registry.control.reading import absence, read_whole, refuse_gone
from registry.control.recording import restore_required
from registry.control.sql import lookups
from registry.control.sql.lookups import AWAY, BlobRow, ManifestRow
from registry.control.typed_metadata import check_metadata


async def native_package(
    core: Core, actor: str, repository: Repository, manifest: Manifest, data: bytes
) -> NativePackage | None:
    """The package that a pushed manifest claims to be by its config, checked; None for a foreign artifact.

    It must decode, say the same as the manifest, name the content that the layers name, and satisfy its
    variant's schema: else MANIFEST_INVALID, so that `/v2/` is no way round the checks (decision 19).
    """
    config = manifest.config
    if config is None or config.media_type != PACKAGE_CONFIG:
        return None
    row = await core.database.fetch_one(
        lookups.BLOB_OF_REPOSITORY, {"repository": repository, "digest": str(config.digest)}
    )
    if row is None:
        return None
    blob = BlobRow.of(row)
    raw = await read_whole(core, actor, blob.domain, blob.address, MAX_PACKAGE_BYTES)
    if raw is None:
        raise absence(ErrorKind.MANIFEST_CHILD_UNKNOWN, config.digest)
    try:
        package = decode_package(raw)
        matches_oci_manifest(package, jsonvalue.parse(data, max_bytes=len(data)))
        await _check_addresses(core, blob.domain, package)
        version = await check_metadata(core, package.variant, package.metadata) if package.variant else None
    except StoreError as error:
        if error.kind not in {ErrorKind.VALIDATION_FAILED, ErrorKind.MANIFEST_INVALID, ErrorKind.TOO_LARGE}:
            raise
        raise StoreError(ErrorKind.MANIFEST_INVALID, error.message, errors=error.errors) from error
    return NativePackage(package, package_digest(raw), version)


async def _check_addresses(core: Core, domain: DomainId, package: PackageManifest) -> None:
    """Each file's BLAKE3 and SHA-256 must be names of the same content, where the store has it."""
    for file in package.files:
        row = await core.database.fetch_one(
            "SELECT b.content_address FROM blob_digests d JOIN blobs b ON b.id = d.blob_id "
            "WHERE d.domain = :domain AND d.digest = :digest",
            {"domain": domain, "digest": str(file.sha256)},
        )
        if row is not None and row[0] != str(file.blake3):
            raise StoreError(
                ErrorKind.MANIFEST_INVALID,
                f"the package config names {file.relative_path} as {file.blake3}, its layer is {row[0]}",
            )


async def read_package(core: Core, actor: str, repository: Repository, row: ManifestRow) -> Package:
    """The package behind a manifest's row.

    Raises PACKAGE_UNKNOWN when its bytes are gone, RESTORE_REQUIRED.
    """
    check_at_hand(row)
    data = await read_whole(core, actor, row.domain, row.address, row.size)
    if data is None:
        raise absence(ErrorKind.PACKAGE_UNKNOWN, row.digest)
    manifest = parse_manifest(data, row.media_type)
    native = await read_canonical(core, actor, row, manifest)
    tags = await core.database.fetch(lookups.TAGS_OF_MANIFEST, {"manifest_id": row.id})
    return package_of(repository, row, manifest, native, tuple(Tag(tag[0]) for tag in tags))


def check_at_hand(row: ManifestRow) -> None:
    """Raises PACKAGE_UNKNOWN, ERASED or RESTORE_REQUIRED when the ledger says so of the bytes."""
    refuse_gone(row.state, ErrorKind.PACKAGE_UNKNOWN, row.digest)
    if row.state == AWAY:
        raise restore_required(row.address)


async def read_canonical(
    core: Core, actor: str, row: ManifestRow, manifest: Manifest
) -> PackageManifest | None:
    """The canonical manifest of a native package, None for a foreign artifact."""
    if row.package_digest is None:
        return None
    raw = await read_whole(core, actor, row.domain, row.package_digest, MAX_PACKAGE_BYTES)
    if raw is None:
        raise absence(ErrorKind.PACKAGE_UNKNOWN, row.digest)
    return decode_package(raw)


def package_of(
    repository: Repository,
    row: ManifestRow,
    manifest: Manifest,
    native: PackageManifest | None,
    versions: tuple[Tag, ...],
) -> Package:
    """Put the package together from what is known of it."""
    labels: Mapping[str, str] = native.labels if native else manifest.annotations
    return Package(
        repository=repository,
        manifest_digest=row.digest,
        media_type=row.media_type,
        artifact_type=manifest.artifact_type,
        package_digest=row.package_digest,
        variant=native.variant if native else None,
        schema_version=row.schema_version,
        metadata=native.metadata if native else None,
        labels=labels,
        files=_native_files(native) if native else foreign_files(manifest),
        children=manifest.children,
        subject=manifest.subject,
        versions=versions,
        created_at=row.created_at,
        manifest=manifest,
    )


def _native_files(package: PackageManifest) -> tuple[FileEntry, ...]:
    """By their content addresses, which the canonical manifest has and the layers do not."""
    return tuple(
        FileEntry(file.relative_path, file.blake3, file.size, file.media_type) for file in package.files
    )


def sha256_of(digests: list[str]) -> Digest:
    """The SHA-256 among the digests of one content; every content has one (A2)."""
    return next(d for d in map(Digest.parse, digests) if d.algorithm is Algorithm.SHA256)
