"""Values that the faces and the control plane exchange.

Times are integer microseconds since the epoch, UTC.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from registry.contract.dataplane import Content, OpenFile
from registry.contract.digest import Digest
from registry.contract.jsonvalue import JsonValue
from registry.contract.manifest import Descriptor, Manifest
from registry.contract.names import Repository, Tag

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `id` is random and means nobody; `name` is for people and never enters the ledger."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page by key. `next` is what `after` must be for the following page, None on the last."""

    items: tuple[T, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Precondition:
    """RFC 9110 section 13.1 on a PUT: one of `if_match` must be current; `if_absent` stands for `*`."""

    if_match: tuple[Digest, ...] = ()
    if_absent: bool = False


class Reading(Protocol):
    """Stored bytes that may be read.

    `digest` is the one that was asked for (decision 7), `size` is in bytes.
    """

    @property
    def digest(self) -> Digest: ...

    @property
    def size(self) -> int: ...

    async def open_file(self) -> OpenFile | None:
        """The bytes as a file for sendfile, or None: then use `stream`."""
        ...

    async def link(self) -> str | None:
        """A URL to send the reader to instead (decision 13); None, as is usual: give the bytes here."""
        ...

    def stream(self, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start`, `length` of them or all that follow.

        Raises CONTENT_UNKNOWN before the first.
        """
        ...


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload session. `offset` bytes are held, `size` is the declared length or None.

    `content` is set once the session is complete; then it answers the same for 24 hours.
    """

    id: str
    repository: Repository | None
    offset: int
    size: int | None
    expires_at: int
    content: Content | None = None


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest of a repository with its exact bytes.

    `digest` is in the algorithm that was asked for or pushed.
    """

    digest: Digest
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class ManifestAccepted:
    """The outcome of a manifest PUT. `subject` is set when it was indexed, durably (OCI-Subject)."""

    digest: Digest
    created: bool
    subject: Digest | None
    tags: tuple[Tag, ...]


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a package. `digest` is its content address, for foreign ones the layer's digest."""

    relative_path: str
    digest: Digest
    size: int
    media_type: str


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that a package shall have, by content that is already stored."""

    relative_path: str
    content: Digest
    media_type: str = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class NewPackage:
    """What PUT of a package says.

    `subject` is any digest of a manifest that the same repository has.
    """

    variant: str | None = None
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    files: tuple[NewFile, ...] = ()
    subject: Digest | None = None


@dataclass(frozen=True, slots=True)
class Package:
    """A manifest read as a package.

    Foreign artifacts have no `package_digest`, `variant` and `metadata` (decision 19).

    `versions` are the tags that point at it. An index has `children` and no files.
    """

    repository: Repository
    manifest_digest: Digest
    media_type: str
    artifact_type: str | None
    package_digest: Digest | None
    variant: str | None
    schema_version: int | None
    metadata: Mapping[str, JsonValue] | None
    labels: Mapping[str, str]
    files: tuple[FileEntry, ...]
    children: tuple[Descriptor, ...]
    subject: Descriptor | None
    versions: tuple[Tag, ...]
    created_at: int
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class PackageSummary:
    """One row of a list or a search."""

    repository: Repository
    version: Tag | None
    manifest_digest: Digest
    package_digest: Digest | None
    variant: str | None
    artifact_type: str | None
    created_at: int


@dataclass(frozen=True, slots=True)
class PackageAccepted:
    """The outcome of a package PUT: `created` is False when the same content was there under the version."""

    created: bool
    package: Package


@dataclass(frozen=True, slots=True)
class Draft:
    """A package version in the making. Invisible to readers until it is finalised."""

    repository: Repository
    version: Tag
    expires_at: int
    files: tuple[FileEntry, ...]


@dataclass(frozen=True, slots=True)
class RegisteredSchema:
    """One version of a variant's JSON Schema (2020-12)."""

    variant: str
    version: int
    document: JsonValue
    digest: Digest
    created_at: int


@dataclass(frozen=True, slots=True)
class Search:
    """Equality on typed fields, all of which must hold. Values are compared as text and as JSON scalars.

    `fields` maps `label.<key>` and `metadata.<dotted path>` to the text asked for.
    """

    variant: str | None = None
    repository: Repository | None = None
    created_after: int | None = None
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class LedgerEvent:
    """One entry of the ledger, decoded. `envelope` is its canonical CBOR."""

    seq: int
    time: int
    kind: str
    actor: str
    scope: str | None
    subject: str | None
    data: Mapping[str, JsonValue]
    envelope: bytes


@dataclass(frozen=True, slots=True)
class FollowerStatus:
    """How a follower of the ledger fares. All events up to `cursor` are settled: taken, left out or dead.

    `state` is `delivering`, `retrying` (the event `failing` was not taken, for `reason`) or `stopped`.
    `lag_events` and `lag_seconds` say how far it is behind. `configured` is False for what is left of one
    that is not set any more; then nothing is delivered.
    """

    name: str
    target: str
    configured: bool
    state: str
    cursor: int
    lag_events: int
    lag_seconds: float
    delivered: int
    delivered_at: int | None
    failures: int
    failing: int | None
    failing_since: int | None
    attempts: int
    next_attempt_at: int | None
    reason: str | None
    dead_letters: int
    queued: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a receiver did not take, given up at `died_at`. `queued`: it is to be tried again."""

    seq: int
    kind: str
    scope: str | None
    died_at: int
    attempts: int
    reason: str
    queued: bool


@dataclass(frozen=True, slots=True)
class RepositoryUsage:
    """Bytes of one repository: `logical` of its distinct content, `exclusive` that nobody else holds."""

    repository: Repository
    logical: int
    exclusive: int
    objects: int


@dataclass(frozen=True, slots=True)
class StoreUsage:
    """Bytes of the whole store as its principal may see it: `logical` summed, `physical` each once."""

    logical: int
    physical: int
    objects: int
    repositories: Page[RepositoryUsage]
