"""The stores under test: every kind of driver below the same engine, checked for leftovers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.contract.dataplane import DataPlane
from registry.dataplane import open_s3
from tests.dataplane.placed import open_moved, open_placed, prepare_places
from tests.dataplane.sealed import SEAL
from tests.dataplane.support import IMPATIENT, KINDS, engine_of, open_engine
from tests.drivers.leftovers import open_below, threads
from tests.objectstore.asking import unfinished


@pytest.fixture(params=["plain", "sealed"])
def form(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """How stores in `tmp_path` hold what they are given: modules ask for it to run once for each."""
    if request.param == "sealed":
        (tmp_path / "keys").mkdir(mode=0o700)
    return str(request.param)


@pytest.fixture
def seal(form: str) -> int:
    """Bytes that such a store adds to what it stores of a record."""
    return SEAL if form == "sealed" else 0


@pytest.fixture(params=[*KINDS, "placed", "moved", pytest.param("s3", marks=pytest.mark.slow)])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[DataPlane]:
    """An empty store. Fails when a descriptor, a thread or a held byte is left after closing.

    One that is `placed` has more places, in which all content of one that is `moved` lies.
    """
    opened: DataPlane
    if request.param == "s3":
        where = request.getfixturevalue("s3")
        opened = await open_s3(where, settings=IMPATIENT)
    elif request.param in ("placed", "moved"):
        await prepare_places(tmp_path)
        opened = open_moved(tmp_path) if request.param == "moved" else open_placed(tmp_path)
    else:
        opened = open_engine(request.param, tmp_path / "store")
    yield opened
    assert engine_of(opened).budget.held == 0
    await opened.close()
    if request.param == "s3":
        assert await unfinished(where) == []
    assert open_below(tmp_path) == []
    assert threads() == []
