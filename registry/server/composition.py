"""The parts of one worker, put together by the settings: data plane, store, faces, app."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import native_api
import oci
from registry.contract.dataplane import Codec, DomainId
from registry.control import Care, Limits, PackPolicy, RepositoryPolicy, Store, open_store
from registry.control.export.lineage import require_whole
from registry.control.export.state import status
from registry.control.sql.inspection import open_uploads
from registry.server.app import App
from registry.server.auth import OpenAuthenticator
from registry.server.board import Board
from registry.server.exporting import export_of, gauges_of
from registry.server.folder import database_of, has_folder
from registry.server.followers import followers_of
from registry.server.logs import Log
from registry.server.operations import Operations, Readiness
from registry.server.settings import PackRule, RepositoryRule, Settings
from registry.server.storage import open_dataplane
from registry.server.tiering import placement_of, tier_policy_of

_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker runs."""

    app: App
    readiness: Readiness


@asynccontextmanager
async def open_parts(settings: Settings, board: Board, worker: int, log: Log) -> AsyncIterator[Parts]:
    """Open everything in this event loop, and close it in the opposite order.

    Raises StoreError and OSError with a sentence when the store cannot be opened.
    """
    row = board.row(worker)
    dataplane = await open_dataplane(settings, observer=row.storage)
    try:
        store = await open_store(
            dataplane,
            database_of(settings),
            limits=limits_of(settings),
            policies=policies_of(settings),
            followers=followers_of(settings),
            export=export_of(settings, make=True),
            tiers=tier_policy_of(settings),
            placement=placement_of(settings),
            on_batch=row.batch,
            connections=settings.database.connections,
        )
        try:
            await require_whole(store.core)
            store.start_background(care_of(settings))
            readiness = Readiness({"database": store.core.database.head, "storage": dataplane.check_writable})
            folder = settings.server.data if has_folder(settings) else None
            scrape = _Scrape(board, store, folder)
            app = App(
                oci=oci.Face(oci_limits_of(settings)),
                native=native_api.Face(native_limits_of(settings)),
                operations=Operations(readiness, scrape.render, program_version()),
                authenticator=OpenAuthenticator(await store.principal("anonymous")),
                sessions=store.for_principal,
                row=row,
                access=log.access if log.access_enabled else None,
                behind_proxy=settings.server.behind_proxy,
            )
            yield Parts(app, readiness)
        finally:
            await store.close()
    finally:
        await dataplane.close()


def program_version() -> str:
    """The installed version; `0` where the program runs from a folder that was never installed."""
    try:
        return version("artifact-store")
    except PackageNotFoundError:
        return "0"


def policies_of(settings: Settings) -> tuple[RepositoryPolicy, ...]:
    """The repository rules as the control plane takes them, and one for all that no rule matches."""
    pack = settings.pack
    others = PackRule(pack.after, pack.at_least, pack.at_most, pack.codec, pack.level)
    return tuple(
        RepositoryPolicy(
            match=rule.match,
            sparse=rule.sparse,
            immutable_tags=rule.immutable_tags,
            domain=DomainId(rule.domain),
            untagged_after=_microseconds(rule.untagged_after),
            pack=PackPolicy(
                after=_microseconds(rule.pack.after),
                at_least=rule.pack.at_least,
                at_most=rule.pack.at_most,
                codec=Codec(rule.pack.codec),
                level=rule.pack.level,
            ),
        )
        for rule in (*settings.repositories, RepositoryRule("*", pack=others))
    )


def limits_of(settings: Settings) -> Limits:
    """The limits as the control plane takes them."""
    return Limits(
        manifest_bytes=settings.limits.manifest_bytes,
        blob_bytes=settings.uploads.max_bytes,
        upload_idle=int(settings.uploads.expiry * _MICROSECONDS),
        open_uploads=settings.uploads.open,
        draft_idle=int(settings.uploads.draft_expiry * _MICROSECONDS),
        content_lease=int(settings.care.lease * _MICROSECONDS),
        removal_delay=int(settings.care.delay * _MICROSECONDS),
        orphan_grace=int(settings.care.orphans * _MICROSECONDS),
    )


def care_of(settings: Settings) -> Care:
    """When the store looks after itself, as the control plane takes it. Zero means never."""
    care = settings.care
    return Care(
        collect_every=_microseconds(care.collect or None),
        orphans_every=int(care.orphans * _MICROSECONDS),
        # In a bucket blobs stay whole.
        pack_every=_microseconds(settings.pack.every or None) if settings.storage.url is None else None,
        pack_rate=settings.pack.rate,
        move_every=_microseconds(settings.tiers.every or None),
        move_rate=settings.tiers.rate,
        scrub_rate=care.scrub_bytes or None,
        scrub_every=int(care.scrub_age * _MICROSECONDS),
    )


def _microseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * _MICROSECONDS)


def oci_limits_of(settings: Settings) -> oci.Limits:
    """The limits as the OCI face takes them."""
    return oci.Limits(
        manifest_bytes=settings.limits.manifest_bytes,
        idle_timeout=settings.limits.idle,
        stall_timeout=settings.limits.stall,
    )


def native_limits_of(settings: Settings) -> native_api.Limits:
    """The limits as the native face takes them."""
    return native_api.Limits(
        upload_size=settings.uploads.max_bytes,
        idle_timeout=settings.limits.idle,
        stall_timeout=settings.limits.stall,
    )


class _Scrape:
    """Renders `/metrics`; what the disk has left only where there is a data `folder`."""

    def __init__(self, board: Board, store: Store, folder: Path | None) -> None:
        self._board = board
        self._store = store
        self._folder = folder

    async def render(self) -> tuple[bytes, str]:
        # Late: a server nobody scrapes starts without it.
        from registry.server.exposition import render
        from registry.server.follower_metrics import follower_families
        from registry.server.tier_metrics import tier_families

        database = self._store.core.database
        gauges: dict[str, tuple[str, float]] = {
            "ledger_head": ("Sequence number of the last event", await database.head()),
            "uploads_open": ("Upload sessions that are not complete", await open_uploads(database)),
        }
        if self._folder is not None:
            disk = os.statvfs(self._folder)
            gauges |= {
                "storage_free_bytes": (
                    "Free on the data folder's file system",
                    disk.f_bavail * disk.f_frsize,
                ),
                "storage_total_bytes": ("Size of that file system", disk.f_blocks * disk.f_frsize),
            }
        state = await self._store.upkeep()
        if state.scrub.oldest is not None:
            age = max(state.now - state.scrub.oldest, 0) / _MICROSECONDS
            gauges["scrub_oldest_age_seconds"] = ("Since the content verified longest ago was", age)
        gauges["content_missing"] = ("Contents whose bytes are absent or corrupt", state.scrub.missing)
        if self._store.core.export is not None:
            gauges |= gauges_of(await status(self._store.core))
        gauges["packs_dead_bytes"] = ("Bytes in packs that nothing needs", state.dead_bytes)
        counters = {
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
        return render(self._board, gauges, counters, families, program_version())
