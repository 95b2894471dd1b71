"""What a location is said to be, without anything having moved: for tests of what then is answered."""

from __future__ import annotations

from registry.contract.dataplane import DomainId, RetrievalTier
from registry.contract.digest import Digest
from registry.contract.events import LocationChanged
from registry.control.core import SYSTEM, Core
from registry.control.sql.transaction import Transaction
from registry.control.tiers.places import PRIMARY


async def say_tier(core: Core, domain: DomainId, address: Digest, tier: RetrievalTier) -> None:
    """The place where the content's bytes arrived is of that tier from now on."""

    def change(tx: Transaction) -> None:
        tx.emit(LocationChanged(domain, address, PRIMARY, tier.value, None))

    await core.database.write(SYSTEM, change)
