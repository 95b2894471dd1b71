"""What a collection would do, without doing it: `gc --dry-run`, and the figure shown before a real run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from registry.control import retention
from registry.control.core import Core
from registry.control.sql import holding, removals

_PAGE = 2000


@dataclass(slots=True)
class Plan:
    """Blobs that would leave repositories, and content that would go with its bytes.

    `manifests` would be deleted by policy; what they alone name follows a lease later. `waiting` was marked
    by a run before.
    """

    manifests: int = 0
    unlinked: int = 0
    removed: int = 0
    removed_bytes: int = 0
    waiting: int = 0
    waiting_bytes: int = 0

    @property
    def reclaimable_bytes(self) -> int:
        return self.removed_bytes + self.waiting_bytes


async def plan(core: Core) -> Plan:
    """Look at every row as a collection would."""
    done = Plan()
    await _manifests(core, done)
    links = (0, 0)
    while found := await core.database.read(
        partial(holding.links, moment=retention.moment(core, core.clock.now()), after=links, limit=_PAGE)
    ):
        links = (found[-1].repository_id, found[-1].blob_id)
        done.unlinked += sum(link.free for link in found)
    after = 0
    while page := await core.database.read(
        partial(
            holding.contents,
            moment=retention.moment(core, core.clock.now()),
            after=after,
            limit=_PAGE,
            plan=True,
        )
    ):
        after = page[-1].id
        free = [held.size for held in page if held.free]
        done.removed += len(free)
        done.removed_bytes += sum(free)
    left = await core.database.read(removals.waiting)
    done.waiting, done.waiting_bytes = left.objects, left.bytes
    return done


async def _manifests(core: Core, done: Plan) -> None:
    """Those that the last run has seen untagged for long enough, and that still are."""
    async for repository_id, _, waits in retention.expiring(core):
        done.manifests += await _overdue(core, repository_id, waits)


async def _overdue(core: Core, repository_id: int, waits: int) -> int:
    counted, after, now = 0, 0, core.clock.now()
    while page := await core.database.read(
        partial(holding.candidates, now=now, repository_id=repository_id, after=after, limit=_PAGE)
    ):
        after = page[-1].id
        counted += sum(
            not found.needed and found.since is not None and found.since + waits <= now for found in page
        )
    return counted
