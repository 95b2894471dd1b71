"""From an event to the rows of the views. The live store and a replay run the same code, so they agree.

Nothing is validated here and no clock is read: events are outcomes. Rows that come from bytes (a manifest's
edges, say) are given as `Derived` by the live store, and by `rebuild` once it has replayed the ledger, for
what is alive at its head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from registry.contract.dataplane import DEFAULT_DOMAIN, DomainId, RestoreStatus, RetrievalTier
from registry.contract.digest import Digest
from registry.contract.events import (
    BlobLinked,
    BlobUnlinked,
    ContentHealed,
    ContentMissing,
    ContentNamed,
    ContentRemoved,
    ContentStored,
    DomainErased,
    Entry,
    LocationChanged,
    LocationReleased,
    ManifestDeleted,
    ManifestStored,
    RepositoryCreated,
    SchemaRegistered,
    SchemaRemoved,
    TagDeleted,
    TagSet,
)
from registry.control.details import ManifestDetails
from registry.control.sql import lookups
from registry.control.sql import tables as t
from registry.control.sql.changes import Changes
from registry.control.sql.lookups import AT_HAND, AWAY, GONE, MISSING, PRESENT, BlobRow, RepositoryRow
from registry.control.sql.statements import first, insert_into, rows, run
from registry.control.sql.usage_deltas import UsageDeltas


@dataclass(frozen=True, slots=True)
class SchemaDocument:
    """A schema's JSON text."""

    text: str


Derived = ManifestDetails | SchemaDocument


_INSERT_REPOSITORY = insert_into(t.repositories)
_INSERT_BLOB = insert_into(t.blobs)
_INSERT_DIGEST = insert_into(t.blob_digests)
_INSERT_LOCATION = insert_into(t.storage_locations)
_INSERT_MANIFEST = insert_into(t.manifests)
_INSERT_SCHEMA = insert_into(t.metadata_schemas)
_INSERT_LINK = insert_into(t.repository_blobs)
_INSERT_USAGE = insert_into(t.repository_usage)

_DELETE_CONTENT = (
    "DELETE FROM storage_locations WHERE blob_id = :id",
    "DELETE FROM blob_digests WHERE blob_id = :id",
    "DELETE FROM blobs WHERE id = :id",
)
#: What the views have taken from bytes of a domain. Its tags, manifests and blobs stay, to answer as erased.
_OF_DOMAIN = "repository_id IN (SELECT id FROM repositories WHERE domain = :domain)"
_ERASE_DOMAIN = (
    "UPDATE blobs SET state = 'erased' WHERE domain = :domain",
    f"DELETE FROM manifest_fields WHERE manifest_id IN (SELECT id FROM manifests WHERE {_OF_DOMAIN})",
    f"DELETE FROM manifest_edges WHERE {_OF_DOMAIN}",
    "UPDATE manifests SET artifact_type = NULL, subject_digest = NULL, annotations = NULL, variant = NULL "
    f"WHERE {_OF_DOMAIN}",
)
#: Schemas are content of the default domain.
_ERASE_SCHEMAS = "DELETE FROM metadata_schemas"
_SET_STATE = "UPDATE blobs SET state = :state WHERE id = :id"
_STATE = "SELECT state FROM blobs WHERE id = :id"
_PLACES = "SELECT location, retrieval_tier, restore_status FROM storage_locations WHERE blob_id = :blob_id"
_SET_PLACE = """
UPDATE storage_locations
SET retrieval_tier = :retrieval_tier, restore_status = :restore_status, restored_until = :restored_until
WHERE blob_id = :blob_id AND location = :location
"""
_DELETE_PLACE = "DELETE FROM storage_locations WHERE blob_id = :blob_id AND location = :location"

_LINK_KEY = "WHERE repository_id = :repository_id AND blob_id = :blob_id"
_LINK = f"SELECT as_blob, as_manifest FROM repository_blobs {_LINK_KEY}"
_SET_LINK = f"UPDATE repository_blobs SET as_blob = :as_blob, as_manifest = :as_manifest {_LINK_KEY}"
_DELETE_LINK = f"DELETE FROM repository_blobs {_LINK_KEY}"
_OTHERS = """
SELECT repository_id FROM repository_blobs
WHERE blob_id = :blob_id AND repository_id <> :repository_id LIMIT 2
"""

_MANIFEST = f"SELECT id FROM manifests {_LINK_KEY}"
_DELETE_DETAILS = (
    "DELETE FROM manifest_edges WHERE manifest_id = :id",
    "DELETE FROM manifest_fields WHERE manifest_id = :id",
)
_DELETE_MANIFEST = (*_DELETE_DETAILS, "DELETE FROM manifests WHERE id = :id")
_SET_DETAILS = """
UPDATE manifests SET artifact_type = :artifact_type, subject_digest = :subject_digest,
    annotations = :annotations, variant = :variant WHERE id = :id
"""

_SET_TAG = f"""
{insert_into(t.tags)} ON CONFLICT (repository_id, name) DO UPDATE SET
    manifest_id = excluded.manifest_id, digest_algorithm = excluded.digest_algorithm,
    updated_at = excluded.updated_at
"""
_DELETE_TAG = "DELETE FROM tags WHERE repository_id = :repository_id AND name = :name"

_RETIRE_SCHEMA = "UPDATE metadata_schemas SET current = :current WHERE variant = :variant"
_SET_DOCUMENT = (
    "UPDATE metadata_schemas SET document = :document WHERE variant = :variant AND version = :version"
)


class Projection:
    """Applies events to the views through one connection, in the ledger's order.

    Usage counters change with nearly every event and nobody reads them in between, so they are gathered in
    `usage` and written by whoever ends the transaction. What the projection has looked up or made it
    remembers, for itself and for the mutation that emits the events. Rows that an event makes or takes go to
    `changes`, and are there when `apply` returns; what a step reads again it writes directly.
    """

    def __init__(self, connection: Connection, usage: UsageDeltas, changes: Changes) -> None:
        self._connection = connection
        self._usage = usage
        self._changes = changes
        self._repositories: dict[str, RepositoryRow] = {}
        self._blobs: dict[tuple[DomainId, Digest], BlobRow | None] = {}
        self._manifests: dict[tuple[int, int], int] = {}
        self._links: dict[tuple[int, int], tuple[bool, bool] | None] = {}
        #: Ids of what this projection has made: no older row can refer to it.
        self._made: set[int] = set()
        #: Repositories that have what this projection has made.
        self._holders: dict[int, set[int]] = {}

    def apply(self, entry: Entry, derived: Derived | None = None) -> None:
        """Change the views as `entry` says."""
        handler = _HANDLERS[type(entry.event)]
        handler(self, entry, entry.event, derived)
        self._changes.send()

    # --- look-ups --------------------------------------------------------------------------------------

    def find_repository(self, name: str) -> RepositoryRow | None:
        """The repository of that name."""
        found = self._repositories.get(name)
        if found is None:
            found = lookups.find_repository(self._connection, name)
            if found is not None:
                self._repositories[name] = found
        return found

    def find_blob(self, domain: DomainId, address: Digest) -> BlobRow | None:
        """The content with that address."""
        key = (domain, address)
        if key not in self._blobs:
            self._blobs[key] = lookups.find_blob(self._connection, domain, address)
        return self._blobs[key]

    def find_link(self, repository: RepositoryRow, blob: BlobRow) -> tuple[bool, bool] | None:
        """Whether the repository has the content (as a blob, as a manifest); None when not at all."""
        key = (repository.id, blob.id)
        if key not in self._links and not self._made.intersection(key):
            row = first(self._connection, _LINK, repository_id=repository.id, blob_id=blob.id)
            self._links[key] = (bool(row[0]), bool(row[1])) if row else None
        return self._links.get(key)

    def find_manifest(self, repository: RepositoryRow, blob: BlobRow) -> int | None:
        """The id of the repository's manifest with that content."""
        key = (repository.id, blob.id)
        found = self._manifests.get(key)
        if found is None and not self._made.intersection(key):
            row = first(self._connection, _MANIFEST, repository_id=repository.id, blob_id=blob.id)
            if row is not None:
                found = self._manifests[key] = int(row[0])
        return found

    # --- repositories and content ----------------------------------------------------------------------

    def _repository_created(self, entry: Entry, event: RepositoryCreated, _: Derived | None) -> None:
        self._changes.run(
            _INSERT_REPOSITORY,
            id=entry.seq,
            name=event.repository,
            domain=event.domain,
            created_at=entry.time,
        )
        self._changes.run(_INSERT_USAGE, repository_id=entry.seq, logical=0, exclusive=0, objects=0)
        self._repositories[event.repository] = RepositoryRow(entry.seq, event.repository, event.domain)
        self._made.add(entry.seq)

    def _content_stored(self, entry: Entry, event: ContentStored, _: Derived | None) -> None:
        self._changes.run(
            _INSERT_BLOB,
            id=entry.seq,
            domain=event.domain,
            content_address=str(event.blake3),
            size=event.size,
            state=PRESENT,
            created_at=entry.time,
        )
        for digest in (event.blake3, event.sha256):
            self._name(event.domain, digest, entry.seq)
        self._add_place(entry.seq, event.size, event.location, RetrievalTier.HOT.value, None, None)
        self._usage.add_content(event.size)
        blob = BlobRow(entry.seq, event.domain, event.blake3, event.size, PRESENT, entry.time)
        self._blobs[(event.domain, event.blake3)] = blob
        self._made.add(entry.seq)

    def _content_named(self, _entry: Entry, event: ContentNamed, _: Derived | None) -> None:
        self._name(event.domain, event.digest, self._blob(event.domain, event.blake3).id)

    def _name(self, domain: DomainId, digest: Digest, blob_id: int) -> None:
        self._changes.run(
            _INSERT_DIGEST,
            domain=domain,
            digest=str(digest),
            digest_algorithm=digest.algorithm.value,
            blob_id=blob_id,
        )

    def _content_missing(self, _entry: Entry, event: ContentMissing, _: Derived | None) -> None:
        self._set_state(self._blob(event.domain, event.blake3), MISSING)

    def _content_healed(self, _entry: Entry, event: ContentHealed, _: Derived | None) -> None:
        blob = self._blob(event.domain, event.blake3)
        self._set_state(blob, PRESENT if self._is_at_hand(blob.id) else AWAY)

    def _content_removed(self, _entry: Entry, event: ContentRemoved, _: Derived | None) -> None:
        blob = self._blob(event.domain, event.blake3)
        for row in rows(self._connection, _PLACES, blob_id=blob.id):
            self._usage.remove_place(row[0], blob.size)
        for statement in _DELETE_CONTENT:
            run(self._connection, statement, id=blob.id)
        self._usage.remove_content(blob.size)
        del self._blobs[(event.domain, event.blake3)]  # the same bytes may come again, as a new row

    def _domain_erased(self, _entry: Entry, event: DomainErased, _: Derived | None) -> None:
        for statement in _ERASE_DOMAIN:
            run(self._connection, statement, domain=event.domain)
        if event.domain == DEFAULT_DOMAIN:
            run(self._connection, _ERASE_SCHEMAS)
        self._blobs = {key: blob for key, blob in self._blobs.items() if key[0] != event.domain}

    def _location_changed(self, _entry: Entry, event: LocationChanged, _: Derived | None) -> None:
        blob = self._blob(event.domain, event.blake3)
        known = run(
            self._connection,
            _SET_PLACE,
            blob_id=blob.id,
            location=event.location,
            retrieval_tier=event.retrieval_tier,
            restore_status=event.restore_status,
            restored_until=event.until,
        )
        if not known:
            status, until = event.restore_status, event.until
            self._add_place(blob.id, blob.size, event.location, event.retrieval_tier, status, until)
        self._weigh(blob)

    def _location_released(self, _entry: Entry, event: LocationReleased, _: Derived | None) -> None:
        blob = self._blob(event.domain, event.blake3)
        if run(self._connection, _DELETE_PLACE, blob_id=blob.id, location=event.location):
            self._usage.remove_place(event.location, blob.size)
        self._weigh(blob)

    def _add_place(
        self, blob_id: int, size: int, location: str, tier: str, status: str | None, until: int | None
    ) -> None:
        self._changes.run(
            _INSERT_LOCATION,
            blob_id=blob_id,
            location=location,
            retrieval_tier=tier,
            restore_status=status,
            restored_until=until,
        )
        self._usage.add_place(location, size)

    def _weigh(self, blob: BlobRow) -> None:
        """Say whether the content is at hand, now that something about its places has changed."""
        self._changes.send()
        if blob.state not in GONE:
            self._set_state(blob, PRESENT if self._is_at_hand(blob.id) else AWAY)

    def _set_state(self, blob: BlobRow, state: str) -> None:
        run(self._connection, _SET_STATE, id=blob.id, state=state)
        self._blobs[(blob.domain, blob.address)] = replace(blob, state=state)

    def _is_at_hand(self, blob_id: int) -> bool:
        return any(
            tier in AT_HAND or restore == RestoreStatus.AVAILABLE.value
            for _, tier, restore in rows(self._connection, _PLACES, blob_id=blob_id)
        )

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
        details = derived if isinstance(derived, ManifestDetails) else None
        self._changes.run(
            _INSERT_MANIFEST,
            id=entry.seq,
            repository_id=repository.id,
            blob_id=blob.id,
            media_type=event.media_type,
            digest_algorithm=event.algorithm.value,
            package_digest=str(event.package) if event.package else None,
            schema_version=event.schema_version,
            created_at=entry.time,
            **_detail_columns(details),
        )
        self._manifests[(repository.id, blob.id)] = entry.seq
        if details is not None:
            self._write_rows(entry.seq, repository.id, details)
        self._link(repository, blob, as_manifest=True)

    def _manifest_deleted(self, _entry: Entry, event: ManifestDeleted, _: Derived | None) -> None:
        repository = self._repository(event.repository)
        blob = self._blob(repository.domain, event.blake3)
        manifest_id = self._manifest(repository, blob)
        for statement in _DELETE_MANIFEST:
            self._changes.run(statement, id=manifest_id)
        del self._manifests[(repository.id, blob.id)]
        self._unlink(repository, blob, as_manifest=True)

    def _tag_set(self, entry: Entry, event: TagSet, _: Derived | None) -> None:
        repository = self._repository(event.repository)
        self._changes.run(
            _SET_TAG,
            repository_id=repository.id,
            name=event.tag,
            manifest_id=self._manifest(repository, self._blob(repository.domain, event.blake3)),
            digest_algorithm=event.algorithm.value,
            updated_at=entry.time,
        )

    def _tag_deleted(self, _entry: Entry, event: TagDeleted, _: Derived | None) -> None:
        repository = self._repository(event.repository)
        self._changes.run(_DELETE_TAG, repository_id=repository.id, name=event.tag)

    # --- schemas ---------------------------------------------------------------------------------------

    def _schema_registered(self, entry: Entry, event: SchemaRegistered, derived: Derived | None) -> None:
        run(self._connection, _RETIRE_SCHEMA, variant=event.variant, current=False)
        self._changes.run(
            _INSERT_SCHEMA,
            variant=event.variant,
            version=event.version,
            content_address=str(event.blake3),
            current=True,
            created_at=entry.time,
            document=derived.text if isinstance(derived, SchemaDocument) else None,
        )

    def _schema_removed(self, _entry: Entry, event: SchemaRemoved, _: Derived | None) -> None:
        run(self._connection, _RETIRE_SCHEMA, variant=event.variant, current=False)

    # --- rows from bytes, for a replay -----------------------------------------------------------------

    def write_details(self, manifest_id: int, repository_id: int, details: ManifestDetails) -> None:
        """Complete a manifest's row after a replay."""
        self._changes.run(_SET_DETAILS, id=manifest_id, **_detail_columns(details))
        self._write_rows(manifest_id, repository_id, details)
        self._changes.send()

    def restore_details(self, repository: RepositoryRow, blob: BlobRow, details: ManifestDetails) -> None:
        """Write the rows of a manifest that may lack them."""
        manifest_id = self._manifest(repository, blob)
        for statement in _DELETE_DETAILS:
            run(self._connection, statement, id=manifest_id)
        self.write_details(manifest_id, repository.id, details)

    def write_schema(self, variant: str, version: int, document: SchemaDocument) -> None:
        """Complete a schema's row after a replay."""
        run(self._connection, _SET_DOCUMENT, variant=variant, version=version, document=document.text)

    def _write_rows(self, manifest_id: int, repository_id: int, details: ManifestDetails) -> None:
        self._changes.insert(
            t.manifest_edges,
            [
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
            ],
        )
        self._changes.insert(
            t.manifest_fields,
            [{"path": path, "value": value, "manifest_id": manifest_id} for path, value in details.fields],
        )

    # --- links and counters ----------------------------------------------------------------------------

    def _link(
        self, repository: RepositoryRow, blob: BlobRow, *, as_blob: bool = False, as_manifest: bool = False
    ) -> None:
        present = self.find_link(repository, blob)
        if present is not None:
            self._set_link(repository, blob, present[0] or as_blob, present[1] or as_manifest)
            return
        self._usage.add_link(repository.id, self._others(repository, blob), blob.size)
        if blob.id in self._made:
            self._holders.setdefault(blob.id, set()).add(repository.id)
        self._changes.run(
            _INSERT_LINK,
            repository_id=repository.id,
            blob_id=blob.id,
            as_blob=as_blob,
            as_manifest=as_manifest,
        )
        self._links[(repository.id, blob.id)] = (as_blob, as_manifest)

    def _unlink(
        self, repository: RepositoryRow, blob: BlobRow, *, as_blob: bool = False, as_manifest: bool = False
    ) -> None:
        present = self.find_link(repository, blob)
        if present is None:
            raise LookupError(f"{repository.name} does not have {blob.address}")
        stays_blob, stays_manifest = present[0] and not as_blob, present[1] and not as_manifest
        if stays_blob or stays_manifest:
            self._set_link(repository, blob, stays_blob, stays_manifest)
            return
        self._changes.run(_DELETE_LINK, repository_id=repository.id, blob_id=blob.id)
        self._links[(repository.id, blob.id)] = None
        self._usage.remove_link(repository.id, self._others(repository, blob), blob.size)
        self._holders.get(blob.id, set()).discard(repository.id)

    def _set_link(self, repository: RepositoryRow, blob: BlobRow, as_blob: bool, as_manifest: bool) -> None:
        self._changes.run(
            _SET_LINK,
            repository_id=repository.id,
            blob_id=blob.id,
            as_blob=as_blob,
            as_manifest=as_manifest,
        )
        self._links[(repository.id, blob.id)] = (as_blob, as_manifest)

    def _others(self, repository: RepositoryRow, blob: BlobRow) -> list[int]:
        """Further repositories that have the content, two of them at most."""
        if blob.id in self._made:
            return [holder for holder in self._holders.get(blob.id, ()) if holder != repository.id][:2]
        found = rows(self._connection, _OTHERS, blob_id=blob.id, repository_id=repository.id)
        return [row[0] for row in found]

    # --- what an event names must be there -------------------------------------------------------------

    def _repository(self, name: str) -> RepositoryRow:
        found = self.find_repository(name)
        if found is None:
            raise LookupError(f"there is no repository {name}")
        return found

    def _blob(self, domain: DomainId, address: Digest) -> BlobRow:
        found = self.find_blob(domain, address)
        if found is None:
            raise LookupError(f"there is no content {address} in {domain}")
        return found

    def _manifest(self, repository: RepositoryRow, blob: BlobRow) -> int:
        found = self.find_manifest(repository, blob)
        if found is None:
            raise LookupError(f"{repository.name} has no manifest {blob.address}")
        return found


_HANDLERS: dict[type, Callable[[Projection, Entry, Any, Derived | None], None]] = {
    RepositoryCreated: Projection._repository_created,
    ContentStored: Projection._content_stored,
    ContentNamed: Projection._content_named,
    ContentMissing: Projection._content_missing,
    ContentHealed: Projection._content_healed,
    ContentRemoved: Projection._content_removed,
    DomainErased: Projection._domain_erased,
    LocationChanged: Projection._location_changed,
    LocationReleased: Projection._location_released,
    BlobLinked: Projection._blob_linked,
    BlobUnlinked: Projection._blob_unlinked,
    ManifestStored: Projection._manifest_stored,
    ManifestDeleted: Projection._manifest_deleted,
    TagSet: Projection._tag_set,
    TagDeleted: Projection._tag_deleted,
    SchemaRegistered: Projection._schema_registered,
    SchemaRemoved: Projection._schema_removed,
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
