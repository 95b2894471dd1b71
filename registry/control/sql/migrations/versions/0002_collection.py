"""Collection and scrub: bytes on their way out, ages of verification, progress of long work."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Operational tables, and the indexes by which a collection asks who holds content."""
    missing = sa.text("state = 'missing'")
    op.create_index("blobs_missing", "blobs", ["id"], sqlite_where=missing, postgresql_where=missing)
    # Stores made by a later 0001 have this one.
    op.create_index("draft_files_by_content", "draft_files", ["content_address"], if_not_exists=True)
    op.create_index("metadata_schemas_by_content", "metadata_schemas", ["content_address"])
    op.create_table(
        "removals",
        sa.Column("domain", KEY, primary_key=True),
        sa.Column("content_address", KEY, primary_key=True),
        sa.Column("sha256", KEY),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("removals_by_due", "removals", ["state", "due_at"])
    op.create_index("removals_by_sha256", "removals", ["sha256"])
    op.create_table(
        "untagged_manifests",
        sa.Column("manifest_id", ID, primary_key=True, autoincrement=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "verifications",
        sa.Column("blob_id", ID, primary_key=True, autoincrement=False),
        sa.Column("verified_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("verifications_by_age", "verifications", ["verified_at"])
    op.create_table(
        "work_progress",
        sa.Column("work", KEY, primary_key=True),
        sa.Column("state", sa.Text(), nullable=False),
    )
