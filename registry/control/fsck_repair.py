"""`fsck --repair`: what can be mended is, each step told in a sentence. Nobody else uses the store meanwhile.

Corrupt bytes are set aside and recorded as missing, so that a push heals them. Content recorded as missing
whose bytes are there and right is content again. Counters are recounted. What a crash left is completed:
deletions that had begun, bytes without a row whose grace is over, sessions and stages past their time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from registry.contract.dataplane import DataPlane
from registry.contract.errors import ErrorKind, StoreError
from registry.control import collection, fsck_places, healing, reaper, recording
from registry.control.core import SYSTEM, Core
from registry.control.export import checking
from registry.control.fsck import Checked, Fault, replay_faults
from registry.control.sql import audit, counters
from registry.control.work import hold

_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done. `mended` is False where somebody must still do something."""

    message: str
    mended: bool = True


async def repair(core: Core, checked: Checked, others: Sequence[DataPlane] = ()) -> list[Step]:
    """Mend what `checked` has found. Raises StoreError when the store does not let it."""
    steps: list[Step] = []
    for fault in checked.faults:
        if fault.content is not None and fault.kind == "location":
            steps.append(Step(await fsck_places.mend(core, *fault.content)))
        elif fault.content is not None:
            steps.append(await _content(core, fault, others))
        elif fault.kind in ("storage", "placement"):
            steps.append(Step(fault.message, mended=False))
    if any(fault.kind == "export" for fault in checked.faults):
        steps.append(await _export(core))
    recounted = await core.database.write(SYSTEM, lambda tx: counters.recount(tx.connection))
    steps.extend(Step(f"{name} is counted anew") for name in recounted)
    if await _views_are_wrong(core, checked):
        steps.append(Step("views that are wrong are made again by `rebuild`", mended=False))
    if any(fault.kind == "ledger" for fault in checked.faults):
        steps.append(Step("the ledger itself is damaged: restore the last backup", mended=False))
    steps.extend([Step(message) for message in await _complete(core)])
    return steps


async def _export(core: Core) -> Step:
    try:
        return Step(f"{await checking.mend(core)} objects of the ledger's export were written again")
    except StoreError as error:
        if error.kind is not ErrorKind.CONFLICT:
            raise
        return Step(error.message, mended=False)


async def _views_are_wrong(core: Core, checked: Checked) -> bool:
    """Whether faults of the views are left, now that the counters are right."""
    kinds = {fault.kind for fault in checked.faults}
    if "manifest" in kinds:
        return True
    if "views" not in kinds:
        return False
    if await core.database.read(audit.view_faults):
        return True
    return "ledger" not in kinds and bool([fault async for fault in replay_faults(core)])


async def _content(core: Core, fault: Fault, others: Sequence[DataPlane]) -> Step:
    if fault.content is None:
        return Step(fault.message, mended=False)
    domain, address = fault.content
    try:
        wrong = await healing.examine(core, domain, address)
    except StoreError as error:
        if error.kind is not ErrorKind.ERASED:
            raise
        return Step(error.message, mended=False)
    if wrong is None:
        await recording.note_healed(core, SYSTEM, domain, address)
        return Step(f"content {address} is there and right: it is content again")
    if await healing.repair(core, domain, address, wrong, others):
        return Step(f"content {address} was had from another location")
    return Step(f"content {address} is set aside and recorded as missing: push it again", mended=False)


async def _complete(core: Core) -> list[str]:
    """What crashes left, by the same steps as a running server takes."""
    told = []
    async with hold(core, collection.WORK, _PATIENCE) as work:
        done = await collection.settle(work)
    if done.freed:
        told.append(f"{done.freed} objects without a row, {done.freed_bytes} bytes, are deleted")
    if done.orphans:
        told.append(f"{done.orphans} objects without a row are noted, to be deleted after their grace")
    token = await reaper.acquire(core, core.identifiers.new())
    if token is not None:
        reaped = await reaper.reap(core, token)
        if reaped != reaper.Reaped():
            told.append(f"{reaped.uploads} sessions and {reaped.stages} stages past their time are dropped")
    return told
