"""A store that has moved, or is being filled, is opened by nobody but who moves it."""

from __future__ import annotations

from registry.control.sql import closing
from registry.control.sql.database import Database


async def require_open(database: Database) -> None:
    """Raises UNAVAILABLE, and closes the database, where the store takes no writes."""
    move = await database.read(closing.reason)
    if move is not None:
        await database.close()
        raise closing.refused(move)
