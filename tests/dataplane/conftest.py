"""The stores under test: every kind of driver below the same engine, checked for leftovers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.dataplane.engine import Engine
from tests.dataplane.support import KINDS, open_engine
from tests.drivers.leftovers import open_below, threads


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    """An empty store. Fails when a descriptor, a thread or a held byte is left after closing."""
    engine = open_engine(request.param, tmp_path / "store")
    yield engine
    assert engine.budget.held == 0
    await engine.close()
    assert open_below(tmp_path) == []
    assert threads() == []
