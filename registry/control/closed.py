"""A store that has moved, or is being filled, is used by nobody but who moves it."""

from __future__ import annotations

from registry.control.sql import closing
from registry.control.sql.database import Database


async def check_open(database: Database) -> None:
    """Raises UNAVAILABLE, with a sentence that names the other store, where this one takes no writes."""
    move = await database.read(closing.reason)
    if move is not None:
        raise closing.refused(move)
