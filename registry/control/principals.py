"""Who is behind a principal id: names live here and can be erased, events know the random id alone."""

from __future__ import annotations

from registry.contract.model import Principal
from registry.control.core import SYSTEM, Core
from registry.control.sql import people
from registry.control.sql.transaction import Transaction


async def principal_named(core: Core, name: str) -> Principal:
    """The principal of that name, with a random id that stays."""
    known = await core.database.read(lambda connection: people.id_of(connection, name))
    if known is not None:
        return Principal(known, name)

    def change(tx: Transaction) -> str:
        found = people.id_of(tx.connection, name)
        if found is None:
            found = core.identifiers.new()
            people.add(tx.connection, found, name)
        return found

    return Principal(await core.database.write(SYSTEM, change), name)
