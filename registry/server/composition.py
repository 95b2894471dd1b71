"""The parts of one worker, put together by the settings: data plane, store, faces, app."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import native_api
import oci
from registry.contract.dataplane import Codec, DomainId
from registry.control import Care, Limits, PackPolicy, RepositoryPolicy, open_store
from registry.control.export.lineage import require_whole
from registry.server.app import App
from registry.server.auth import OpenAuthenticator
from registry.server.board import Board
from registry.server.exporting import export_of
from registry.server.folder import database_of, has_folder
from registry.server.followers import followers_of
from registry.server.logs import Log
from registry.server.operations import Operations, Readiness
from registry.server.scraping import Scrape
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
            readiness = Readiness({"database": store.check_database, "storage": dataplane.check_writable})
            folder = settings.server.data if has_folder(settings) else None
            scrape = Scrape(board, store, folder, program_version())
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
