"""The steps of a rebuild on one connection: drop the views, replay the ledger, fill in what bytes say.

All of it is one transaction. The views that are being built are seen by nobody until it commits, and a crash
leaves the old ones: the transaction is the swap.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Table, insert, select

from registry.contract.dataplane import DomainId
from registry.contract.digest import Digest
from registry.contract.events import decode_entry
from registry.control.details import ManifestDetails
from registry.control.sql import lookups
from registry.control.sql import tables as t
from registry.control.sql.changes import Changes
from registry.control.sql.lookups import ERASED, MISSING
from registry.control.sql.projection import Projection, SchemaDocument
from registry.control.sql.statements import rows
from registry.control.sql.usage_deltas import UsageDeltas


@dataclass(frozen=True, slots=True)
class LiveManifest:
    """A manifest that is alive at the head and waits for what its bytes say."""

    id: int
    repository_id: int
    domain: DomainId
    address: Digest
    size: int
    media_type: str
    package_digest: Digest | None
    missing: bool


@dataclass(frozen=True, slots=True)
class LiveSchema:
    """A schema whose document is read from its bytes."""

    variant: str
    version: int
    address: Digest


def drop_views(connection: Connection) -> None:
    """Empty views, of the present schema."""
    t.views.drop_all(connection)
    t.views.create_all(connection)
    connection.execute(insert(t.store_usage), {"id": 1, "logical": 0, "physical": 0, "objects": 0})


def replay(connection: Connection, after: int, limit: int) -> int:
    """Project up to `limit` entries after `after`; returns the last one done, `after` at the head."""
    found = envelopes(connection, after, limit)
    return project(connection, found) if found else after


def envelopes(connection: Connection, after: int, limit: int) -> list[bytes]:
    """The entries after `after`, in order."""
    return [bytes(row[0]) for row in rows(connection, lookups.EVENTS_PAGE, after=after, limit=limit)]


def project(connection: Connection, entries: Sequence[bytes]) -> int:
    """Apply at least one entry to the views; returns the place of the last."""
    usage = UsageDeltas()
    changes = Changes(connection)
    projection = Projection(connection, usage, changes)
    for envelope in entries:
        entry = decode_entry(envelope)
        projection.apply(entry)
    usage.write(changes)
    changes.send()
    return entry.seq


def head_and_fingerprints(connection: Connection) -> tuple[int, dict[str, str]]:
    """The last entry and the views as it left them, on one snapshot."""
    return int(connection.scalar(select(t.ledger_head.c.seq)) or 0), fingerprints(connection)


def live_manifests(connection: Connection, after: int, limit: int) -> list[LiveManifest]:
    """Manifests with an id after `after`, in order. Of erased ones nothing is read, and nothing is kept."""
    found = connection.execute(
        select(
            t.manifests.c.id,
            t.manifests.c.repository_id,
            t.blobs.c.domain,
            t.blobs.c.content_address,
            t.blobs.c.size,
            t.manifests.c.media_type,
            t.manifests.c.package_digest,
            t.blobs.c.state,
        )
        .join(t.blobs, t.blobs.c.id == t.manifests.c.blob_id)
        .where(t.manifests.c.id > after, t.blobs.c.state != ERASED)
        .order_by(t.manifests.c.id)
        .limit(limit)
    )
    return [
        LiveManifest(
            row.id,
            row.repository_id,
            DomainId(row.domain),
            Digest.parse(row.content_address),
            row.size,
            row.media_type,
            Digest.parse(row.package_digest) if row.package_digest else None,
            row.state == MISSING,
        )
        for row in found
    ]


def live_schemas(connection: Connection) -> list[LiveSchema]:
    """Every version of a schema whose document is not there yet."""
    columns = t.metadata_schemas.c
    found = connection.execute(
        select(columns.variant, columns.version, columns.content_address).where(columns.document.is_(None))
    )
    return [LiveSchema(row.variant, row.version, Digest.parse(row.content_address)) for row in found]


def write_details(connection: Connection, manifest: LiveManifest, details: ManifestDetails) -> None:
    """Complete a manifest's row."""
    _projection(connection).write_details(manifest.id, manifest.repository_id, details)


def write_schema(connection: Connection, schema: LiveSchema, text: str) -> None:
    """Complete a schema's row."""
    _projection(connection).write_schema(schema.variant, schema.version, SchemaDocument(text))


def _projection(connection: Connection) -> Projection:
    return Projection(connection, UsageDeltas(), Changes(connection))


#: Views with columns or rows that are read from bytes: without the bytes they cannot be compared.
FROM_BYTES = frozenset({"manifests", "manifest_edges", "manifest_fields", "metadata_schemas"})


def fingerprints(connection: Connection) -> dict[str, str]:
    """A SHA-256 over the rows of each view, in the order of their primary keys: equal views, equal sums."""
    return {name: _fingerprint(connection, t.views.tables[name]) for name in sorted(t.views.tables)}


def ledger_fingerprint(connection: Connection, after: int, until: int) -> str:
    """A SHA-256 over the entries after `after` and up to `until`, with all that is written down of each."""
    return _fingerprint(connection, t.events, t.events.c.seq > after, t.events.c.seq <= until)


def _fingerprint(connection: Connection, table: Table, *only: ColumnElement[bool]) -> str:
    sums = hashlib.sha256()
    for row in _rows(connection, table, *only):
        sums.update(repr(row).encode())
    return f"{len(table.columns)}:{sums.hexdigest()}"


def _rows(connection: Connection, table: Table, *only: ColumnElement[bool]) -> Iterator[tuple[object, ...]]:
    statement = select(table).where(*only).order_by(*table.primary_key.columns)
    for row in connection.execute(statement.execution_options(yield_per=1000)):
        yield tuple(row)
