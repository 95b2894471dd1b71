"""The `DataPlane` protocol: bytes by content address, and nothing else.

It knows domains and digests. Names of repositories, tags and people never cross it (commitment A5), so
that a native process behind a socket can take its place. Everything raises `StoreError`; each method lists
the kinds. INTERNAL (a permanent fault of the storage) and UNAVAILABLE (a passing one) may come from all.
So may NAME_INVALID and DIGEST_INVALID for a domain, stage id or address that must not become a path.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType, Protocol

from registry.contract.digest import Algorithm, Digest

#: Deduplication boundary, erasure scope, key and placement in one. Grammar: `[a-z0-9][a-z0-9-]{0,62}`.
DomainId = NewType("DomainId", str)

DEFAULT_DOMAIN = DomainId("default")


@dataclass(frozen=True, slots=True)
class Stage:
    """Where an upload's bytes gather before they have an address. `id` is a UUID in canonical form.

    `announced` is an algorithm the client said it will complete with, hashed along from the first byte.
    """

    domain: DomainId
    id: str
    announced: Algorithm | None = None


@dataclass(frozen=True, slots=True)
class StageStatus:
    """`offset` is the number of bytes held; `touched` its last change, microseconds since the epoch."""

    offset: int
    touched: int


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that are durable under their address. `blake3` is the address (A1), `size` is in bytes."""

    blake3: Digest
    sha256: Digest
    size: int
    sha512: Digest | None = None

    @property
    def digests(self) -> tuple[Digest, ...]:
        known = (self.blake3, self.sha256, self.sha512)
        return tuple(digest for digest in known if digest is not None)


class RetrievalTier(StrEnum):
    """How soon a location can give its bytes (A7). HOT and WARM answer at once."""

    HOT = "hot"
    WARM = "warm"
    COLD = "cold"
    ARCHIVE = "archive"


class RestoreStatus(StrEnum):
    """Where a restore from COLD or ARCHIVE stands (A7)."""

    REQUESTED = "requested"
    ONGOING = "ongoing"
    AVAILABLE = "available"


@dataclass(frozen=True, slots=True)
class Place:
    """A location as it is configured, whatever it holds. New bytes come to the one that is `primary`.

    `jurisdiction` is whose law its medium stands under, in the operator's words; None where nobody said.
    """

    name: str
    tier: RetrievalTier = RetrievalTier.HOT
    jurisdiction: str | None = None
    primary: bool = True


@dataclass(frozen=True, slots=True)
class Location:
    """One place that holds the bytes. `name` is the location's configured name, `local` when embedded.

    `restore_status` is None for what needs no restore, and for what is away and was not asked for. `until`
    is the moment (microseconds since the epoch) to which restored bytes stay at hand, where it is known.
    """

    name: str
    tier: RetrievalTier = RetrievalTier.HOT
    restore_status: RestoreStatus | None = None
    until: int | None = None


class OpenFile(Protocol):
    """A whole blob as an open file, for the kernel's sendfile. The holder closes it, once."""

    @property
    def fd(self) -> int: ...

    @property
    def size(self) -> int: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Verification:
    """What a full read of one object found. `fault` is None when the bytes are the ones its address names."""

    domain: DomainId
    address: Digest
    size: int
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class StorageUse:
    """Bytes on the medium: `content` by address, after deduplication and compression; `staged` by unfinished
    uploads; `free` where it is known; `dead` in packs beside what their content needs."""

    content: int
    staged: int
    free: int | None = None
    objects: int = field(default=0)
    dead: int = 0


class Codec(StrEnum):
    """How packing compresses."""

    NONE = "none"
    ZSTD = "zstd"


@dataclass(frozen=True, slots=True)
class Packing:
    """Which whole blobs are packed, and how. Never is said by not asking.

    `older_than` is the least age in seconds since the bytes arrived; sizes are in bytes, `at_most` None for
    no limit. `level` is the codec's; None leaves it to the data plane's settings.
    """

    older_than: float = 0.0
    at_least: int = 0
    at_most: int | None = None
    codec: Codec = Codec.ZSTD
    level: int | None = None


@dataclass(frozen=True, slots=True)
class Packed:
    """A blob that packing dealt with: `size` bytes of content that took `added` bytes more in packs.

    With a `fault` (a sentence) it stays as it was: its bytes are not those its address names.
    """

    domain: DomainId
    address: Digest
    size: int
    added: int
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Packs that were replaced: `copied` bytes into new ones, `freed` bytes of files less than before."""

    domain: DomainId
    packs: int
    copied: int
    freed: int


class DataPlane(Protocol):
    """Bytes in, bytes out, by (domain, BLAKE3 address)."""

    # --- bytes come in -------------------------------------------------------------------------------

    async def append(
        self, stage: Stage, offset: int, body: AsyncIterable[bytes], limit: int | None = None
    ) -> int:
        """Append `body` at `offset`, which must be the stage's present length, and return the new length.

        The first append (offset 0) creates the stage. Bytes that arrived before `body` raised stay, and
        the exception passes through. `limit` is the length the stage may not exceed: the byte beyond it
        raises TOO_LARGE with what came before kept. Raises OFFSET_MISMATCH (detail `offset`), UPLOAD_BUSY
        when another append holds the stage, STORAGE_FULL, TOO_LARGE.
        """
        ...

    async def staged(self, stage: Stage) -> StageStatus:
        """The stage's length and last change; offset 0 when it holds nothing yet. Raises nothing more."""
        ...

    async def identify(self, stage: Stage, expected: Digest | None) -> Content:
        """What `commit` would return, or raise for `expected`, without doing it. Raises UPLOAD_BUSY."""
        ...

    async def commit(self, stage: Stage, expected: Digest | None) -> Content:
        """Make the stage durable under its address and return its digests.

        With `expected`, other bytes raise DIGEST_MISMATCH and leave the stage as it was. After success the
        stage is gone. A stage that never received a byte commits the empty content. What is held under the
        address already is read first: right bytes stay, others go to quarantine. Raises UPLOAD_BUSY,
        STORAGE_FULL.
        """
        ...

    async def discard(self, stage: Stage) -> None:
        """Drop the stage; nothing happens when there is none. Raises UPLOAD_BUSY."""
        ...

    async def put(self, domain: DomainId, data: bytes, extra: Algorithm | None = None) -> Content:
        """Store a small object that is whole in memory, durable on return. `extra` asks for one more digest.

        What is held already is dealt with as by `commit`. Raises STORAGE_FULL.
        """
        ...

    # --- bytes go out --------------------------------------------------------------------------------

    async def size(self, domain: DomainId, address: Digest) -> int:
        """Size in bytes, also of what is away. Raises CONTENT_UNKNOWN."""
        ...

    def read(
        self, domain: DomainId, address: Digest, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """Stream `length` bytes (all that follow when None) from `start`, in pieces of at most 1 MiB.

        Nothing comes from the very end, and RANGE_UNSATISFIABLE (detail `size`) from beyond it. Raises that,
        CONTENT_UNKNOWN and RESTORE_REQUIRED before the first piece.
        """
        ...

    async def get(self, domain: DomainId, address: Digest, limit: int) -> bytes:
        """A whole small object, verified against its address before it is returned.

        Raises CONTENT_UNKNOWN when absent or corrupt, RESTORE_REQUIRED, TOO_LARGE when larger than `limit`
        bytes.
        """
        ...

    async def open_file(self, domain: DomainId, address: Digest) -> OpenFile | None:
        """The blob as a file where it is stored whole and plain, else None (read it by `read`).

        Raises CONTENT_UNKNOWN, RESTORE_REQUIRED.
        """
        ...

    async def link(self, domain: DomainId, address: Digest) -> str | None:
        """A URL that gives exactly these bytes to who has it, for some minutes (decision 13); else None.

        Only where the location was told to, for whole and plain blobs of the size it names. Raises
        CONTENT_UNKNOWN.
        """
        ...

    # --- care ----------------------------------------------------------------------------------------

    async def digest(self, domain: DomainId, address: Digest, algorithm: Algorithm) -> Digest:
        """Read the content and compute one more digest of it. Raises CONTENT_UNKNOWN, RESTORE_REQUIRED."""
        ...

    async def verify(self, domain: DomainId, address: Digest) -> Verification:
        """Read every byte, in each place that has it at hand, and compare with the address.

        Nothing is restored for it. Raises CONTENT_UNKNOWN when there is nothing to read, RESTORE_REQUIRED
        when all that there is, is away.
        """
        ...

    def contents(self, domain: DomainId | None = None) -> AsyncIterator[tuple[DomainId, Digest, int]]:
        """Every object held, as (domain, address, size), in no particular order. For fsck and collection.

        What several places hold comes once for each. A place that cannot be asked raises UNAVAILABLE at the
        end.
        """
        ...

    def stages(self) -> AsyncIterator[tuple[Stage, StageStatus]]:
        """Every stage held, whatever its age. For the reaper and fsck."""
        ...

    async def remove(self, domain: DomainId, address: Digest, permit: str | None = None) -> int:
        """Delete the bytes in all places and return how many were freed; 0 when there were none.

        With a `permit`, only while that is the one `admit` was told last, by whatever process, and however
        long ago this call began: CONFLICT otherwise, and nothing is deleted (decision 39). Raises HELD where
        the medium keeps the bytes under a retention of its own. After an error the bytes may be gone from
        some places, and the call can be repeated.
        """
        ...

    async def admit(self, permit: str) -> None:
        """From the return on no `remove` with another permit deletes anything, and none is under way.

        `permit` is at most 100 characters. Raises UNAVAILABLE while a removal that began before does not end.
        """
        ...

    async def quarantine(self, domain: DomainId, address: Digest) -> bool:
        """Move corrupt bytes out of the way, so that the address reads as absent and a push heals it.

        Reads all that is held, and leaves what is sound: a push may just have healed it, or a second copy be
        there. Where one place has sound bytes, places whose bytes were not get them from there. True when the
        address has sound bytes on return, or bytes that are away: those were verified when they went there.
        """
        ...

    # --- places --------------------------------------------------------------------------------------

    def places(self) -> tuple[Place, ...]:
        """All places, the primary first, then the best first. They stay the same while the store is open."""
        ...

    async def locations(self, domain: DomainId, address: Digest) -> tuple[Location, ...]:
        """Where the bytes are, best first. Raises CONTENT_UNKNOWN, UNAVAILABLE if a place cannot say."""
        ...

    async def restore(self, domain: DomainId, address: Digest) -> RestoreStatus:
        """Ask for bytes that are not at hand; AVAILABLE at once when they are. Raises CONTENT_UNKNOWN.

        May be repeated while they are on their way, and `locations` tells how far it is. When they are there
        they can be read, and copied to another place, until that moment.
        """
        ...

    async def copy(self, domain: DomainId, address: Digest, to: str) -> int:
        """Have the bytes at the place `to` as well, and return their size. Idempotent, in bounded memory.

        On return they are durable there, and what was written was read back there whole and compared, or is
        proven by what the medium computes. Raises CONTENT_UNKNOWN, RESTORE_REQUIRED, STORAGE_FULL,
        UNAVAILABLE, and BAD_REQUEST for a place that there is not.
        """
        ...

    async def release(self, domain: DomainId, address: Digest, place: str, permit: str | None = None) -> int:
        """Delete the bytes at one place, and return how many were freed; 0 when it held none.

        Only while another place surely holds them, which is looked at anew: all bytes are read where they
        are at hand, and a place that is away has to know them with this size. CONFLICT otherwise, and for a
        `permit` that does not count, as in `remove`. A push of the content that is completed meanwhile may
        have relied on the bytes that go: who calls keeps such pushes away, as for `remove`. Raises HELD,
        UNAVAILABLE, and BAD_REQUEST for a place that there is not.
        """
        ...

    def pack(
        self, packing: Packing, chosen: AsyncIterable[tuple[DomainId, Digest]] | None = None
    ) -> AsyncGenerator[Packed, None]:
        """Move whole blobs into packs: all, or those `chosen`, as far as `packing` wants them.

        Online, in bounded memory, done when the iterator ends; each blob is told once it is moved. One
        packing or rewriting runs at a time in a store, whatever the process: another raises UNAVAILABLE.
        What was told stays when the caller stops midway. Raises STORAGE_FULL.
        """
        ...

    async def loose(self, domain: DomainId, addresses: Sequence[Digest]) -> list[Digest]:
        """Which of `addresses` are kept as files of their own: those that packing could take."""
        ...

    def rewrite(
        self, threshold: float | None = None, grace: float | None = None
    ) -> AsyncGenerator[Rewritten, None]:
        """Free the dead bytes of packs that have a part of at least `threshold` (0 to 1) of them.

        `grace` are the seconds that a pack is left alone after something in it died, for who still reads it;
        None leaves either to the data plane's settings. Otherwise as `pack`.
        """
        ...

    async def reap(self, before: int) -> int:
        """Drop what broken-off work left on the medium beside stages, when it began before that moment
        (microseconds since the epoch). Returns how much of it there was."""
        ...

    async def use(self) -> StorageUse:
        """Bytes held on the medium. May walk the store; for reports, not for requests."""
        ...

    async def dead(self, threshold: float | None = None) -> int:
        """Bytes of records in packs that nothing needs, in packs that have a part of `threshold` (0 to 1) of
        them: what `rewrite` would free once its grace is over. 0 counts all. Cheap enough for metrics.
        """
        ...

    def faults(self) -> AsyncGenerator[str, None]:
        """What is wrong on the medium beside content, each a sentence: damage that loses nothing yet.

        Content that is damaged is told by `verify`.
        """
        ...

    async def check_writable(self) -> None:
        """Write, sync and delete a probe, for readiness. Raises STORAGE_FULL, UNAVAILABLE."""
        ...

    async def close(self) -> None:
        """Finish what runs and release threads and files. Idempotent."""
        ...
