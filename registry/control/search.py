"""Search by typed metadata: equality on fields, all of which hold, newest first (A8, decision 29).

The index of `manifest_fields` gives the ids of one (path, value) in order, so a page is read from its newest
end and no further than needed. What is sought by several conditions is driven by the rarest of them, told
by counting each up to a bound: a label that a million packages bear costs nothing beside one that ten have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from registry.contract import jsonvalue
from registry.contract.errors import StoreError
from registry.contract.model import PackageSummary, Page, Search
from registry.control.details import scalar_text
from registry.control.package_lists import PACKAGE_COLUMNS, package_summary
from registry.control.paging import page_by_key
from registry.control.sql import Connection, lookups, statements

_NEWEST_TAG = (
    "(SELECT n.name FROM tags n WHERE n.manifest_id = m.id ORDER BY n.updated_at DESC, n.name LIMIT 1)"
)
_SEARCH = f"""
SELECT {PACKAGE_COLUMNS.replace("t.name", _NEWEST_TAG)}
FROM {{source}}
JOIN repositories r ON r.id = m.repository_id
JOIN blob_digests d ON d.blob_id = m.blob_id AND d.digest_algorithm = m.digest_algorithm
WHERE {{conditions}}
ORDER BY {{key}} DESC LIMIT :limit
"""
_BY_FIELD = "manifest_fields f0 JOIN manifests m ON m.id = f0.manifest_id"
_COUNT_FIELD = """
SELECT COUNT(*) FROM (SELECT 1 FROM manifest_fields WHERE path = :path AND value = :value LIMIT :most) n
"""
_COUNT_REPOSITORY = """
SELECT COUNT(*) FROM (SELECT 1 FROM manifests WHERE repository_id = :repository_id LIMIT :most) n
"""
_TIME_AT = "SELECT time FROM events WHERE seq = :seq"
_HEAD = "SELECT seq FROM ledger_head"

_BEFORE_ALL = 2**62
_RARE = 1000


@dataclass(frozen=True, slots=True)
class _Condition:
    """A field whose value is one of `values`, canonical JSON scalars."""

    path: str
    values: tuple[str, ...]


def search(connection: Connection, query: Search, after: str | None, limit: int) -> Page[PackageSummary]:
    """One page; text matches a string, a number or a truth value written that way."""
    conditions = [_Condition(path, tuple(candidates(text))) for path, text in query.fields]
    if query.variant is not None:
        conditions.append(_Condition("variant", (scalar_text(query.variant),)))
    parameters: dict[str, Any] = {"limit": limit + 1, "before": _before(after), "since": 0}
    if query.created_after is not None:
        parameters["since"] = _last_until(connection, query.created_after)
    within: int | None = None
    if query.repository is not None:
        known = lookups.find_repository(connection, query.repository)
        if known is None:
            return Page(())
        within = known.id
    driving = _rarest(connection, conditions, within)
    found: dict[int, Sequence[Any]] = {}
    for statement, values in _statements(conditions, driving, within):
        for row in statements.rows(connection, statement, **parameters, **values):
            found[row[7]] = row
    newest = sorted(found, reverse=True)[: limit + 1]
    entries = [(key, package_summary(found[key])) for key in newest]
    listed = page_by_key(entries, limit, key=lambda entry: str(entry[0]))
    return Page(tuple(summary for _, summary in listed.items), listed.next)


def _statements(
    conditions: Sequence[_Condition], driving: _Condition | None, within: int | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """One statement for each value of the driving condition; without one the manifests are read by id.

    `within` is the id of the only repository that counts.
    """
    values: dict[str, Any] = {}
    others = []
    for number, condition in enumerate(conditions, start=1):
        if condition is driving:
            continue
        names = [f"v{number}_{position}" for position in range(len(condition.values))]
        values |= dict(zip(names, condition.values, strict=True)) | {f"p{number}": condition.path}
        places = ", ".join(f":{name}" for name in names)
        others.append(
            "EXISTS (SELECT 1 FROM manifest_fields f WHERE f.manifest_id = m.id "
            f"AND f.path = :p{number} AND f.value IN ({places}))"
        )
    if within is not None:
        others.append("m.repository_id = :repository_id")
        values["repository_id"] = within
    key = "m.id" if driving is None else "f0.manifest_id"
    others.append(f"{key} < :before AND {key} > :since")
    if driving is None:
        yield _SEARCH.format(source="manifests m", conditions=" AND ".join(others), key=key), values
        return
    for value in driving.values:
        chosen = " AND ".join(["f0.path = :p0 AND f0.value = :v0", *others])
        statement = _SEARCH.format(source=_BY_FIELD, conditions=chosen, key=key)
        yield statement, values | {"p0": driving.path, "v0": value}


def _rarest(
    connection: Connection, conditions: Sequence[_Condition], within: int | None
) -> _Condition | None:
    """The condition that fewest manifests satisfy; None when that is the repository, or there is none."""
    if not conditions or (len(conditions) == 1 and within is None):
        return conditions[0] if conditions else None
    fewest, driving = _RARE + 1, conditions[0] if within is None else None
    if within is not None:
        fewest = _count(connection, _COUNT_REPOSITORY, repository_id=within)
    for condition in conditions:
        count = sum(
            _count(connection, _COUNT_FIELD, path=condition.path, value=value) for value in condition.values
        )
        if count < fewest:
            fewest, driving = count, condition
    return driving


def _count(connection: Connection, statement: str, **parameters: Any) -> int:
    row = statements.first(connection, statement, most=_RARE, **parameters)
    return int(row[0]) if row else 0


def _last_until(connection: Connection, time: int) -> int:
    """The last event at or before `time` (microseconds), by bisection: the ledger's times never decrease."""
    head = statements.first(connection, _HEAD)
    low, high = 0, int(head[0]) if head else 0
    while low < high:
        middle = (low + high + 1) // 2
        row = statements.first(connection, _TIME_AT, seq=middle)
        if row is not None and row[0] <= time:
            low = middle
        else:
            high = middle - 1
    return low


def _before(after: str | None) -> int:
    """The page's start; what cannot be a key is the start of all."""
    return int(after) if after and after.isascii() and after.isdigit() and len(after) < 19 else _BEFORE_ALL


def candidates(text: str) -> list[str]:
    """The canonical JSON scalars that someone who writes `text` in a query can mean."""
    found = [scalar_text(text)]
    if text in {"true", "false", "null"}:
        found.append(text)
    else:
        number = _number(text)
        if number is not None:
            found.append(number)
    return found


def _number(text: str) -> str | None:
    try:
        value = jsonvalue.parse(text.encode(), max_bytes=64)
    except StoreError:
        return None
    return scalar_text(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
