"""The counters of usage, made again from the rows that they count."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select, text

from registry.control.sql.tables import location_usage

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
_PLACES = text("""
SELECT l.location, SUM(b.size), COUNT(*) FROM storage_locations l JOIN blobs b ON b.id = l.blob_id
GROUP BY l.location
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
    wrong.extend(_recount_places(connection))
    return wrong


def _recount_places(connection: Connection) -> list[str]:
    said = {row[0]: (int(row[1]), int(row[2])) for row in connection.execute(select(location_usage)).all()}
    found = {row[0]: (int(row[1]), int(row[2])) for row in connection.execute(_PLACES).all()}
    if said == found:
        return []
    connection.execute(delete(location_usage))
    for location, (size, objects) in found.items():
        values = {"location": location, "bytes": size, "objects": objects}
        connection.execute(insert(location_usage), values)
    return [f"location {name}" for name in sorted({*said, *found}) if said.get(name) != found.get(name)]
