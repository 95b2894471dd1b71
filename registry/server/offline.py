"""The store opened by a command instead of a server: for looking after it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from registry.contract.dataplane import DataPlane
from registry.control import Store, open_store
from registry.server.composition import limits_of, policies_of
from registry.server.exporting import export_of
from registry.server.folder import database_of
from registry.server.settings import Settings
from registry.server.storage import open_dataplane
from registry.server.tiering import placement_of, tier_policy_of


@dataclass(frozen=True, slots=True)
class Opened:
    """A store and its data plane, without a server."""

    store: Store
    dataplane: DataPlane


@asynccontextmanager
async def open_stored(settings: Settings) -> AsyncIterator[Opened]:
    """Open the store of the settings, which must be there. Raises StoreError, OSError."""
    dataplane = await open_dataplane(settings)
    try:
        store = await open_store(
            dataplane,
            database_of(settings),
            limits=limits_of(settings),
            policies=policies_of(settings),
            tiers=tier_policy_of(settings),
            placement=placement_of(settings),
            export=export_of(settings),
            connections=settings.database.connections,
        )
        try:
            yield Opened(store, dataplane)
        finally:
            await store.close()
    finally:
        await dataplane.close()
