"""Stores of several places, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.control.tiers.world import TO_SHELF, TO_TAPE, open_tiered
from tests.control.world import World


@pytest.fixture
async def shelved(database: str | Path, tmp_path: Path) -> AsyncIterator[World]:
    """Content that is a week old belongs to a shelf, which answers at once."""
    async with open_tiered(database, tmp_path, TO_SHELF) as world:
        yield world


@pytest.fixture
async def taped(database: str | Path, tmp_path: Path) -> AsyncIterator[World]:
    """Content that is a week old belongs to a tape, which has to be asked."""
    async with open_tiered(database, tmp_path, TO_TAPE) as world:
        yield world
