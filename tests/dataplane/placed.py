"""Stores of several places, for tests."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from registry.contract.dataplane import Content, DataPlane, DomainId, Place, RetrievalTier, Stage
from registry.contract.digest import Algorithm, Digest
from registry.dataplane import FolderSettings, KeyRing, Secondary, open_local, prepare
from registry.dataplane.places.store import PlacedStore
from registry.dataplane.sealing.keyring import nothing
from registry.dataplane.settings import DataPlaneSettings
from tests.dataplane.support import IMPATIENT

SHELF, TAPE = "shelf", "tape"


def shelf(root: Path) -> Secondary:
    """Another disk, which answers at once."""
    return Secondary(Place(SHELF, RetrievalTier.WARM, "de", primary=False), root / SHELF)


def tape(root: Path, *command: str) -> Secondary:
    """What has to be fetched, by `command` where there is one."""
    place = Place(TAPE, RetrievalTier.ARCHIVE, "fr", primary=False)
    return Secondary(place, FolderSettings(root / TAPE, restore_days=1, command=command))


def open_placed(
    root: Path,
    *others: Secondary,
    settings: DataPlaneSettings = IMPATIENT,
    keys: KeyRing | None = None,
) -> PlacedStore:
    """A store in `root/data` with these places beside it, or with a shelf and a tape in `root`."""
    found = open_local(
        root / "data", settings=settings, keys=keys, others=others or (shelf(root), tape(root))
    )
    assert isinstance(found, PlacedStore)
    return found


async def prepare_places(root: Path) -> None:
    for place in (shelf(root), tape(root)):
        await prepare(place)


class Moved(PlacedStore):
    """A store whose content goes on to the shelf as soon as it is there, and is nowhere else."""

    async def put(self, domain: DomainId, data: bytes, extra: Algorithm | None = None) -> Content:
        return await self._moved(domain, await super().put(domain, data, extra))

    async def commit(self, stage: Stage, expected: Digest | None) -> Content:
        return await self._moved(stage.domain, await super().commit(stage, expected))

    async def _moved(self, domain: DomainId, content: Content) -> Content:
        await self.copy(domain, content.blake3, SHELF)
        await self.release(domain, content.blake3, "local")
        return content


def open_moved(root: Path) -> Moved:
    """Such a store over the places of `open_placed`."""
    placed = open_placed(root)
    return Moved(placed._engine, placed._others, nothing)


def answer_requests(folder: Path) -> int:
    """Do what a robot does: bring each file that is asked for in the folder of a tape. Returns how many."""
    count = 0
    for request in (folder / "requests").rglob("*"):
        if request.is_file():
            asked = json.loads(request.read_text())
            target = folder / asked["to"]
            beside = target.with_suffix(".coming")
            shutil.copyfile(folder / asked["from"], beside)
            beside.rename(target)
            count += 1
    return count


async def held_at(store: DataPlane, domain: DomainId, address: Digest) -> set[str]:
    """The names of the places that hold content."""
    return {location.name for location in await store.locations(domain, address)}
