"""Mutations share transactions, and are as independent as if they did not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.events import RepositoryCreated
from registry.contract.names import Repository
from registry.control.sql.statements import run
from registry.control.sql.transaction import Transaction
from tests.control.world import World, refused

Change = Callable[[Transaction], Any]


def create(name: str, error: Exception | None = None) -> Change:
    """A mutation that emits one event, then raises `error` if there is one."""

    def change(tx: Transaction) -> int:
        seq = tx.emit(RepositoryCreated(Repository(name), DEFAULT_DOMAIN))
        if error is not None:
            raise error
        return seq

    return change


async def gather(world: World, changes: list[Change]) -> list[Any]:
    database = world.store.core.database
    writes = (database.write("somebody", change) for change in changes)
    return await asyncio.gather(*writes, return_exceptions=True)


async def gapless(world: World) -> list[int]:
    page = await world.session.ledger.page(after=0, limit=10_000)
    numbers = [event.seq for event in page.items]
    assert numbers == list(range(1, len(numbers) + 1))
    assert await world.head() == len(numbers)
    return numbers


async def test_every_mutation_gets_its_own_number(world: World) -> None:
    outcomes = await gather(world, [create(f"r{number}") for number in range(300)])
    assert sorted(outcomes) == list(range(1, 301))
    await gapless(world)
    await world.check()


async def test_mutations_share_transactions(world: World) -> None:
    sizes: list[int] = []
    world.store.core.database._on_batch = sizes.append  # type: ignore[attr-defined]
    await gather(world, [create(f"r{number}") for number in range(300)])
    assert sum(sizes) == 300
    assert len(sizes) < 30


@pytest.mark.parametrize("alone", [True, False])
async def test_a_failure_undoes_its_own_part_alone(world: World, alone: bool) -> None:
    changes = [create(f"r{number}") for number in range(0 if alone else 20)]
    changes.insert(len(changes) // 2, create("bad", ValueError("no")))
    outcomes = await gather(world, changes)
    assert [str(outcome) for outcome in outcomes if isinstance(outcome, Exception)] == ["no"]
    assert len(await gapless(world)) == len(changes) - 1
    found = await world.session.manifests.repositories(after=None, limit=100)
    assert "bad" not in found.items
    assert len(found.items) == len(changes) - 1
    await world.check()


async def test_a_broken_constraint_is_our_fault_and_disturbs_nobody(world: World) -> None:
    changes = [create(name) for name in ("a", "same", "b", "same", "c")]
    outcomes = await gather(world, changes)
    errors = [outcome for outcome in outcomes if isinstance(outcome, StoreError)]
    assert [error.kind for error in errors] == [ErrorKind.INTERNAL]
    assert len(await gapless(world)) == 4
    await world.check()


@pytest.mark.parametrize("alone", [True, False])
async def test_a_faulty_statement_is_never_unavailable(world: World, alone: bool) -> None:
    def raw(tx: Transaction) -> None:
        run(tx.connection, "SELECT nothing FROM nowhere")

    def by_sqlalchemy(tx: Transaction) -> None:
        tx.connection.execute(text("SELECT nothing FROM nowhere"))

    for faulty in (raw, by_sqlalchemy):
        changes: list[Change] = [faulty] if alone else [create(f"{faulty.__name__[:2]}-x"), faulty]
        outcome = (await gather(world, changes))[-1]
        assert isinstance(outcome, StoreError)
        assert outcome.kind is ErrorKind.INTERNAL


async def test_faulty_reads_are_never_unavailable(world: World) -> None:
    database = world.store.core.database
    async with refused(world, ErrorKind.INTERNAL):
        await database.fetch("SELECT nothing FROM nowhere", {})
    async with refused(world, ErrorKind.INTERNAL):
        await database.fetch_one("SELECT nothing FROM nowhere", {})
    async with refused(world, ErrorKind.INTERNAL):
        await database.read(lambda connection: connection.execute(text("SELECT nothing FROM nowhere")).all())


async def test_what_a_mutation_raises_comes_as_it_is(world: World) -> None:
    outcomes = await gather(world, [create("x", StoreError(ErrorKind.HELD, "held"))])
    assert isinstance(outcomes[0], StoreError)
    assert outcomes[0].kind is ErrorKind.HELD
    assert not isinstance(outcomes[0].__cause__, SQLAlchemyError)


async def test_times_never_decrease(world: World) -> None:
    await gather(world, [create("first")])
    world.clock.time -= 10**9
    await gather(world, [create("second")])
    page = await world.session.ledger.page(after=0, limit=10)
    assert page.items[0].time <= page.items[1].time
    assert (await world.fsck()).faults == []


async def test_a_caller_who_leaves_changes_nothing_for_others(world: World) -> None:
    database = world.store.core.database
    left = asyncio.ensure_future(database.write("somebody", create("left")))
    others = [asyncio.ensure_future(gather(world, [create(f"r{n}")])) for n in range(5)]
    await asyncio.sleep(0)
    left.cancel()
    assert sorted([(await other)[0] for other in others])[-1] in (5, 6)
    await gapless(world)


async def test_closing_finishes_what_is_queued(world: World) -> None:
    writes = asyncio.ensure_future(gather(world, [create(f"r{n}") for n in range(50)]))
    for _ in range(3):
        await asyncio.sleep(0)
    await world.store.close()
    assert all(isinstance(outcome, int) for outcome in await writes)
    with pytest.raises(StoreError) as caught:
        await world.store.core.database.write("somebody", create("late"))
    assert caught.value.kind is ErrorKind.UNAVAILABLE
