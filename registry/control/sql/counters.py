"""The counters of usage, made again from the rows that they count."""

from __future__ import annotations

from sqlalchemy import Connection, text

_EXCLUSIVE = """NOT EXISTS (SELECT 1 FROM repository_blobs o
    WHERE o.blob_id = rb.blob_id AND o.repository_id <> rb.repository_id)"""

_REPOSITORIES = text(f"""
SELECT r.id, r.name, u.logical, u.exclusive, u.objects,
    COALESCE(SUM(b.size), 0), COALESCE(SUM(CASE WHEN {_EXCLUSIVE} THEN b.size ELSE 0 END), 0), COUNT(b.id)
FROM repositories r JOIN repository_usage u ON u.repository_id = r.id
LEFT JOIN repository_blobs rb ON rb.repository_id = r.id LEFT JOIN blobs b ON b.id = rb.blob_id
GROUP BY r.id, r.name, u.logical, u.exclusive, u.objects
ORDER BY r.id
""")
_SET_REPOSITORY = text("""
UPDATE repository_usage SET logical = :logical, exclusive = :exclusive, objects = :objects
WHERE repository_id = :repository_id
""")
_STORE = text("""
SELECT u.logical, u.physical, u.objects, (SELECT COALESCE(SUM(logical), 0) FROM repository_usage),
    (SELECT COALESCE(SUM(size), 0) FROM blobs), (SELECT COUNT(*) FROM blobs)
FROM store_usage u
""")
_SET_STORE = text("UPDATE store_usage SET logical = :logical, physical = :physical, objects = :objects")


def recount(connection: Connection) -> list[str]:
    """Set every counter right; names what was not."""
    wrong = []
    for row in connection.execute(_REPOSITORIES).all():
        said, found = tuple(map(int, row[2:5])), tuple(map(int, row[5:8]))
        if said != found:
            wrong.append(f"repository {row[1]}")
            values = dict(zip(("logical", "exclusive", "objects"), found, strict=True))
            connection.execute(_SET_REPOSITORY, {"repository_id": row[0], **values})
    row = connection.execute(_STORE).one()
    said, found = tuple(map(int, row[:3])), tuple(map(int, row[3:6]))
    if said != found:
        wrong.append("the store")
        connection.execute(_SET_STORE, dict(zip(("logical", "physical", "objects"), found, strict=True)))
    return wrong
