"""Tiers: what locations hold, restores and their end, when content was read, bytes that leave a place."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """The new counters begin with what the rows say that they count."""
    restoring = sa.text("restore_status IS NOT NULL")
    op.add_column("storage_locations", sa.Column("restored_until", sa.BigInteger()))
    op.create_index(
        "storage_locations_restoring",
        "storage_locations",
        ["blob_id", "location"],
        sqlite_where=restoring,
        postgresql_where=restoring,
    )
    native = sa.text("package_digest IS NOT NULL")
    op.create_index(
        "manifests_by_package", "manifests", ["package_digest"], sqlite_where=native, postgresql_where=native
    )
    op.create_table(
        "location_usage",
        sa.Column("location", KEY, primary_key=True),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
    )
    op.execute(
        "INSERT INTO location_usage (location, bytes, objects) "
        "SELECT l.location, SUM(b.size), COUNT(*) "
        "FROM storage_locations l JOIN blobs b ON b.id = l.blob_id GROUP BY l.location"
    )
    op.create_table(
        "content_reads",
        sa.Column("blob_id", ID, primary_key=True, autoincrement=False),
        sa.Column("read_at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "releases",
        sa.Column("domain", KEY, primary_key=True),
        sa.Column("content_address", KEY, primary_key=True),
        sa.Column("location", KEY, primary_key=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("releases_by_due", "releases", ["state", "due_at"])
    if op.get_bind().dialect.name == "postgresql":
        # However common some digests are, one of them is to be sought by its index.
        op.execute("ALTER TABLE manifest_edges ALTER COLUMN digest SET (n_distinct = -0.2)")
        op.execute("ALTER TABLE manifests ALTER COLUMN subject_digest SET (n_distinct = -0.2)")
