"""Rows of many manifests straight into the views of a PostgreSQL database, a hundred thousand in seconds.

They look like those that `tests.bench.growth` makes through the ledger, and stand in all tables that requests
read or write; nobody can read their bytes, the ledger does not know them, and a rebuild would drop them.
"""

from __future__ import annotations

from tests.bench.growth import LAYERS, REFERRER_TYPE, Growth
from tests.bench.shape import EMPTY, digest_of
from tests.replicas.postgres import Postgres

#: Ids from here on are rows of ours.
_FIRST = 10**12
_OF_MANIFEST = f"{_FIRST} + 2 * n"
_OF_REFERRER = f"{2 * _FIRST} + 2 * n"

_MANIFEST = (
    "INSERT INTO blobs SELECT {id}, 'default', 'blake3:' || {hex}, 500, 'present', 1 FROM {numbers}",
    "INSERT INTO blob_digests SELECT 'blake3:' || {hex}, 'default', 'blake3', {id} FROM {numbers}",
    "INSERT INTO blob_digests SELECT 'sha256:' || {hex}, 'default', 'sha256', {id} FROM {numbers}",
    "INSERT INTO storage_locations (blob_id, location, retrieval_tier) SELECT {id}, 'local', 'hot' "
    "FROM {numbers}",
    "INSERT INTO repository_blobs SELECT r.id, {id}, FALSE, TRUE FROM {placed}",
    "INSERT INTO manifests SELECT {id} + 1, r.id, {id}, 'application/vnd.oci.image.manifest.v1+json', "
    "'sha256', NULL, NULL, 1, {type}, {subject}, '{{}}', NULL FROM {placed}",
    "INSERT INTO manifest_edges SELECT {id} + 1, 0, r.id, 'config', '{config}', 'sha256', 2, 'a/b' "
    "FROM {placed}",
)
_TAGGED = (
    "INSERT INTO manifest_edges SELECT {id} + 1, 1, r.id, 'layer', (ARRAY[{layers}])[n % {count} + 1], "
    "'sha256', 1024, 'a/b', '_layers/000' FROM {placed}",
    "INSERT INTO manifest_fields SELECT 'label.dev.example.number', '\"' || n || '\"', {id} + 1 "
    "FROM {numbers}",
    "INSERT INTO manifest_fields SELECT 'label.dev.example.group', '\"g' || n % 10 || '\"', {id} + 1 "
    "FROM {numbers}",
    "INSERT INTO tags SELECT r.id, 'v' || lpad((n / {repositories})::text, 7, '0'), {id} + 1, 'sha256', 1 "
    "FROM {placed}",
)
_REPOSITORIES = (
    "INSERT INTO repositories SELECT {first} + n, 'grown/r' || lpad(n::text, 5, '0'), 'default', 1 "
    "FROM {numbers} ON CONFLICT DO NOTHING",
    "INSERT INTO repository_usage SELECT {first} + n, 0, 0, 0 FROM {numbers} ON CONFLICT DO NOTHING",
)


def multiply(postgres: Postgres, database: str, growth: Growth, before: int, until: int) -> None:
    """Rows of manifests `before` to `until` - 1, their tags, labels and referrers, and statistics."""
    known, referrers = growth.referrers(before), growth.referrers(until)
    about = digest_of(growth.manifest(0))
    common = {
        "first": _FIRST,
        "repositories": growth.repositories,
        "config": digest_of(EMPTY),
        "layers": ", ".join(f"'{digest_of(growth.layer(number))}'" for number in range(LAYERS)),
        "count": LAYERS,
    }
    tagged = {"id": _OF_MANIFEST, "type": "NULL", "subject": "NULL", "hex": _hex("m")}
    refers = {"id": _OF_REFERRER, "type": f"'{REFERRER_TYPE}'", "subject": f"'{about}'", "hex": _hex("r")}
    steps = [
        (_REPOSITORIES, common | _numbers(0, min(until, growth.repositories), growth)),
        ((*_MANIFEST, *_TAGGED), common | tagged | _numbers(before, until, growth)),
        (_MANIFEST, common | refers | _numbers(known, referrers, Growth())),
    ]
    for statements, values in steps:
        for statement in statements:
            postgres.execute(statement.format(**values), database)
    postgres.execute("VACUUM ANALYZE", database)


def _numbers(before: int, until: int, growth: Growth) -> dict[str, str]:
    numbers = f"generate_series({before}, {until - 1}) n"
    name = f"'grown/r' || lpad((n % {growth.repositories})::text, 5, '0')"
    return {"numbers": numbers, "placed": f"{numbers} JOIN repositories r ON r.name = {name}"}


def _hex(kind: str) -> str:
    return f"encode(sha256(('{kind}' || n)::bytea), 'hex')"
