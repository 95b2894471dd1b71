"""The first schema: ledger, views and operational tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create every table; the two counters start with their one row."""
    op.create_table(
        "events",
        sa.Column("seq", ID, primary_key=True, autoincrement=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("kind", KEY, nullable=False),
        sa.Column("scope", KEY),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "ledger_head",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "blobs",
        sa.Column("id", ID, primary_key=True, autoincrement=False),
        sa.Column("domain", KEY, nullable=False),
        sa.Column("content_address", KEY, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("domain", "content_address", name="blobs_by_address"),
    )
    op.create_table(
        "blob_digests",
        sa.Column("digest", KEY, primary_key=True),
        sa.Column("domain", KEY, primary_key=True),
        sa.Column("digest_algorithm", KEY, nullable=False),
        sa.Column("blob_id", ID, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("blob_digests_by_blob", "blob_digests", ["blob_id"])
    op.create_table(
        "storage_locations",
        sa.Column("blob_id", ID, primary_key=True, autoincrement=False),
        sa.Column("location", KEY, primary_key=True),
        sa.Column("retrieval_tier", KEY, nullable=False),
        sa.Column("restore_status", KEY),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "repositories",
        sa.Column("id", ID, primary_key=True, autoincrement=False),
        sa.Column("name", KEY, nullable=False, unique=True),
        sa.Column("domain", KEY, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "repository_blobs",
        sa.Column("repository_id", ID, primary_key=True, autoincrement=False),
        sa.Column("blob_id", ID, primary_key=True, autoincrement=False),
        sa.Column("as_blob", sa.Boolean(), nullable=False),
        sa.Column("as_manifest", sa.Boolean(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("repository_blobs_by_blob", "repository_blobs", ["blob_id"])
    op.create_table(
        "manifests",
        sa.Column("id", ID, primary_key=True, autoincrement=False),
        sa.Column("repository_id", ID, nullable=False),
        sa.Column("blob_id", ID, nullable=False),
        sa.Column("media_type", KEY, nullable=False),
        sa.Column("digest_algorithm", KEY, nullable=False),
        sa.Column("package_digest", KEY),
        sa.Column("schema_version", sa.Integer()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("artifact_type", KEY),
        sa.Column("subject_digest", KEY),
        sa.Column("annotations", sa.Text()),
        sa.Column("variant", KEY),
        sa.UniqueConstraint("repository_id", "blob_id", name="manifests_by_blob"),
    )
    op.create_index("manifests_by_repository", "manifests", ["repository_id", "id"])
    op.create_index("manifests_by_subject", "manifests", ["repository_id", "subject_digest", "id"])
    op.create_table(
        "manifest_edges",
        sa.Column("manifest_id", ID, primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("repository_id", ID, nullable=False),
        sa.Column("kind", KEY, nullable=False),
        sa.Column("digest", KEY, nullable=False),
        sa.Column("digest_algorithm", KEY, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", KEY, nullable=False),
        sa.Column("relative_path", KEY),
        sqlite_with_rowid=False,
    )
    op.create_index("manifest_edges_by_digest", "manifest_edges", ["repository_id", "digest"])
    op.create_index("manifest_edges_by_path", "manifest_edges", ["manifest_id", "relative_path"])
    op.create_table(
        "manifest_fields",
        sa.Column("path", KEY, primary_key=True),
        sa.Column("value", KEY, primary_key=True),
        sa.Column("manifest_id", ID, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_index("manifest_fields_by_manifest", "manifest_fields", ["manifest_id"])
    op.create_table(
        "tags",
        sa.Column("repository_id", ID, primary_key=True, autoincrement=False),
        sa.Column("name", KEY, primary_key=True),
        sa.Column("manifest_id", ID, nullable=False),
        sa.Column("digest_algorithm", KEY, nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("tags_by_manifest", "tags", ["manifest_id"])
    op.create_table(
        "metadata_schemas",
        sa.Column("variant", KEY, primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("content_address", KEY, nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text()),
    )
    op.create_table(
        "repository_usage",
        sa.Column("repository_id", ID, primary_key=True, autoincrement=False),
        sa.Column("logical", sa.BigInteger(), nullable=False),
        sa.Column("exclusive", sa.BigInteger(), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "store_usage",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("logical", sa.BigInteger(), nullable=False),
        sa.Column("physical", sa.BigInteger(), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "uploads",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("repository", KEY),
        sa.Column("domain", KEY, nullable=False),
        sa.Column("principal", KEY, nullable=False),
        sa.Column("size", sa.BigInteger()),
        sa.Column("expected", KEY),
        sa.Column("announced", KEY),
        sa.Column("content", KEY),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("uploads_by_expiry", "uploads", ["expires_at"])
    op.create_index(
        "uploads_by_principal",
        "uploads",
        ["principal"],
        sqlite_where=sa.text("content IS NULL"),
        postgresql_where=sa.text("content IS NULL"),
    )
    op.create_table(
        "drafts",
        sa.Column("repository", KEY, primary_key=True),
        sa.Column("version", KEY, primary_key=True),
        sa.Column("principal", KEY, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("drafts_by_expiry", "drafts", ["expires_at"])
    op.create_table(
        "draft_files",
        sa.Column("repository", KEY, primary_key=True),
        sa.Column("version", KEY, primary_key=True),
        sa.Column("relative_path", KEY, primary_key=True),
        sa.Column("content_address", KEY, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", KEY, nullable=False),
    )
    op.create_index("draft_files_by_content", "draft_files", ["content_address"])
    op.create_table(
        "content_leases",
        sa.Column("domain", KEY, primary_key=True),
        sa.Column("content_address", KEY, primary_key=True),
        sa.Column("principal", KEY, primary_key=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("content_leases_by_expiry", "content_leases", ["expires_at"])
    op.create_table(
        "principals",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("name", KEY, nullable=False, unique=True),
    )
    op.create_table(
        "work_leases",
        sa.Column("work", KEY, primary_key=True),
        sa.Column("holder", KEY, nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
    )
    op.execute("INSERT INTO ledger_head (id, seq, time) VALUES (1, 0, 0)")
    op.execute("INSERT INTO store_usage (id, logical, physical, objects) VALUES (1, 0, 0, 0)")
