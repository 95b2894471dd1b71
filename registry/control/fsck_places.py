"""Content that lies where it must not, or elsewhere than the ledger says: what fsck looks at beside bytes."""

from __future__ import annotations

from registry.contract.dataplane import DomainId
from registry.contract.digest import Digest
from registry.control.core import SYSTEM, Core
from registry.control.fsck_resuming import Fault
from registry.control.sql import Connection, lookups, movable, releases
from registry.control.sql.audit import KnownContent
from registry.control.sql.lookups import GONE
from registry.control.sql.transaction import Transaction
from registry.control.tiers import restoring


async def misplaced(core: Core) -> list[Fault]:
    """What each domain has at places that it may not use, or that the settings know no more."""
    faults = []
    for domain, location, amount in await core.database.read(movable.by_domain):
        place = core.places.find(location)
        refusal = core.placement.refusal(domain, place)
        held = f"{amount.objects} contents of the domain {domain}, {amount.bytes} bytes, lie at {location}"
        if refusal is not None:
            faults.append(Fault("placement", f"{held}: {refusal}"))
        elif place is None:
            faults.append(
                Fault(
                    "placement", f"{held}, which the settings know no more: name it in a [[location]] again"
                )
            )
    return faults


async def disagreement(core: Core, content: KnownContent) -> Fault | None:
    """Whether the places have the content as the ledger says. Bytes on their way out, or in, are no fault."""
    if not core.places.several:
        return None
    absent, stray = await _differences(core, content)
    if not absent and not stray:
        return None
    absent, stray = await _differences(core, content)  # a server may have moved it between the two looks
    where = (content.domain, content.address)
    if absent:
        names = " and ".join(absent)
        return Fault("location", f"content {content.address} is not at {names}, only elsewhere", where)
    if stray:
        names = " and ".join(stray)
        return Fault("location", f"content {content.address} is at {names} too, unknown to the ledger", where)
    return None


async def mend(core: Core, domain: DomainId, address: Digest) -> str:
    """Say what the places say, and let copies go that the ledger does not know. Raises StoreError."""
    await restoring.learn(core, SYSTEM, domain, address)
    there = {core.places.name_of(one) for one in await core.dataplane.locations(domain, address)}

    def change(tx: Transaction) -> None:
        blob = tx.find_blob(domain, address)
        if blob is None or blob.state in GONE:
            return
        for name in sorted(there - _said(tx.connection, blob.id)):
            due_at = tx.now + core.limits.removal_delay
            releases.note(tx.connection, domain, address, name, size=blob.size, now=tx.now, due_at=due_at)

    await core.database.write(SYSTEM, change)
    return f"content {address} is where the ledger says, once the next collection has run"


async def _differences(core: Core, content: KnownContent) -> tuple[list[str], list[str]]:
    """Locations that are said to have it and do not, and those that have it unsaid."""
    found = {
        core.places.name_of(one) for one in await core.dataplane.locations(content.domain, content.address)
    }

    def look(connection: Connection) -> tuple[list[str], list[str]]:
        blob = lookups.find_blob(connection, content.domain, content.address)
        if blob is None or blob.state in GONE:
            return [], []
        said = _said(connection, blob.id)
        leaving = {
            name
            for name in found - said
            if releases.state(connection, content.domain, content.address, name) is not None
        }
        absent = {name for name in said - found if core.places.find(name) is not None}
        return sorted(absent), sorted(found - said - leaving)

    return await core.database.read(look)


def _said(connection: Connection, blob_id: int) -> set[str]:
    return {one.location for one in movable.places(connection, blob_id, blob_id).get(blob_id, ())}
