"""What `/metrics` tells: what this process counts, and what the store knows when it answers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from registry.contract.errors import StoreError
from registry.control import Store
from registry.control.export.state import status
from registry.control.sql.inspection import open_uploads
from registry.server.board import Board
from registry.server.exporting import gauges_of

if TYPE_CHECKING:
    from registry.server.exposition import Family

_MICROSECONDS = 1_000_000

_Samples = dict[str, tuple[str, float]]


@dataclass(frozen=True, slots=True)
class _Told:
    """What the store said of itself."""

    gauges: _Samples = field(default_factory=dict)
    counters: _Samples = field(default_factory=dict)
    families: Sequence[Family] = ()


class Scrape:
    """Renders `/metrics`; what the disk has left only where there is a data `folder`."""

    def __init__(self, board: Board, store: Store, folder: Path | None, version: str) -> None:
        self._board = board
        self._store = store
        self._folder = folder
        self._version = version

    async def render(self) -> tuple[bytes, str]:
        """The text and its content type. In an outage the store's part is missing, and nothing else."""
        # Late: a server nobody scrapes starts without it.
        from registry.server.exposition import render

        try:
            told, answers = await self._ask_store(), 1
        except StoreError:
            told, answers = _Told(), 0
        gauges = {**told.gauges, "answers": ("1 where the store said how it is, else 0", answers)}
        if self._folder is not None:
            disk = os.statvfs(self._folder)
            gauges |= {
                "storage_free_bytes": (
                    "Free on the data folder's file system",
                    disk.f_bavail * disk.f_frsize,
                ),
                "storage_total_bytes": ("Size of that file system", disk.f_blocks * disk.f_frsize),
            }
        return render(self._board, gauges, told.counters, told.families, self._version)

    async def _ask_store(self) -> _Told:
        from registry.server.follower_metrics import follower_families
        from registry.server.tier_metrics import tier_families

        database = self._store.core.database
        gauges: _Samples = {
            "ledger_head": ("Sequence number of the last event", await database.head()),
            "uploads_open": ("Upload sessions that are not complete", await open_uploads(database)),
        }
        state = await self._store.upkeep()
        if state.scrub.oldest is not None:
            age = max(state.now - state.scrub.oldest, 0) / _MICROSECONDS
            gauges["scrub_oldest_age_seconds"] = ("Since the content verified longest ago was", age)
        gauges["content_missing"] = ("Contents whose bytes are absent or corrupt", state.scrub.missing)
        if self._store.core.export is not None:
            gauges |= gauges_of(await status(self._store.core))
        gauges["packs_dead_bytes"] = ("Bytes in packs that nothing needs", state.dead_bytes)
        counters: _Samples = {
            "scrub_contents": ("Contents whose bytes were read", state.scrub.contents),
            "scrub_bytes": ("Bytes that were read", state.scrub.bytes),
            "scrub_faults": ("Contents found absent, corrupt or unreadable", state.scrub.faults),
            "collection_removed": ("Contents that a collection removed", state.removed),
            "collection_freed_bytes": ("Bytes that collections deleted", state.freed_bytes),
            "packed_blobs": ("Blobs moved to packs", state.packed.blobs),
            "packed_bytes": ("Bytes of content moved to packs", state.packed.bytes),
            "packed_stored_bytes": ("Bytes that packs took for it", state.packed.added),
            "rewritten_bytes": ("Bytes that rewriting packs freed", state.rewritten_bytes),
        }
        tiers = await self._store.tiers()
        counters["moved_contents"] = ("Contents that moved to another location", tiers.moved.objects)
        counters["moved_bytes"] = ("Bytes of content that moved", tiers.moved.bytes)
        families = follower_families(await self._store.followers()) + tier_families(tiers)
        return _Told(gauges, counters, families)
