"""What the views know that bytes say, for a store whose bytes have been lost."""

from __future__ import annotations

from sqlalchemy import Connection, select

from registry.contract.digest import Digest
from registry.contract.manifest import EdgeKind
from registry.control.details import EdgeDetails, ManifestDetails
from registry.control.sql import tables as t


def of_manifest(connection: Connection, manifest_id: int) -> ManifestDetails | None:
    """What the views have of a manifest that its bytes say; None where there is no such manifest."""
    row = connection.execute(select(t.manifests).where(t.manifests.c.id == manifest_id)).first()
    if row is None:
        return None
    edges = connection.execute(
        select(t.manifest_edges)
        .where(t.manifest_edges.c.manifest_id == manifest_id)
        .order_by(t.manifest_edges.c.position)
    )
    fields = connection.execute(
        select(t.manifest_fields.c.path, t.manifest_fields.c.value).where(
            t.manifest_fields.c.manifest_id == manifest_id
        )
    )
    return ManifestDetails(
        artifact_type=row.artifact_type,
        subject=Digest.parse(row.subject_digest) if row.subject_digest else None,
        annotations=row.annotations,
        variant=row.variant,
        edges=tuple(
            EdgeDetails(
                EdgeKind(edge.kind), Digest.parse(edge.digest), edge.size, edge.media_type, edge.relative_path
            )
            for edge in edges
        ),
        fields=tuple((path, value) for path, value in fields),
    )


def of_schema(connection: Connection, variant: str, version: int) -> str | None:
    """The document of a schema as the views have it."""
    columns = t.metadata_schemas.c
    found: str | None = connection.scalar(
        select(columns.document).where(columns.variant == variant, columns.version == version)
    )
    return found
