"""What every use case of the control plane is given: the ports, the limits and the policies."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from registry.contract.dataplane import DEFAULT_DOMAIN, DataPlane, DomainId
from registry.contract.model import Principal
from registry.contract.names import Repository, Tag, subject_of_tag
from registry.contract.ports import Clock, Identifiers
from registry.control.cache import ByteCache
from registry.control.export.settings import Export
from registry.control.followers.following import Follower
from registry.control.pack_policy import NEVER, PackPolicy
from registry.control.sql.database import Database
from registry.control.tiers.places import Placement, Places
from registry.control.tiers.policy import TierPolicy
from registry.control.tiers.read_log import ReadLog

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR

#: The actor of what the store does by itself.
SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on input. Sizes in bytes, times in microseconds."""

    #: A pushed manifest. Clients stop at 4 MiB; distribution-spec asks to accept at least that.
    manifest_bytes: int = 16 * 1024 * 1024
    #: A native package's OCI manifest, so that every client can pull it (decision 21).
    package_manifest_bytes: int = 4 * 1024 * 1024
    #: One blob; None for no bound but the disk.
    blob_bytes: int | None = None
    #: An upload session that receives nothing for so long is dropped.
    upload_idle: int = DAY
    #: Sessions one principal may have open at once.
    open_uploads: int = 10_000
    #: A draft lives so long after its last change.
    draft_idle: int = DAY
    #: Content is held for who completed or touched it, and a completed native session answers again, so long
    #: at least (see `content_hold`).
    content_lease: int = DAY
    #: Content that was removed answers as absent at once; its bytes stay so long for readers under way.
    removal_delay: int = 10 * SECOND
    #: Bytes that no row names are deleted when they have been seen for so long.
    orphan_grace: int = DAY
    #: Files of one draft or package.
    package_files: int = 100_000
    #: Memory for the bytes of manifests.
    manifest_cache_bytes: int = 32 * 1024 * 1024

    @property
    def content_hold(self) -> int:
        """How long a lease is made: a little more than is promised, so that who asks again soon finds as much
        left as was promised, and nothing need be written."""
        return self.content_lease + self.content_lease // 24


@dataclass(frozen=True, slots=True)
class RepositoryPolicy:
    """What holds for the repositories whose name matches `match` (a glob; the first that matches counts)."""

    match: str = "*"
    #: Accept manifests whose blobs are absent, as partial replicas need it.
    sparse: bool = False
    #: Tags matching one of these globs cannot be moved or removed. Signature and fallback tags always can.
    immutable_tags: tuple[str, ...] = ()
    #: Deduplication boundary, fixed when the repository is created.
    domain: DomainId = DEFAULT_DOMAIN
    #: Manifests without a tag, an index or a subject go when they have been seen so for so long; None: never.
    untagged_after: int | None = None
    #: When its blobs are packed, and how.
    pack: PackPolicy = NEVER

    def forbids_moving(self, tag: Tag) -> bool:
        return subject_of_tag(tag) is None and any(
            fnmatchcase(tag, pattern) for pattern in self.immutable_tags
        )


_DEFAULT_POLICY = RepositoryPolicy()


@dataclass(frozen=True, slots=True)
class Policies:
    """The configured policies, in order."""

    repositories: tuple[RepositoryPolicy, ...] = ()

    def of(self, repository: Repository) -> RepositoryPolicy:
        for policy in self.repositories:
            if fnmatchcase(repository, policy.match):
                return policy
        return _DEFAULT_POLICY

    @property
    def has_domains(self) -> bool:
        """Whether repositories may come to be in another domain than the default one."""
        return any(policy.domain != DEFAULT_DOMAIN for policy in self.repositories)


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        return time.time_ns() // 1000


class UuidIdentifiers:
    """Random UUIDs, version 4."""

    def new(self) -> str:
        return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class Core:
    """The store's parts. `authorizer` decides what a principal may do; it raises or returns."""

    database: Database
    dataplane: DataPlane
    clock: Clock
    identifiers: Identifiers
    limits: Limits
    policies: Policies
    manifest_cache: ByteCache
    authorize: Callable[[Principal, str, Repository | None], None] = field(repr=False)
    #: Where content can lie, where it belongs, and where it must not.
    places: Places
    reads: ReadLog
    tiers: TierPolicy = field(default_factory=TierPolicy)
    placement: Placement = field(default_factory=Placement)
    #: Who reads the ledger beside the sessions, as it is set here.
    followers: tuple[Follower, ...] = ()
    #: Where the ledger is exported to; None where it is not.
    export: Export | None = None
