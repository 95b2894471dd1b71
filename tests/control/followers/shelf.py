"""A sink that keeps what it is given, and fails as a test says; and followers that deliver to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry.contract.cloudevents import CloudEvent
from registry.contract.dataplane import DEFAULT_DOMAIN, DataPlane
from registry.contract.delivery import Delivery, Failure, Trouble
from registry.contract.events import RepositoryCreated
from registry.contract.names import Repository
from registry.control import open_store
from registry.control.core import Core
from registry.control.followers import Follower
from registry.control.followers.runner import Runner, work_of
from registry.control.sql import followers as rows
from registry.control.sql.followers import Look, Place
from registry.control.sql.transaction import Transaction
from registry.control.store import PrincipalSession, Store
from tests.control.world import ALICE, FakeClock

AWAY = Failure(Trouble.AWAY, "nobody is there")
REFUSED = Failure(Trouble.REFUSED, "it answered 500")
GONE = Failure(Trouble.GONE, "it answered 410")


@dataclass
class Shelf:
    """Implements `Sink`. `refuse` says what becomes of an event; `before` is awaited with each window."""

    window: int = 8
    taken: list[CloudEvent] = field(default_factory=list)
    windows: list[int] = field(default_factory=list)
    refuse: Callable[[CloudEvent], Failure | None] = lambda _event: None
    before: Callable[[], Awaitable[Any]] | None = None
    closed: int = 0

    async def deliver(self, events: Sequence[CloudEvent]) -> Delivery:
        self.windows.append(len(events))
        if self.before is not None:
            await self.before()
        for number, event in enumerate(events):
            failure = self.refuse(event)
            if failure is not None:
                return Delivery(number, failure)
            self.taken.append(event)
        return Delivery(len(events))

    async def check(self) -> str:
        return "a shelf"

    async def close(self) -> None:
        self.closed += 1

    def seqs(self) -> list[int]:
        return [event.event.seq for event in self.taken]


@dataclass
class Following:
    """A store with one follower, whose turns a test takes by hand."""

    store: Store
    session: PrincipalSession
    clock: FakeClock
    follower: Follower
    shelf: Shelf
    runner: Runner

    async def look(self) -> Look:
        name = self.follower.name
        row = await self.core.database.fetch_one(rows.LOOK, {"name": name, "work": work_of(name)})
        assert row is not None
        return rows.read_look(row)

    async def place(self) -> Place:
        place = (await self.look()).place
        assert place is not None
        return place

    @property
    def core(self) -> Core:
        return self.store.core

    async def happen(self, count: int) -> list[int]:
        """So many events more; their seqs."""

        def change(tx: Transaction) -> list[int]:
            names = (f"happening/{self.core.identifiers.new()}" for _ in range(count))
            return [tx.emit(RepositoryCreated(Repository(name), DEFAULT_DOMAIN)) for name in names]

        return await self.core.database.write("somebody", change)

    async def catch_up(self) -> None:
        """Take turns until there is nothing to do at this time."""
        for _ in range(100):
            look = await self.look()
            if look.place is not None and (
                look.stopped
                or look.place.next_attempt_at > self.clock.now()
                or (look.place.cursor >= look.head and not look.queued)
            ):
                return
            await self.runner.turn()
        raise AssertionError("it does not come to rest")


@asynccontextmanager
async def following(
    database: str | Path, dataplane: DataPlane, clock: FakeClock | None = None, **more: Any
) -> AsyncIterator[Following]:
    """A store whose follower runs only when it is told to."""
    clock = clock or FakeClock()
    shelf = Shelf()
    follower = Follower("shelf", lambda: shelf, target="here", **more)
    store = await open_store(dataplane, database, clock=clock, followers=(follower,))
    runner = Runner(store.core, follower)
    try:
        yield Following(store, store.for_principal(ALICE), clock, follower, shelf, runner)
    finally:
        await runner.close()
        await store.close()
