"""Replicas on one PostgreSQL database go by its clock, whatever their machines think that it is."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from registry.contract.errors import ErrorKind, StoreError
from registry.control import Store, open_store
from registry.control.core import DAY, HOUR, SECOND
from registry.control.sql.shared_clock import SharedClock
from registry.control.work import hold
from registry.dataplane import open_memory
from tests.control import servers
from tests.control.world import ALICE

REAL_TIME = time.time_ns


class Machine:
    """A machine whose clock is wrong by so many microseconds while something runs on it."""

    def __init__(self) -> None:
        self.wrong_by = 0

    def time_ns(self) -> int:
        return REAL_TIME() + self.wrong_by * 1000


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made = Machine()
    monkeypatch.setattr(time, "time_ns", made.time_ns)
    yield made


def real_now() -> int:
    return REAL_TIME() // 1000


@asynccontextmanager
async def opened(database: str) -> AsyncIterator[Store]:
    dataplane = open_memory()
    store = await open_store(dataplane, database)
    try:
        yield store
    finally:
        await store.close()
        await dataplane.close()


@pytest.mark.parametrize("wrong_by", [2 * HOUR, -40 * DAY])
async def test_a_wrong_clock_moves_neither_leases_nor_the_ledger(
    postgres: servers.PostgresServer, machine: Machine, wrong_by: int
) -> None:
    machine.wrong_by = wrong_by
    async with opened(postgres.new_database()) as store:
        assert abs(store.core.clock.now() - real_now()) < 5 * SECOND
        await store.principal("somebody")
        upload = await store.for_principal(ALICE).uploads.create(None)
        assert abs(upload.expires_at - DAY - real_now()) < 5 * SECOND


async def test_who_has_a_wrong_clock_takes_no_work_from_who_holds_it(
    postgres: servers.PostgresServer, machine: Machine
) -> None:
    database = postgres.new_database()
    async with opened(database) as first, hold(first.core, "work"):
        machine.wrong_by = 2 * HOUR
        async with opened(database) as second:
            with pytest.raises(StoreError) as refused:
                async with hold(second.core, "work"):
                    pass
            assert refused.value.kind is ErrorKind.UNAVAILABLE


class Told:
    """A clock by a counter that a test moves."""

    def __init__(self) -> None:
        self.count = 0
        self.clock = SharedClock(lambda: self.count)

    def hear(self, told: int, took: int) -> None:
        asked = self.count
        self.count += took
        self.clock.hear(told, asked)


def test_the_clock_goes_on_from_what_it_was_told() -> None:
    it = Told()
    it.hear(1_000_000, took=10)
    assert it.clock.now() == 1_000_005
    it.count += 700
    assert it.clock.now() == 1_000_705


@pytest.mark.parametrize(
    ("told", "took", "then"),
    [
        (1_500_000, 500_000, 1_500_005),  # said when it was asked or when it answered: either agrees
        (1_000_010, 500_000, 1_500_005),
        (2_000_000, 10, 2_000_000),  # the server's clock was put forward
        (900_000, 10, 900_010),  # and back
    ],
)
def test_an_answer_that_waited_moves_the_clock_only_as_far_as_it_must(
    told: int, took: int, then: int
) -> None:
    it = Told()
    it.hear(1_000_000, took=10)
    it.hear(told, took)
    assert it.clock.now() == then
