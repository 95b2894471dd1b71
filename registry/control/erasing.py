"""A domain is erased: its keys were destroyed, so the ledger says that nothing of it can be read any more.

One event does it, `domain.erased` (decision 38): content of the domain answers as erased, in every process,
cached or not, and what the views had taken from its bytes (labels, metadata, file names) is overwritten.
"""

from __future__ import annotations

from registry.contract.dataplane import DomainId
from registry.contract.events import DomainErased
from registry.control.core import Core
from registry.control.sql import forgetting, lookups
from registry.control.sql.transaction import Transaction


async def note_erased(core: Core, actor: str, domain: DomainId, *, always: bool = False) -> bool:
    """Write down that the domain's keys are destroyed, where content of it is not known as erased yet.

    With `always` also where it holds nothing. Returns whether there was something to write. Idempotent.
    """

    def change(tx: Transaction) -> bool:
        if not always and not lookups.has_readable(tx.connection, domain):
            return False
        with forgetting.overwriting(tx.connection):
            tx.emit(DomainErased(domain))
        return True

    noted = await core.database.write(actor, change)
    if noted:
        await core.database.forget()
    return noted
