"""How locations fare: what each holds, what is on its way, what was moved. By counters and small indexes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from registry.control.core import Core
from registry.control.sql import Connection, movable, progress, releases
from registry.control.sql.movable import Amount
from registry.control.tiers import moving


@dataclass(frozen=True, slots=True)
class TierStatus:
    """`held` by location; `restores` as (location, status, contents). `waiting` bytes still have to go from
    where they were. `moved` is since the beginning; the pass has `reached` that content, 0 between passes,
    and the last ended at `finished_at` (microseconds, 0 before the first)."""

    held: Mapping[str, Amount]
    restores: tuple[tuple[str, str, int], ...]
    waiting: Amount
    moved: Amount
    reached: int
    finished_at: int


async def status_of(core: Core) -> TierStatus:
    """Cheap enough for metrics."""

    def query(connection: Connection) -> TierStatus:
        state = progress.load(connection, moving.WORK)
        objects, size, _ = releases.waiting(connection)
        return TierStatus(
            movable.usage(connection),
            tuple(movable.restores(connection)),
            Amount(size, objects),
            Amount(int(state.get("bytes", 0)), int(state.get("contents", 0))),
            int(state.get("reached", 0)),
            int(state.get("finished_at", 0)),
        )

    return await core.database.read(query)
