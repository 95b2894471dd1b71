"""What the store holds, from counters that every mutation keeps (decision 30)."""

from __future__ import annotations

from registry.contract.model import RepositoryUsage, StoreUsage
from registry.contract.names import Repository
from registry.control.access import Action, Caller
from registry.control.paging import page_by_key

_STORE = "SELECT logical, physical, objects FROM store_usage"
_PAGE = """
SELECT r.name, u.logical, u.exclusive, u.objects
FROM repositories r JOIN repository_usage u ON u.repository_id = r.id
WHERE r.name > :after ORDER BY r.name LIMIT :limit
"""


async def usage(caller: Caller, *, after: str | None, limit: int) -> StoreUsage:
    """See `registry.contract.store.Session.usage`."""
    caller.may(Action.PULL)
    database = caller.core.database
    totals = await database.fetch_one(_STORE, {})
    rows = await database.fetch(_PAGE, {"after": after or "", "limit": limit + 1})
    page = page_by_key(
        [RepositoryUsage(Repository(row[0]), row[1], row[2], row[3]) for row in rows],
        limit,
        key=lambda entry: entry.repository,
    )
    logical, physical, objects = totals or (0, 0, 0)
    return StoreUsage(logical, physical, objects, page)
