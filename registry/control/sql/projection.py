"""From an event to the rows of the views. The live store and a replay run the same code, so they agree.

Nothing is validated here and no clock is read: events are outcomes. Rows that come from bytes (a manifest's
edges, say) are given as `Derived` by the live store, and by `rebuild` once it has replayed the ledger, for
what is alive at its head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, insert, select, update

from registry.contract.dataplane import DomainId, RestoreStatus, RetrievalTier
from registry.contract.digest import Digest
from registry.contract.events import (
    BlobLinked,
    BlobUnlinked,
    ContentHealed,
    ContentMissing,
    ContentNamed,
    ContentRemoved,
    ContentStored,
    Entry,
    LocationChanged,
    ManifestDeleted,
    ManifestStored,
    RepositoryCreated,
    SchemaRegistered,
    SchemaRemoved,
    TagDeleted,
    TagSet,
)
from registry.control.details import ManifestDetails
from registry.control.sql import tables as t

PRESENT, MISSING, AWAY = "present", "missing", "away"


@dataclass(frozen=True, slots=True)
class SchemaDocument:
    """A schema's JSON text."""

    text: str


Derived = ManifestDetails | SchemaDocument


@dataclass(frozen=True, slots=True)
class _Repository:
    id: int
    domain: DomainId


@dataclass(frozen=True, slots=True)
class _Blob:
    id: int
    size: int


_REPOSITORY = select(t.repositories.c.id, t.repositories.c.domain).where(
    t.repositories.c.name == bindparam("name")
)
_BLOB = select(t.blobs.c.id, t.blobs.c.size).where(
    t.blobs.c.domain == bindparam("domain"), t.blobs.c.content_address == bindparam("address")
)
_MANIFEST = select(t.manifests.c.id).where(
    t.manifests.c.repository_id == bindparam("repository_id"), t.manifests.c.blob_id == bindparam("blob_id")
)
_LINK = select(t.repository_blobs.c.as_blob, t.repository_blobs.c.as_manifest).where(
    t.repository_blobs.c.repository_id == bindparam("repository_id"),
    t.repository_blobs.c.blob_id == bindparam("blob_id"),
)
_HOLDERS = (
    select(t.repository_blobs.c.repository_id)
    .where(t.repository_blobs.c.blob_id == bindparam("blob_id"))
    .limit(2)
)
_INSERT_DIGESTS = insert(t.blob_digests)
_INSERT_EDGES = insert(t.manifest_edges)
_INSERT_FIELDS = insert(t.manifest_fields)


class Projection:
    """Applies events to the views through one connection, in the ledger's order."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._repositories: dict[str, _Repository] = {}
        self._blobs: dict[tuple[DomainId, Digest], _Blob] = {}

    def apply(self, entry: Entry, derived: Derived | None = None) -> None:
        """Change the views as `entry` says."""
        handler = _HANDLERS[type(entry.event)]
        handler(self, entry, entry.event, derived)

    # --- repositories and content ----------------------------------------------------------------------

    def _repository_created(self, entry: Entry, event: RepositoryCreated, _: Derived | None) -> None:
        self._connection.execute(
            insert(t.repositories),
            {"id": entry.seq, "name": event.repository, "domain": event.domain, "created_at": entry.time},
        )
        self._connection.execute(
            insert(t.repository_usage),
            {"repository_id": entry.seq, "logical": 0, "exclusive": 0, "objects": 0},
        )

    def _content_stored(self, entry: Entry, event: ContentStored, _: Derived | None) -> None:
        self._connection.execute(
            insert(t.blobs),
            {
                "id": entry.seq,
                "domain": event.domain,
                "content_address": str(event.blake3),
                "size": event.size,
                "state": PRESENT,
                "created_at": entry.time,
            },
        )
        self._connection.execute(
            _INSERT_DIGESTS,
            [_digest_row(event.domain, digest, entry.seq) for digest in (event.blake3, event.sha256)],
        )
        self._connection.execute(
            insert(t.storage_locations),
            {
                "blob_id": entry.seq,
                "location": event.location,
                "retrieval_tier": RetrievalTier.HOT.value,
                "restore_status": None,
            },
        )
        self._count_store(physical=event.size, objects=1)

    def _content_named(self, _entry: Entry, event: ContentNamed, _: Derived | None) -> None:
        blob = self._blob(event.domain, event.blake3)
        self._connection.execute(_INSERT_DIGESTS, _digest_row(event.domain, event.digest, blob.id))

    def _content_missing(self, _entry: Entry, event: ContentMissing, _: Derived | None) -> None:
        self._set_state(self._blob(event.domain, event.blake3).id, MISSING)

    def _content_healed(self, _entry: Entry, event: ContentHealed, _: Derived | None) -> None:
        blob_id = self._blob(event.domain, event.blake3).id
        self._set_state(blob_id, PRESENT if self._is_at_hand(blob_id) else AWAY)

    def _content_removed(self, _entry: Entry, event: ContentRemoved, _: Derived | None) -> None:
        blob = self._blob(event.domain, event.blake3)
        for table in (t.storage_locations, t.blob_digests):
            self._connection.execute(delete(table).where(table.c.blob_id == blob.id))
        self._connection.execute(delete(t.blobs).where(t.blobs.c.id == blob.id))
        self._count_store(physical=-blob.size, objects=-1)
        del self._blobs[(event.domain, event.blake3)]  # the same bytes may come again, as a new row

    def _location_changed(self, _entry: Entry, event: LocationChanged, _: Derived | None) -> None:
        blob_id = self._blob(event.domain, event.blake3).id
        self._connection.execute(
            update(t.storage_locations)
            .where(t.storage_locations.c.blob_id == blob_id, t.storage_locations.c.location == event.location)
            .values(retrieval_tier=event.retrieval_tier, restore_status=event.restore_status)
        )
        if self._connection.scalar(select(t.blobs.c.state).where(t.blobs.c.id == blob_id)) != MISSING:
            self._set_state(blob_id, PRESENT if self._is_at_hand(blob_id) else AWAY)

    def _set_state(self, blob_id: int, state: str) -> None:
        self._connection.execute(update(t.blobs).where(t.blobs.c.id == blob_id).values(state=state))

    def _is_at_hand(self, blob_id: int) -> bool:
        places = self._connection.execute(
            select(t.storage_locations.c.retrieval_tier, t.storage_locations.c.restore_status).where(
                t.storage_locations.c.blob_id == blob_id
            )
        )
        at_once = {RetrievalTier.HOT.value, RetrievalTier.WARM.value}
        return any(tier in at_once or restore == RestoreStatus.AVAILABLE.value for tier, restore in places)

    # --- what a repository has -------------------------------------------------------------------------

    def _blob_linked(self, _entry: Entry, event: BlobLinked, _: Derived | None) -> None:
        repository = self._repository(event.repository)
        self._link(repository, self._blob(repository.domain, event.blake3), as_blob=True)

    def _blob_unlinked(self, _entry: Entry, event: BlobUnlinked, _: Derived | None) -> None:
        repository = self._repository(event.repository)
        self._unlink(repository, self._blob(repository.domain, event.blake3), as_blob=True)

    def _manifest_stored(self, entry: Entry, event: ManifestStored, derived: Derived | None) -> None:
        repository = self._repository(event.repository)
        blob = self._blob(repository.domain, event.blake3)
        row = {
            "id": entry.seq,
            "repository_id": repository.id,
            "blob_id": blob.id,
            "media_type": event.media_type,
            "digest_algorithm": event.algorithm.value,
            "package_digest": str(event.package) if event.package else None,
            "schema_version": event.schema_version,
            "created_at": entry.time,
        }
        details = derived if isinstance(derived, ManifestDetails) else None
        self._connection.execute(insert(t.manifests), row | _detail_columns(details))
        if details is not None:
            self._write_rows(entry.seq, repository.id, details)
        self._link(repository, blob, as_manifest=True)

    def _manifest_deleted(self, _entry: Entry, event: ManifestDeleted, _: Derived | None) -> None:
        repository = self._repository(event.repository)
        blob = self._blob(repository.domain, event.blake3)
        manifest_id = self._manifest(repository, blob)
        for table in (t.manifest_edges, t.manifest_fields):
            self._connection.execute(delete(table).where(table.c.manifest_id == manifest_id))
        self._connection.execute(delete(t.manifests).where(t.manifests.c.id == manifest_id))
        self._unlink(repository, blob, as_manifest=True)

    def _tag_set(self, entry: Entry, event: TagSet, _: Derived | None) -> None:
        repository = self._repository(event.repository)
        manifest_id = self._manifest(repository, self._blob(repository.domain, event.blake3))
        values = {
            "manifest_id": manifest_id,
            "digest_algorithm": event.algorithm.value,
            "updated_at": entry.time,
        }
        key = {"repository_id": repository.id, "name": event.tag}
        moved = self._connection.execute(update(t.tags).where(_tag_is(repository, event.tag)).values(values))
        if moved.rowcount == 0:
            self._connection.execute(insert(t.tags), key | values)

    def _tag_deleted(self, _entry: Entry, event: TagDeleted, _: Derived | None) -> None:
        self._connection.execute(delete(t.tags).where(_tag_is(self._repository(event.repository), event.tag)))

    # --- schemas ---------------------------------------------------------------------------------------

    def _schema_registered(self, entry: Entry, event: SchemaRegistered, derived: Derived | None) -> None:
        self._retire_schema(event.variant)
        self._connection.execute(
            insert(t.metadata_schemas),
            {
                "variant": event.variant,
                "version": event.version,
                "content_address": str(event.blake3),
                "current": True,
                "created_at": entry.time,
                "document": derived.text if isinstance(derived, SchemaDocument) else None,
            },
        )

    def _schema_removed(self, _entry: Entry, event: SchemaRemoved, _: Derived | None) -> None:
        self._retire_schema(event.variant)

    def _retire_schema(self, variant: str) -> None:
        self._connection.execute(
            update(t.metadata_schemas).where(t.metadata_schemas.c.variant == variant).values(current=False)
        )

    # --- rows from bytes, for a replay -----------------------------------------------------------------

    def write_details(self, manifest_id: int, repository_id: int, details: ManifestDetails) -> None:
        """Complete a manifest's row after a replay."""
        self._connection.execute(
            update(t.manifests).where(t.manifests.c.id == manifest_id).values(_detail_columns(details))
        )
        self._write_rows(manifest_id, repository_id, details)

    def write_schema(self, variant: str, version: int, document: SchemaDocument) -> None:
        """Complete a schema's row after a replay."""
        self._connection.execute(
            update(t.metadata_schemas)
            .where(t.metadata_schemas.c.variant == variant, t.metadata_schemas.c.version == version)
            .values(document=document.text)
        )

    def _write_rows(self, manifest_id: int, repository_id: int, details: ManifestDetails) -> None:
        edges = [
            {
                "manifest_id": manifest_id,
                "position": position,
                "repository_id": repository_id,
                "kind": edge.kind.value,
                "digest": str(edge.digest),
                "digest_algorithm": edge.digest.algorithm.value,
                "size": edge.size,
                "media_type": edge.media_type,
                "relative_path": edge.relative_path,
            }
            for position, edge in enumerate(details.edges)
        ]
        if edges:
            self._connection.execute(_INSERT_EDGES, edges)
        fields = [
            {"path": path, "value": value, "manifest_id": manifest_id} for path, value in details.fields
        ]
        if fields:
            self._connection.execute(_INSERT_FIELDS, fields)

    # --- links and counters ----------------------------------------------------------------------------

    def _link(
        self, repository: _Repository, blob: _Blob, *, as_blob: bool = False, as_manifest: bool = False
    ) -> None:
        present = self._connection.execute(
            _LINK, {"repository_id": repository.id, "blob_id": blob.id}
        ).first()
        if present is not None:
            self._set_link(repository, blob, present.as_blob or as_blob, present.as_manifest or as_manifest)
            return
        holders = self._holders(blob)
        self._connection.execute(
            insert(t.repository_blobs),
            {
                "repository_id": repository.id,
                "blob_id": blob.id,
                "as_blob": as_blob,
                "as_manifest": as_manifest,
            },
        )
        self._count(repository.id, logical=blob.size, exclusive=0 if holders else blob.size, objects=1)
        if len(holders) == 1:
            self._count(holders[0], exclusive=-blob.size)

    def _unlink(
        self, repository: _Repository, blob: _Blob, *, as_blob: bool = False, as_manifest: bool = False
    ) -> None:
        present = self._connection.execute(_LINK, {"repository_id": repository.id, "blob_id": blob.id}).one()
        stays_blob, stays_manifest = present.as_blob and not as_blob, present.as_manifest and not as_manifest
        if stays_blob or stays_manifest:
            self._set_link(repository, blob, stays_blob, stays_manifest)
            return
        self._connection.execute(delete(t.repository_blobs).where(_link_is(repository, blob)))
        holders = self._holders(blob)
        self._count(repository.id, logical=-blob.size, exclusive=0 if holders else -blob.size, objects=-1)
        if len(holders) == 1:
            self._count(holders[0], exclusive=blob.size)

    def _set_link(self, repository: _Repository, blob: _Blob, as_blob: bool, as_manifest: bool) -> None:
        self._connection.execute(
            update(t.repository_blobs)
            .where(_link_is(repository, blob))
            .values(as_blob=as_blob, as_manifest=as_manifest)
        )

    def _holders(self, blob: _Blob) -> list[int]:
        return list(self._connection.scalars(_HOLDERS, {"blob_id": blob.id}))

    def _count(self, repository_id: int, *, logical: int = 0, exclusive: int = 0, objects: int = 0) -> None:
        usage = t.repository_usage
        self._connection.execute(
            update(usage)
            .where(usage.c.repository_id == repository_id)
            .values(
                logical=usage.c.logical + logical,
                exclusive=usage.c.exclusive + exclusive,
                objects=usage.c.objects + objects,
            )
        )
        if logical:
            self._count_store(logical=logical)

    def _count_store(self, *, logical: int = 0, physical: int = 0, objects: int = 0) -> None:
        usage = t.store_usage
        self._connection.execute(
            update(usage).values(
                logical=usage.c.logical + logical,
                physical=usage.c.physical + physical,
                objects=usage.c.objects + objects,
            )
        )

    # --- look-ups --------------------------------------------------------------------------------------

    def _repository(self, name: str) -> _Repository:
        found = self._repositories.get(name)
        if found is None:
            row = self._connection.execute(_REPOSITORY, {"name": name}).one()
            found = self._repositories[name] = _Repository(row.id, DomainId(row.domain))
        return found

    def _blob(self, domain: DomainId, address: Digest) -> _Blob:
        found = self._blobs.get((domain, address))
        if found is None:
            row = self._connection.execute(_BLOB, {"domain": domain, "address": str(address)}).one()
            found = self._blobs[(domain, address)] = _Blob(row.id, row.size)
        return found

    def _manifest(self, repository: _Repository, blob: _Blob) -> int:
        key = {"repository_id": repository.id, "blob_id": blob.id}
        return int(self._connection.execute(_MANIFEST, key).scalar_one())


_HANDLERS: dict[type, Callable[[Projection, Entry, Any, Derived | None], None]] = {
    RepositoryCreated: Projection._repository_created,
    ContentStored: Projection._content_stored,
    ContentNamed: Projection._content_named,
    ContentMissing: Projection._content_missing,
    ContentHealed: Projection._content_healed,
    ContentRemoved: Projection._content_removed,
    LocationChanged: Projection._location_changed,
    BlobLinked: Projection._blob_linked,
    BlobUnlinked: Projection._blob_unlinked,
    ManifestStored: Projection._manifest_stored,
    ManifestDeleted: Projection._manifest_deleted,
    TagSet: Projection._tag_set,
    TagDeleted: Projection._tag_deleted,
    SchemaRegistered: Projection._schema_registered,
    SchemaRemoved: Projection._schema_removed,
}


def _digest_row(domain: DomainId, digest: Digest, blob_id: int) -> dict[str, object]:
    return {
        "domain": domain,
        "digest": str(digest),
        "digest_algorithm": digest.algorithm.value,
        "blob_id": blob_id,
    }


def _detail_columns(details: ManifestDetails | None) -> dict[str, str | None]:
    if details is None:
        return {"artifact_type": None, "subject_digest": None, "annotations": None, "variant": None}
    return {
        "artifact_type": details.artifact_type,
        "subject_digest": str(details.subject) if details.subject else None,
        "annotations": details.annotations,
        "variant": details.variant,
    }


def _tag_is(repository: _Repository, tag: str) -> ColumnElement[bool]:
    return and_(t.tags.c.repository_id == repository.id, t.tags.c.name == tag)


def _link_is(repository: _Repository, blob: _Blob) -> ColumnElement[bool]:
    return and_(t.repository_blobs.c.repository_id == repository.id, t.repository_blobs.c.blob_id == blob.id)
