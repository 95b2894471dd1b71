"""Rebuild: drop every view and replay the ledger to the same state (A3, decision 1).

Replay validates nothing and reads no clock. Bytes are read only for what is alive at the head: manifests, the
configs of packages, schemas. Nothing else may use the store meanwhile; the caller holds its lock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from registry.contract.dataplane import DEFAULT_DOMAIN, DataPlane, DomainId
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.manifest import parse_manifest
from registry.contract.package import MAX_PACKAGE_BYTES, decode_package
from registry.control.details import ManifestDetails, details_of
from registry.control.schemas import LARGEST_SCHEMA
from registry.control.sql import migrate, replay
from registry.control.sql.opening import open_offline

T = TypeVar("T")

_AT_ONCE = 1000

#: What is wrong with one content and not with the storage. It must not stand in the way of all others.
_UNREADABLE = frozenset(
    {
        ErrorKind.CONTENT_UNKNOWN,
        ErrorKind.RESTORE_REQUIRED,
        ErrorKind.ERASED,
        ErrorKind.TOO_LARGE,
        ErrorKind.MANIFEST_INVALID,
        ErrorKind.DIGEST_INVALID,
        ErrorKind.VALIDATION_FAILED,
        ErrorKind.PACKAGE_TOO_LARGE,
    }
)


@dataclass(slots=True)
class Rebuilt:
    """What a rebuild did.

    `differing` names views that were not as the ledger says, `faults` what bytes were not there. `unread`
    manifests are missing as the ledger says itself.
    """

    events: int = 0
    manifests: int = 0
    unread: int = 0
    differing: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Smalls(Protocol):
    """Where small contents are read whole. See `DataPlane.get`."""

    async def get(self, domain: DomainId, address: Digest, limit: int) -> bytes: ...


async def rebuild(
    database: str | Path,
    dataplane: DataPlane,
    progress: Callable[[Rebuilt], None] = lambda _: None,
) -> Rebuilt:
    """Replace the views of `database`. A crash or error leaves the old ones. Raises StoreError."""
    done = Rebuilt()
    async with open_offline(database) as offline:
        # Apart, because PostgreSQL drops no table that a cursor of the same transaction has been on.
        await offline.run(migrate.require_current)
        before = await offline.run(replay.fingerprints)
    async with open_offline(database) as offline:
        await offline.run(replay.drop_views)
        after = 0
        while (reached := await offline.run(replay.replay, after, _AT_ONCE)) != after:
            after = done.events = reached
            progress(done)
        await complete(offline, dataplane, done, progress)
        rebuilt = await offline.run(replay.fingerprints)
        done.differing = sorted(name for name, sums in rebuilt.items() if before.get(name) != sums)
    return done


class Views(Protocol):
    """Where views are being built."""

    async def run(self, step: Callable[..., T], *arguments: Any) -> T:
        """Run `step(connection, *arguments)`."""
        ...


async def complete(
    offline: Views, dataplane: DataPlane, done: Rebuilt, progress: Callable[[Rebuilt], None] = lambda _: None
) -> None:
    """Add what bytes say to views into which a ledger has been replayed."""
    await _complete_manifests(offline, dataplane, done, progress)
    await _complete_schemas(offline, dataplane, done)


async def _complete_manifests(
    offline: Views, dataplane: DataPlane, done: Rebuilt, progress: Callable[[Rebuilt], None]
) -> None:
    after = 0
    while manifests := await offline.run(replay.live_manifests, after, _AT_ONCE):
        for manifest in manifests:
            after = manifest.id
            details = await details_in_bytes(dataplane, manifest, done)
            if details is not None:
                await offline.run(replay.write_details, manifest, details)
                done.manifests += 1
        progress(done)


async def details_in_bytes(
    dataplane: Smalls, manifest: replay.LiveManifest, done: Rebuilt
) -> ManifestDetails | None:
    """What the bytes of a manifest say; None when they cannot be had, which is a fault unless the ledger says
    so itself."""
    try:
        data = await dataplane.get(manifest.domain, manifest.address, manifest.size)
        package = None
        if manifest.package_digest is not None:
            config = await dataplane.get(manifest.domain, manifest.package_digest, MAX_PACKAGE_BYTES)
            package = decode_package(config)
        return details_of(parse_manifest(data, manifest.media_type), package)
    except StoreError as error:
        if error.kind not in _UNREADABLE:
            raise
        if manifest.missing:
            done.unread += 1
        elif error.kind is ErrorKind.CONTENT_UNKNOWN:
            done.faults.append(f"the bytes of manifest {manifest.address} are not there")
        else:
            done.faults.append(f"manifest {manifest.address} cannot be read: {error.message}")
        return None


async def _complete_schemas(offline: Views, dataplane: DataPlane, done: Rebuilt) -> None:
    for schema in await offline.run(replay.live_schemas):
        document = await schema_in_bytes(dataplane, schema, done)
        if document is not None:
            await offline.run(replay.write_schema, schema, document)


async def schema_in_bytes(dataplane: Smalls, schema: replay.LiveSchema, done: Rebuilt) -> str | None:
    """The document; None when its bytes cannot be had, which is a fault."""
    try:
        return (await dataplane.get(DEFAULT_DOMAIN, schema.address, LARGEST_SCHEMA)).decode()
    except StoreError as error:
        if error.kind not in _UNREADABLE:
            raise
        done.faults.append(f"the document of schema {schema.variant} version {schema.version} is not there")
        return None
