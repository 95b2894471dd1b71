"""The store as a whole: opened, asked for sessions, closed. What a server, a tool or a library user holds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from registry.contract.dataplane import DataPlane
from registry.contract.errors import StoreError
from registry.contract.model import FollowerStatus, Principal, StoreUsage
from registry.contract.names import Repository
from registry.contract.ports import Clock, Identifiers
from registry.control import collection, packing, scrubbing, usage, work
from registry.control.access import Caller, allow_all
from registry.control.background import Background, Care
from registry.control.blobs import BlobService
from registry.control.cache import ByteCache
from registry.control.closed import check_open
from registry.control.contents import ContentService
from registry.control.core import Core, Limits, Policies, RepositoryPolicy, SystemClock, UuidIdentifiers
from registry.control.drafts import DraftService
from registry.control.export import Export
from registry.control.followers import Follower
from registry.control.followers.administration import FollowerService, statuses
from registry.control.ledger import LedgerService
from registry.control.manifests import ManifestService
from registry.control.packages import PackageService
from registry.control.principals import principal_named
from registry.control.schemas import SchemaService
from registry.control.sql.database import OnBatch, ignore_batch
from registry.control.sql.opening import is_server, open_database
from registry.control.sql.shared_clock import SharedClock
from registry.control.tiers import reads
from registry.control.tiers.places import Placement, Places
from registry.control.tiers.policy import TierPolicy
from registry.control.tiers.read_log import ReadLog
from registry.control.tiers.status import TierStatus, status_of
from registry.control.uploads import UploadService


@dataclass(frozen=True, slots=True)
class PrincipalSession:
    """Implements `registry.contract.store.Session`: the use cases, bound to one principal."""

    principal: Principal
    uploads: UploadService
    blobs: BlobService
    manifests: ManifestService
    packages: PackageService
    drafts: DraftService
    contents: ContentService
    schemas: SchemaService
    ledger: LedgerService
    followers: FollowerService
    caller: Caller

    async def usage(self, *, after: str | None, limit: int) -> StoreUsage:
        return await usage.usage(self.caller, after=after, limit=limit)


@dataclass(frozen=True, slots=True)
class Upkeep:
    """The outcome of background work. `removed` contents, `freed_bytes` and `rewritten_bytes` are since the
    beginning, `dead_bytes` are in packs now."""

    now: int
    scrub: scrubbing.ScrubState
    removed: int
    freed_bytes: int
    rewritten_bytes: int
    dead_bytes: int
    packed: packing.PackState


class Store:
    """One content-addressed store. Made by `open_store`."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self._sessions: dict[str, PrincipalSession] = {}
        self._background: Background | None = None

    def for_principal(self, principal: Principal) -> PrincipalSession:
        """What `principal` can do. Sessions hold no state and are kept, so that asking costs nothing."""
        session = self._sessions.get(principal.id)
        if session is None:
            session = self._sessions[principal.id] = _session(Caller(self.core, principal))
        return session

    async def principal(self, name: str) -> Principal:
        """The principal called `name`, who gets an id with the first call."""
        return await principal_named(self.core, name)

    def start_background(self, care: Care | None = None) -> None:
        """Begin to reap, collect, pack, scrub, follow: each in one of several processes, others stand by."""
        if self._background is None:
            self._background = Background(self.core, care or Care())
            self._background.start()

    async def upkeep(self) -> Upkeep:
        """How the store is kept, for metrics."""
        state = await work.load(self.core, collection.WORK)
        return Upkeep(
            self.core.clock.now(),
            await scrubbing.state_of(self.core),
            int(state.get("removed", 0)),
            int(state.get("freed_bytes", 0)),
            int(state.get("rewritten_bytes", 0)),
            await self.core.dataplane.dead(0),
            await packing.state_of(self.core),
        )

    async def followers(self) -> tuple[FollowerStatus, ...]:
        """How the followers that are set fare, for metrics."""
        return tuple(status for status in await statuses(self.core) if status.configured)

    async def tiers(self) -> TierStatus:
        """How locations fare, for metrics."""
        return await status_of(self.core)

    async def check(self) -> None:
        """Readiness: the database answers and the data plane takes writes. Raises StoreError."""
        await self.check_database()
        await self.core.dataplane.check_writable()

    async def check_database(self) -> None:
        """The database answers, and takes writes as far as that can be told. Raises StoreError."""
        await check_open(self.core.database)

    async def close(self) -> None:
        """Finish writes and let go of the database. The data plane belongs to who opened it."""
        if self._background is not None:
            await self._background.stop()
            self._background = None
        with suppress(StoreError):  # a database that is away does not keep anybody from ending
            await reads.flush(self.core)
        await self.core.database.close()
        if self.core.export is not None:
            await self.core.export.archive.close()


async def open_store(
    dataplane: DataPlane,
    database: str | Path,
    *,
    limits: Limits | None = None,
    policies: tuple[RepositoryPolicy, ...] = (),
    clock: Clock | None = None,
    identifiers: Identifiers | None = None,
    authorize: Callable[[Principal, str, Repository | None], None] = allow_all,
    followers: tuple[Follower, ...] = (),
    export: Export | None = None,
    tiers: TierPolicy | None = None,
    placement: Placement | None = None,
    on_batch: OnBatch = ignore_batch,
    connections: int | None = None,
) -> Store:
    """Open the store whose ledger is in `database`: a file's path, or a `postgresql://` URL.

    A file is created and migrated; a server's schema is checked, and made where there is none, over so many
    `connections` at most. `on_batch` is told how many mutations each transaction carried, by the writer's
    thread. Raises StoreError UNAVAILABLE or INTERNAL with a sentence that says what to do.
    """
    limits = limits or Limits()
    clock = clock or (SharedClock() if is_server(database) else SystemClock())
    tiers, placement = tiers or TierPolicy(), placement or Placement()
    places = Places(dataplane.places())
    placement.check_arrivals(places)
    core = Core(
        database=await open_database(database, clock, on_batch, connections),
        dataplane=dataplane,
        clock=clock,
        identifiers=identifiers or UuidIdentifiers(),
        limits=limits,
        policies=Policies(policies),
        manifest_cache=ByteCache(limits.manifest_cache_bytes),
        authorize=authorize,
        places=places,
        reads=ReadLog(counts=bool(tiers.rules)),
        tiers=tiers,
        placement=placement,
        followers=followers,
        export=export,
    )
    try:
        await check_open(core.database)
    except StoreError:
        await core.database.close()
        raise
    return Store(core)


def _session(caller: Caller) -> PrincipalSession:
    uploads = UploadService(caller)
    manifests = ManifestService(caller)
    packages = PackageService(caller, manifests)
    return PrincipalSession(
        principal=caller.principal,
        uploads=uploads,
        blobs=BlobService(caller),
        manifests=manifests,
        packages=packages,
        drafts=DraftService(caller, uploads, packages),
        contents=ContentService(caller),
        schemas=SchemaService(caller),
        ledger=LedgerService(caller),
        followers=FollowerService(caller),
        caller=caller,
    )
