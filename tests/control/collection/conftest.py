"""Stores whose clock can be put forward, over each database that they can have."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.control.collection.world import World, open_world


@pytest.fixture
async def world(tmp_path: Path, database: str | Path) -> AsyncIterator[World]:
    """A store on each database in turn."""
    async with open_world(tmp_path, database) as opened:
        yield opened


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[World]:
    """A store on SQLite, for what does not depend on the database."""
    async with open_world(tmp_path, tmp_path / "ledger.sqlite") as opened:
        yield opened
