"""Random histories in which content moves, is lost, comes back and is pushed again."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from registry.contract.dataplane import DEFAULT_DOMAIN, DataPlane, RetrievalTier
from registry.contract.errors import ErrorKind, StoreError
from registry.control import open_store
from registry.control.sql import lookups, movable
from registry.control.tiers import moving, restoring
from registry.control.tiers.policy import TierPolicy, TierRule
from tests.control import test_histories
from tests.control.servers import PostgresServer
from tests.control.test_histories import Place
from tests.control.tiers.world import move, release, robot
from tests.control.world import ALICE, FakeClock, FakeIdentifiers, World, blake3, sha256, whole
from tests.dataplane.placed import SHELF, TAPE, open_placed, prepare_places

#: Each repository wants something else, so that what several have goes by the most reluctant.
RULES = TierPolicy(
    (
        TierRule(TAPE, match=("a",)),
        TierRule(SHELF, match=("a/b",)),
        TierRule("local", match=("b-c",), at_most=9),
    ),
    rest=0,
)


class TieredHistories(test_histories.Histories):
    """Content moves for real; what is away is known by what the ledger says of it."""

    async def open(self, place: Place) -> list[World]:
        worlds, clock, identifiers = [], FakeClock(), FakeIdentifiers()
        for _ in range(place.replicas):
            dataplane = await place.open()
            self.stack.push_async_callback(dataplane.close)
            store = await open_store(
                dataplane, place.database, clock=clock, identifiers=identifiers, tiers=RULES
            )
            self.stack.push_async_callback(store.close)
            worlds.append(World(store, dataplane, place.database, clock, store.for_principal(ALICE)))
        return worlds

    @rule(deletes=st.booleans())
    def change_tier(self, deletes: bool) -> None:
        """A pass, and perhaps the deletion of what has moved."""
        self.checked = False
        self.run(move(self.world))
        if deletes:
            self.run(release(self.world))
        self.run(self.learn_what_is_away())

    @precondition(lambda self: self.away)
    @rule(data=st.data(), brought=st.booleans())
    def restore(self, data: st.DataObject, brought: bool) -> None:
        payload = data.draw(st.sampled_from(sorted(self.away)))
        kind = None if self.readable(payload) and payload not in self.missing else ErrorKind.CONTENT_UNKNOWN
        self.expect(kind, self.world.session.contents.restore(sha256(payload)))
        if brought:
            robot(Path(self.folder.name))
            self.run(restoring.watch(self.world.store.core))
        self.run(self.learn_what_is_away())

    async def learn_what_is_away(self) -> None:
        """Whatever moved can be read where the ledger says so, and where not it says that it is away."""
        self.away = set()
        for payload in self.known - self.missing:
            world = self.world
            blob = await world.store.core.database.read(
                partial(lookups.find_blob, domain=DEFAULT_DOMAIN, address=blake3(payload))
            )
            assert blob is not None
            held = await world.store.core.database.read(partial(movable.places, low=blob.id, high=blob.id))
            at_hand = {
                RetrievalTier(place.tier) in (RetrievalTier.HOT, RetrievalTier.WARM)
                or place.restore_status == "available"
                for place in held[blob.id]
            }
            there = {one.name for one in await world.dataplane.locations(DEFAULT_DOMAIN, blake3(payload))}
            assert {place.location for place in held[blob.id]} <= there
            if True not in at_hand:
                self.away.add(payload)
        await self.read_all()

    async def read_all(self) -> None:
        for repository, model in self.model.items():
            for payload in model.blobs - self.missing:
                reading = await self.world.session.blobs.get(repository, sha256(payload))
                try:
                    assert await whole(reading.stream()) == payload
                    assert payload not in self.away
                except StoreError as error:
                    assert error.kind is ErrorKind.RESTORE_REQUIRED
                    assert payload in self.away

    def teardown(self) -> None:
        try:
            self.run(moving.release(self.world.store.core, wait=False))
        finally:
            super().teardown()


def on_three_places(folder: Path, database: str | Path, replicas: int) -> Place:
    async def opened() -> DataPlane:
        await prepare_places(folder)
        return open_placed(folder)

    return Place(database, opened, replicas)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_histories_with_moves(engine: str, request: pytest.FixtureRequest) -> None:
    def new_place(folder: Path) -> Place:
        if engine == "sqlite":
            return on_three_places(folder, folder / "ledger.sqlite", 1)
        server: PostgresServer = request.getfixturevalue("postgres")
        return on_three_places(folder, server.new_database(), 2)

    examples = int(os.environ.get("HISTORIES", "8"))
    if engine == "postgresql":  # two replicas, each step a dozen round trips
        examples = -(-examples // 4)

    class Machine(TieredHistories):
        pass

    Machine.new_place = staticmethod(new_place)
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
