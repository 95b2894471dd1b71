"""The schema, on SQLite and PostgreSQL alike.

Three kinds of tables. The *ledger* is the truth. *Views* are what it says, dropped and replayed by `rebuild`;
their ids are the sequence numbers of the events that made the rows, so that a replay gives the same ones.
*Operational* tables hold what is in flight (uploads, drafts, leases) and people's names; no replay knows
them. Text that is paged over compares by bytes (SQLite does so anyway, PostgreSQL by collation "C").
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)
from sqlalchemy import LargeBinary as Bytes

Id = BigInteger().with_variant(Integer, "sqlite")
Key = Text().with_variant(Text(collation="C"), "postgresql")

ledger = MetaData()
views = MetaData()
operational = MetaData()

# --- the ledger (A3) ---------------------------------------------------------------------------------

events = Table(
    "events",
    ledger,
    Column("seq", Id, primary_key=True, autoincrement=False),
    Column("time", BigInteger, nullable=False),
    Column("kind", Key, nullable=False),
    Column("scope", Key),
    Column("envelope", Bytes, nullable=False),
)

#: One row: the last sequence number and time. Writers on PostgreSQL queue on its lock. Its id is 1, and 0 in
#: a store that takes no writes (closing.py).
ledger_head = Table(
    "ledger_head",
    ledger,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
)

# --- views: bytes ------------------------------------------------------------------------------------

#: Content of a domain, by its BLAKE3 address (A1). `state` is `present`, `missing` or `away` (A7).
blobs = Table(
    "blobs",
    views,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("domain", Key, nullable=False),
    Column("content_address", Key, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("state", Key, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("domain", "content_address", name="blobs_by_address"),
    Index(
        "blobs_missing",
        "id",
        sqlite_where=text("state = 'missing'"),
        postgresql_where=text("state = 'missing'"),
    ),
)

#: Every digest by which content is known (A2). `digest` is `<algorithm>:<hex>`, and comes first in the key:
#: content is also sought in all domains.
blob_digests = Table(
    "blob_digests",
    views,
    Column("digest", Key, primary_key=True),
    Column("domain", Key, primary_key=True),
    Column("digest_algorithm", Key, nullable=False),
    Column("blob_id", Id, nullable=False),
    Index("blob_digests_by_blob", "blob_id"),
    sqlite_with_rowid=False,
)

#: Where content lies (A7).
storage_locations = Table(
    "storage_locations",
    views,
    Column("blob_id", Id, primary_key=True, autoincrement=False),
    Column("location", Key, primary_key=True),
    Column("retrieval_tier", Key, nullable=False),
    Column("restore_status", Key),
    #: To when restored bytes stay at hand, where that is known.
    Column("restored_until", BigInteger),
    Index(
        "storage_locations_restoring",
        "blob_id",
        "location",
        sqlite_where=text("restore_status IS NOT NULL"),
        postgresql_where=text("restore_status IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

#: What each location holds by what the ledger says, counted along. A location that holds nothing has no row.
location_usage = Table(
    "location_usage",
    views,
    Column("location", Key, primary_key=True),
    Column("bytes", BigInteger, nullable=False),
    Column("objects", BigInteger, nullable=False),
)

# --- views: meaning ----------------------------------------------------------------------------------

repositories = Table(
    "repositories",
    views,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("name", Key, nullable=False, unique=True),
    Column("domain", Key, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

#: What a repository has. The same bytes can be there as a blob and as a manifest.
repository_blobs = Table(
    "repository_blobs",
    views,
    Column("repository_id", Id, primary_key=True, autoincrement=False),
    Column("blob_id", Id, primary_key=True, autoincrement=False),
    Column("as_blob", Boolean, nullable=False),
    Column("as_manifest", Boolean, nullable=False),
    Index("repository_blobs_by_blob", "blob_id"),
    sqlite_with_rowid=False,
)

#: `digest_algorithm`, `media_type` and the package columns come from the event, the rest from the bytes.
manifests = Table(
    "manifests",
    views,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("repository_id", Id, nullable=False),
    Column("blob_id", Id, nullable=False),
    Column("media_type", Key, nullable=False),
    Column("digest_algorithm", Key, nullable=False),
    Column("package_digest", Key),
    Column("schema_version", Integer),
    Column("created_at", BigInteger, nullable=False),
    Column("artifact_type", Key),
    Column("subject_digest", Key),
    Column("annotations", Text),
    Column("variant", Key),
    UniqueConstraint("repository_id", "blob_id", name="manifests_by_blob"),
    Index("manifests_by_subject", "repository_id", "subject_digest", "id"),
    Index("manifests_by_repository", "repository_id", "id"),
    Index(
        "manifests_by_package",
        "package_digest",
        sqlite_where=text("package_digest IS NOT NULL"),
        postgresql_where=text("package_digest IS NOT NULL"),
    ),
)

#: What a manifest names: config, layers and child manifests. A layer is a file of the package:
#: `relative_path` is metadata, `digest` its content address (A1).
manifest_edges = Table(
    "manifest_edges",
    views,
    Column("manifest_id", Id, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("repository_id", Id, nullable=False),
    Column("kind", Key, nullable=False),
    Column("digest", Key, nullable=False),
    Column("digest_algorithm", Key, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("media_type", Key, nullable=False),
    Column("relative_path", Key),
    Index("manifest_edges_by_digest", "repository_id", "digest"),
    Index("manifest_edges_by_path", "manifest_id", "relative_path"),
    sqlite_with_rowid=False,
)

#: Typed metadata and labels, one row a scalar (A8). `value` is the scalar as canonical JSON.
manifest_fields = Table(
    "manifest_fields",
    views,
    Column("path", Key, primary_key=True),
    Column("value", Key, primary_key=True),
    Column("manifest_id", Id, primary_key=True, autoincrement=False),
    Index("manifest_fields_by_manifest", "manifest_id"),
    sqlite_with_rowid=False,
)

tags = Table(
    "tags",
    views,
    Column("repository_id", Id, primary_key=True, autoincrement=False),
    Column("name", Key, primary_key=True),
    Column("manifest_id", Id, nullable=False),
    Column("digest_algorithm", Key, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("tags_by_manifest", "manifest_id"),
    sqlite_with_rowid=False,
)

metadata_schemas = Table(
    "metadata_schemas",
    views,
    Column("variant", Key, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("content_address", Key, nullable=False),
    Column("current", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("document", Text),
    Index("metadata_schemas_by_content", "content_address"),
)

#: Counters, so that a report costs nothing. `exclusive` is what only this repository holds.
repository_usage = Table(
    "repository_usage",
    views,
    Column("repository_id", Id, primary_key=True, autoincrement=False),
    Column("logical", BigInteger, nullable=False),
    Column("exclusive", BigInteger, nullable=False),
    Column("objects", BigInteger, nullable=False),
)

#: One row: what the whole store holds, each content once.
store_usage = Table(
    "store_usage",
    views,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("logical", BigInteger, nullable=False),
    Column("physical", BigInteger, nullable=False),
    Column("objects", BigInteger, nullable=False),
)

# --- operational -------------------------------------------------------------------------------------

#: Upload sessions. The bytes and their count are the data plane's; `content` is set once committed.
uploads = Table(
    "uploads",
    operational,
    Column("id", Key, primary_key=True),
    Column("repository", Key),
    Column("domain", Key, nullable=False),
    Column("principal", Key, nullable=False),
    Column("size", BigInteger),
    Column("expected", Key),
    Column("announced", Key),
    Column("content", Key),
    Column("expires_at", BigInteger, nullable=False),
    Index("uploads_by_expiry", "expires_at"),
    Index(
        "uploads_by_principal",
        "principal",
        sqlite_where=text("content IS NULL"),
        postgresql_where=text("content IS NULL"),
    ),
)

drafts = Table(
    "drafts",
    operational,
    Column("repository", Key, primary_key=True),
    Column("version", Key, primary_key=True),
    Column("principal", Key, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("drafts_by_expiry", "expires_at"),
)

draft_files = Table(
    "draft_files",
    operational,
    Column("repository", Key, primary_key=True),
    Column("version", Key, primary_key=True),
    Column("relative_path", Key, primary_key=True),
    Column("content_address", Key, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("media_type", Key, nullable=False),
    Index("draft_files_by_content", "content_address"),
)

#: Content that is held for somebody though no manifest or repository holds it yet (decisions 10 and 22).
content_leases = Table(
    "content_leases",
    operational,
    Column("domain", Key, primary_key=True),
    Column("content_address", Key, primary_key=True),
    Column("principal", Key, primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
    Index("content_leases_by_expiry", "expires_at"),
)

#: Who is behind a principal id. Erasable, and no event ever names them.
principals = Table(
    "principals",
    operational,
    Column("id", Key, primary_key=True),
    Column("name", Key, nullable=False, unique=True),
)

#: Who does which background work; every write of a holder checks its fencing token (decision 3).
work_leases = Table(
    "work_leases",
    operational,
    Column("work", Key, primary_key=True),
    Column("holder", Key, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

#: Bytes on their way out (decision 10): `pending` until `due_at`, then `removing` while one process deletes
#: them, then `done` for as long as a push that began before may still ask. `since` is the last change of
#: state. `generation` is the event that removed the content, 0 for bytes that no row ever named.
removals = Table(
    "removals",
    operational,
    Column("domain", Key, primary_key=True),
    Column("content_address", Key, primary_key=True),
    Column("sha256", Key),
    Column("size", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("state", Key, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Index("removals_by_due", "state", "due_at"),
    Index("removals_by_sha256", "sha256"),
)

#: Manifests that nothing needs, of repositories that let such go, and since when that has been seen.
untagged_manifests = Table(
    "untagged_manifests",
    operational,
    Column("manifest_id", Id, primary_key=True, autoincrement=False),
    Column("since", BigInteger, nullable=False),
)

#: When the bytes of content were last read and found right. Its arrival counts as the first time.
verifications = Table(
    "verifications",
    operational,
    Column("blob_id", Id, primary_key=True, autoincrement=False),
    Column("verified_at", BigInteger, nullable=False),
    Index("verifications_by_age", "verified_at"),
)

#: When content was last asked for, to the hour; what was asked for since the last flush is in memory only.
content_reads = Table(
    "content_reads",
    operational,
    Column("blob_id", Id, primary_key=True, autoincrement=False),
    Column("read_at", BigInteger, nullable=False),
)

#: Bytes that go from one location, while another has them: `pending` until `due_at`, then `releasing` while
#: one process deletes them. `since` is the last change of state and never repeats within a row.
releases = Table(
    "releases",
    operational,
    Column("domain", Key, primary_key=True),
    Column("content_address", Key, primary_key=True),
    Column("location", Key, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("state", Key, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Index("releases_by_due", "state", "due_at"),
)

#: How far a long piece of work has come, as JSON, so that it goes on after a restart.
work_progress = Table(
    "work_progress",
    operational,
    Column("work", Key, primary_key=True),
    Column("state", Text, nullable=False),
)

#: Who reads the ledger, and how far (decision 50). `failing` is the event that is not taken, since when, how
#: often it was tried; `streak` counts failures since the last success and `next_attempt_at` waits them out.
followers = Table(
    "followers",
    operational,
    Column("name", Key, primary_key=True),
    Column("cursor", BigInteger, nullable=False),
    Column("stopped", Boolean, nullable=False),
    Column("delivered", BigInteger, nullable=False),
    Column("delivered_at", BigInteger),
    Column("failures", BigInteger, nullable=False),
    Column("failing", BigInteger),
    Column("failing_since", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("streak", Integer, nullable=False),
    Column("next_attempt_at", BigInteger, nullable=False),
    Column("reason", Text),
)

#: Events that a receiver did not take. `queued` ones are tried again as soon as it is there.
dead_letters = Table(
    "dead_letters",
    operational,
    Column("follower", Key, primary_key=True),
    Column("seq", Id, primary_key=True, autoincrement=False),
    Column("died_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("queued", Boolean, nullable=False),
    Index("dead_letters_queued", "follower", "queued", "seq"),
)

# --- what PostgreSQL's planner is told -----------------------------------------------------------------

#: Most manifests of a store may name one base layer, or a thousand artifacts one subject. Going by such
#: statistics the planner takes every digest for that common, and rather reads all that a repository has. So
#: it is told that one is named five times, which makes it use the index; a common one costs what it finds.
FEW_ALIKE = (
    "ALTER TABLE manifest_edges ALTER COLUMN digest SET (n_distinct = -0.2)",
    "ALTER TABLE manifests ALTER COLUMN subject_digest SET (n_distinct = -0.2)",
)
for _table, _statement in zip((manifest_edges, manifests), FEW_ALIKE, strict=True):
    _told = DDL(_statement).execute_if(dialect="postgresql")  # type: ignore[no-untyped-call]
    event.listen(_table, "after_create", _told)
