"""A store whose ledger is exported to a folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.contract.archive import Archive
from registry.contract.dataplane import DataPlane
from registry.control.export import Export
from registry.dataplane.archives import folder_archive
from tests.control.world import World, open_world


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Where it goes."""
    folder = tmp_path / "storage"
    folder.mkdir()
    return folder_archive(folder)


@pytest.fixture
async def exported(database: str | Path, dataplane: DataPlane, archive: Archive) -> AsyncIterator[World]:
    """A fresh store with an export."""
    async with open_world(database, dataplane, export=Export(archive)) as opened:
        yield opened
