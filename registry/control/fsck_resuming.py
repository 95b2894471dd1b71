"""What an fsck has found so far, and how it goes on after it was stopped."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from registry.contract.dataplane import DomainId
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.control.core import SECOND, SYSTEM, Core
from registry.control.fsck_subset import Subset
from registry.control.sql import progress

_WORK = "fsck"
#: Between two notes of how far it is.
_EVERY = 5 * SECOND
#: Faults that a note remembers; what has more is not looked after one by one.
_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    `kind` is `ledger`, `views`, `manifest`, `content`, `storage` for damage that has lost nothing yet,
    `location` for what lies elsewhere than the ledger says, `placement` for what lies where it must not,
    `erased`, or `known` for what the ledger says itself. `content` is what it is about where that is one.
    """

    kind: str
    message: str
    content: tuple[DomainId, Digest] | None = None


@dataclass(slots=True)
class Checked:
    """What was looked at. `bytes` were read and hashed; `unnamed` objects belong to no content yet, `erased`
    ones are unreadable and shall be, `away` ones were not read, since they would have to be restored.

    `noted_at` is when this was written down last (microseconds).
    """

    contents: int = 0
    bytes: int = 0
    unnamed: int = 0
    stages: int = 0
    erased: int = 0
    away: int = 0
    faults: list[Fault] = field(default_factory=list)
    noted_at: int = 0


async def begin(core: Core, subset: Subset, *, resume: bool) -> tuple[Checked, int, Subset]:
    """What was found, the id of the content to go on behind, and what to read.

    Raises BAD_REQUEST when there is nothing to resume.
    """
    if not resume:
        return Checked(noted_at=core.clock.now()), 0, subset
    state = await core.database.read(partial(progress.load, work=_WORK))
    if not state:
        raise StoreError(ErrorKind.BAD_REQUEST, "no check was stopped midway: begin one without --resume")
    done = Checked(
        state["contents"],
        state["bytes"],
        erased=state.get("erased", 0),
        away=state.get("away", 0),
        noted_at=core.clock.now(),
    )
    done.faults.extend(map(_fault, state["faults"]))
    return done, state["after"], Subset(state["start"], state["length"])


async def save(core: Core, subset: Subset, done: Checked, after: int) -> None:
    """Write it down now and then."""
    if core.clock.now() < done.noted_at + _EVERY:
        return
    done.noted_at = core.clock.now()
    # Faults of structure are looked for anew, since they cost little and may be gone.
    found = [fault for fault in done.faults if fault.content is not None][:_REMEMBERED]
    state: dict[str, Any] = {
        "after": after,
        "start": subset.start,
        "length": subset.length,
        "contents": done.contents,
        "bytes": done.bytes,
        "erased": done.erased,
        "away": done.away,
        "faults": [[fault.kind, fault.message, *map(str, fault.content or ())] for fault in found],
    }
    await core.database.write(SYSTEM, lambda tx: progress.save(tx.connection, _WORK, state))


async def end(core: Core) -> None:
    """All content was looked at: nothing is left to resume."""
    if await core.database.read(partial(progress.load, work=_WORK)):
        await core.database.write(SYSTEM, lambda tx: progress.drop(tx.connection, _WORK))


def _fault(saved: list[str]) -> Fault:
    kind, message, domain, address = saved
    return Fault(kind, message, (DomainId(domain), Digest.parse(address)))
