"""A store with a shelf and a tape beside the place where bytes arrive, and the steps of tests about tiers."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from registry.contract.dataplane import DEFAULT_DOMAIN, DataPlane, DomainId
from registry.contract.digest import Digest
from registry.contract.events import Event, decode_entry
from registry.control import Limits, RepositoryPolicy, open_store
from registry.control.sql import lookups, releases
from registry.control.tiers import moving
from registry.control.tiers.moving import Moved
from registry.control.tiers.places import Placement
from registry.control.tiers.policy import TierPolicy, TierRule
from registry.control.tiers.reads import keep_count
from registry.control.tiers.releasing import Released
from registry.control.work import hold
from tests.control.world import ALICE, DAY, FakeClock, FakeIdentifiers, World
from tests.dataplane.placed import SHELF, TAPE, answer_requests, held_at, open_placed, prepare_places

PAYLOAD = b"an old layer " * 400
#: Larger than what is kept in memory.
LARGE = b"x" * 200_000

TO_SHELF = TierPolicy((TierRule(SHELF, after=7 * DAY),))
TO_TAPE = TierPolicy((TierRule(TAPE, after=7 * DAY),))


@asynccontextmanager
async def open_tiered(
    database: str | Path,
    root: Path,
    tiers: TierPolicy,
    *,
    placement: Placement | None = None,
    policies: tuple[RepositoryPolicy, ...] = (),
    dataplane: DataPlane | None = None,
    clock: FakeClock | None = None,
) -> AsyncIterator[World]:
    """The store in `root`, over its three places, or over `dataplane`. Closes both."""
    if dataplane is None:
        await prepare_places(root)
        dataplane = open_placed(root)
    clock = clock or FakeClock(time.time_ns() // 1000)  # restores end by the machine's clock
    try:
        store = await open_store(
            dataplane,
            database,
            clock=clock,
            identifiers=FakeIdentifiers(),
            limits=Limits(),
            policies=policies,
            tiers=tiers,
            placement=placement,
        )
        try:
            await keep_count(store.core)
            yield World(store, dataplane, database, clock, store.for_principal(ALICE))
        finally:
            await store.close()
    finally:
        await dataplane.close()


async def move(world: World) -> Moved:
    """One pass, from the beginning."""
    async with hold(world.store.core, moving.WORK) as work:
        return await moving.move(work, again=True)


async def release(world: World) -> Released:
    """Delete what has moved, once readers have had their time."""
    world.clock.advance(world.store.core.limits.removal_delay)
    return await moving.release(world.store.core)


async def move_all(world: World) -> Moved:
    """Both; all that was pushed is old by now."""
    world.clock.advance(8 * DAY)
    done = await move(world)
    await release(world)
    return done


async def places_of(world: World, address: Digest, domain: DomainId = DEFAULT_DOMAIN) -> set[str]:
    """Where the bytes are, by the media themselves."""
    return await held_at(world.dataplane, domain, address)


async def said_of(world: World, address: Digest) -> set[str]:
    """Where the ledger says that the content is."""
    return {place.name for place in await world.session.contents.locations(address)}


async def events_of(world: World, *kinds: type[Event]) -> list[Event]:
    """What has happened, of those kinds."""
    rows = await world.store.core.database.fetch(lookups.EVENTS_PAGE, {"after": 0, "limit": 10_000})
    entries = [decode_entry(bytes(row[0])) for row in rows]
    return [entry.event for entry in entries if isinstance(entry.event, kinds)]


async def waiting(world: World) -> int:
    """Copies that still have to be deleted."""
    return (await world.store.core.database.read(releases.waiting))[0]


def robot(root: Path) -> int:
    """The tape's robot brings what was asked for."""
    return answer_requests(root / TAPE)
