"""Who is behind a principal id: names live here and can be erased, events know the random id alone."""

from __future__ import annotations

from sqlalchemy import insert, select

from registry.contract.model import Principal
from registry.control.core import Core
from registry.control.reaper import SYSTEM
from registry.control.sql import tables
from registry.control.sql.transaction import Transaction


async def principal_named(core: Core, name: str) -> Principal:
    """The principal of that name, with a random id that stays."""
    people = tables.principals
    known = await core.database.read(
        lambda connection: connection.scalar(select(people.c.id).where(people.c.name == name))
    )
    if known is not None:
        return Principal(known, name)

    def change(tx: Transaction) -> str:
        found: str | None = tx.connection.scalar(select(people.c.id).where(people.c.name == name))
        if found is None:
            found = core.identifiers.new()
            tx.connection.execute(insert(people), {"id": found, "name": name})
        return found

    return Principal(await core.database.write(SYSTEM, change), name)
