"""The store as a caller sees it: one `Session` per principal, its use cases grouped by role.

Both faces speak to this and to nothing else of the control plane. Every call decides what the session's
principal may do before it does anything, so no handler can forget it; what a principal may not read is
reported exactly as what is not there. All raise `StoreError`; the kinds listed are those a caller should
expect besides DENIED, UNAUTHENTICATED, STORAGE_FULL, UNAVAILABLE and INTERNAL.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from registry.contract.dataplane import Content, Location, RestoreStatus
from registry.contract.digest import Algorithm, Digest
from registry.contract.jsonvalue import JsonValue
from registry.contract.manifest import Descriptor
from registry.contract.model import (
    DeadLetter,
    Draft,
    FollowerStatus,
    LedgerEvent,
    ManifestAccepted,
    NewPackage,
    Package,
    PackageAccepted,
    PackageSummary,
    Page,
    Precondition,
    Principal,
    Reading,
    RegisteredSchema,
    Search,
    StoredManifest,
    StoreUsage,
    Upload,
)
from registry.contract.names import Reference, Repository, Tag


@dataclass(frozen=True, slots=True)
class LastBody:
    """A body that comes with the completion; `offset` and `length` as `Uploads.append` takes them."""

    body: AsyncIterable[bytes]
    offset: int | None = None
    length: int | None = None


class Uploads(Protocol):
    """Resumable uploads (A6).

    `repository` is None on the native face for content that is not yet anybody's.
    """

    async def create(
        self,
        repository: Repository | None,
        *,
        size: int | None = None,
        expected: Digest | None = None,
        announced: Algorithm | None = None,
    ) -> Upload:
        """Open a session. `size` is the declared length, `expected` the digest it shall complete with.

        Raises TOO_LARGE, TOO_MANY_REQUESTS.
        """
        ...

    async def get(self, repository: Repository | None, upload: str) -> Upload:
        """Where the session stands. Raises UPLOAD_UNKNOWN, also for another repository's session."""
        ...

    async def append(
        self,
        repository: Repository | None,
        upload: str,
        body: AsyncIterable[bytes],
        *,
        offset: int | None = None,
        length: int | None = None,
    ) -> Upload:
        """Append `body`; `offset` (None: wherever it stands) must be the present one, `length` the body's.

        A body that breaks off keeps what arrived. A body of another length than `length` raises
        BAD_REQUEST. Raises UPLOAD_UNKNOWN, OFFSET_MISMATCH (detail `offset`), UPLOAD_BUSY, TOO_LARGE.
        """
        ...

    async def complete(
        self,
        repository: Repository | None,
        upload: str,
        expected: Digest | None = None,
        last: LastBody | None = None,
    ) -> Content:
        """Commit the session's bytes; in a repository also link them. Repeatable for 24 hours.

        `last` is appended before; it raises what `append` does. Raises UPLOAD_UNKNOWN, UPLOAD_INCOMPLETE
        (detail `offset`), DIGEST_MISMATCH (the session lives on), UPLOAD_BUSY.
        """
        ...

    async def cancel(self, repository: Repository | None, upload: str) -> None:
        """Drop the session and its bytes. Raises UPLOAD_UNKNOWN, UPLOAD_BUSY."""
        ...

    async def put(
        self,
        repository: Repository,
        expected: Digest,
        body: AsyncIterable[bytes],
        *,
        length: int | None = None,
    ) -> Content:
        """A whole blob in one request, without a session. Raises DIGEST_MISMATCH, BAD_REQUEST, TOO_LARGE."""
        ...


class Blobs(Protocol):
    """Blobs of a repository, by any of their digests."""

    async def get(self, repository: Repository, digest: Digest) -> Reading:
        """For HEAD and GET; a manifest of the repository is a blob too (decision 15).

        Raises BLOB_UNKNOWN when the repository does not have it or its bytes are gone, RESTORE_REQUIRED.
        """
        ...

    async def mount(self, repository: Repository, digest: Digest, source: Repository | None) -> bool:
        """Link content that the caller may read elsewhere in the same domain.

        False: begin an upload instead.
        """
        ...

    async def delete(self, repository: Repository, digest: Digest) -> None:
        """Unlink. Raises BLOB_UNKNOWN, IN_USE (detail `used_by`), HELD."""
        ...


class Manifests(Protocol):
    """Manifests, tags and what refers to them."""

    async def get(self, repository: Repository, reference: Reference) -> StoredManifest:
        """Raises MANIFEST_UNKNOWN, RESTORE_REQUIRED."""
        ...

    async def put(
        self,
        repository: Repository,
        reference: Reference,
        content_type: str | None,
        data: bytes,
        *,
        tags: Sequence[Tag] = (),
        precondition: Precondition | None = None,
    ) -> ManifestAccepted:
        """Store a manifest and set `tags` (and `reference` when it is one), all in one transaction.

        Raises MANIFEST_INVALID, DIGEST_MISMATCH, MANIFEST_CHILD_UNKNOWN, TOO_LARGE, PRECONDITION_FAILED,
        HELD (an immutable tag), VALIDATION_FAILED (metadata of a registered variant).
        """
        ...

    async def delete(self, repository: Repository, reference: Reference) -> None:
        """A digest goes with its tags, a tag goes alone.

        Raises MANIFEST_UNKNOWN, IN_USE (detail `used_by`), HELD.
        """
        ...

    async def tags(self, repository: Repository, *, after: str | None, limit: int) -> Page[Tag]:
        """In byte order. Raises REPOSITORY_UNKNOWN."""
        ...

    async def referrers(
        self,
        repository: Repository,
        subject: Digest,
        *,
        artifact_type: str | None,
        after: str | None,
        limit: int,
    ) -> Page[Descriptor]:
        """Those with `subject`, oldest first; empty for whatever does not exist."""
        ...

    async def repositories(self, *, after: str | None, limit: int) -> Page[Repository]:
        """Those the caller can pull from, in byte order."""
        ...


class Packages(Protocol):
    """Artifacts as packages: files, typed metadata, labels (A8, A9)."""

    async def put(
        self,
        repository: Repository,
        version: Tag,
        package: NewPackage,
        precondition: Precondition | None = None,
    ) -> PackageAccepted:
        """Make a version. Raises VALIDATION_FAILED with all faults and their paths, CONFLICT for a taken
        version, PACKAGE_TOO_LARGE, PRECONDITION_FAILED."""
        ...

    async def promote(
        self,
        repository: Repository,
        version: Tag,
        source: Repository,
        digest: Digest,
        precondition: Precondition | None = None,
    ) -> PackageAccepted:
        """Give an existing manifest, and all it reaches, a version here. No bytes move.

        Raises PACKAGE_UNKNOWN, CONFLICT, VALIDATION_FAILED (another domain), PRECONDITION_FAILED.
        """
        ...

    async def get(self, repository: Repository, reference: Reference) -> Package:
        """Raises PACKAGE_UNKNOWN."""
        ...

    async def file(self, repository: Repository, reference: Reference, path: str) -> FileReading:
        """One file, at the same cost whatever else the package holds.

        Raises PACKAGE_UNKNOWN, FILE_UNKNOWN, RESTORE_REQUIRED.
        """
        ...

    async def canonical(self, repository: Repository, reference: Reference) -> Reading:
        """The canonical CBOR manifest. Raises PACKAGE_UNKNOWN, also for foreign artifacts."""
        ...

    async def delete(self, repository: Repository, version: Tag) -> None:
        """Remove the version, and its manifest when nothing else reaches it.

        Raises PACKAGE_UNKNOWN, IN_USE, HELD.
        """
        ...

    async def list(self, *, after: str | None, limit: int) -> Page[PackageSummary]:
        """Every version of every repository the caller can read, by (repository, version) in byte order."""
        ...

    async def versions(
        self, repository: Repository, *, after: str | None, limit: int
    ) -> Page[PackageSummary]:
        """Raises REPOSITORY_UNKNOWN."""
        ...

    async def search(self, query: Search, *, after: str | None, limit: int) -> Page[PackageSummary]:
        """Newest first."""
        ...


class FileReading(Reading, Protocol):
    """A package's file, ready to read."""

    @property
    def relative_path(self) -> str: ...

    @property
    def media_type(self) -> str: ...


class Drafts(Protocol):
    """Package versions in the making (decision 26): one per version, bound to who opened it."""

    async def put_file(
        self,
        repository: Repository,
        version: Tag,
        path: str,
        media_type: str,
        body: AsyncIterable[bytes],
        *,
        length: int | None = None,
    ) -> Draft:
        """Add or replace one file, opening the draft with the first. Returns the draft with this file alone.

        Raises CONFLICT when the version is taken or somebody else's draft, VALIDATION_FAILED for a bad
        path, TOO_LARGE, BAD_REQUEST.
        """
        ...

    async def get(self, repository: Repository, version: Tag) -> Draft:
        """Raises DRAFT_UNKNOWN."""
        ...

    async def delete(self, repository: Repository, version: Tag) -> None:
        """Raises DRAFT_UNKNOWN."""
        ...

    async def finalize(self, repository: Repository, version: Tag, package: NewPackage) -> PackageAccepted:
        """The draft's files and what `package` adds become the version.

        Raises as `Packages.put`, DRAFT_UNKNOWN.
        """
        ...


class Contents(Protocol):
    """Bytes by content address, where the caller may read them."""

    async def get(self, address: Digest) -> Reading:
        """Raises CONTENT_UNKNOWN, RESTORE_REQUIRED, ERASED."""
        ...

    async def locations(self, address: Digest) -> tuple[Location, ...]:
        """Raises CONTENT_UNKNOWN."""
        ...

    async def restore(self, address: Digest) -> RestoreStatus:
        """Ask for the bytes to be brought back. Raises CONTENT_UNKNOWN."""
        ...


class Schemas(Protocol):
    """JSON Schemas by variant (A8), versioned from 1."""

    async def put(self, variant: str, document: JsonValue) -> tuple[RegisteredSchema, bool]:
        """Register; the flag is False when the current version already is this document.

        Raises VALIDATION_FAILED when it is no valid JSON Schema 2020-12 or refers outside itself.
        """
        ...

    async def get(self, variant: str, version: int | None = None) -> RegisteredSchema:
        """The current version or that one. Raises SCHEMA_UNKNOWN."""
        ...

    async def delete(self, variant: str) -> None:
        """Packages of the variant are no longer checked. Raises SCHEMA_UNKNOWN."""
        ...

    async def list(self, *, after: str | None, limit: int) -> Page[RegisteredSchema]:
        """The current ones, by variant."""
        ...


class Ledger(Protocol):
    """The event log (A3), filtered to what the caller may see."""

    async def page(self, *, after: int, limit: int) -> Page[LedgerEvent]:
        """Entries with `seq > after`, in order. `next` is the last seq, or None when none follow yet."""
        ...

    def follow(self, *, after: int) -> AsyncIterator[LedgerEvent]:
        """Entries as they commit, for ever. Never past one that has not committed."""
        ...


class Followers(Protocol):
    """Who delivers the ledger elsewhere, and what was not taken there. For those who may administer.

    All but `list` raise FOLLOWER_UNKNOWN.
    """

    async def list(self) -> tuple[FollowerStatus, ...]:
        """All that are set, or were once, by name."""
        ...

    async def get(self, name: str) -> FollowerStatus:
        """One of them."""
        ...

    async def dead_letters(self, name: str, *, after: int, limit: int) -> Page[DeadLetter]:
        """Those with `seq > after`, in order."""
        ...

    async def redeliver(self, name: str, seqs: Sequence[int] | None) -> int:
        """Try dead letters again as soon as the receiver is there, all where `seqs` is None; how many.

        Raises CONFLICT for a seq that is no dead letter.
        """
        ...

    async def skip(self, name: str) -> int:
        """Make the event that is not taken a dead letter now; its seq. Raises CONFLICT without one."""
        ...

    async def seek(self, name: str, after: int) -> None:
        """Go on with the event beyond `after`. Raises CONFLICT beyond the ledger's end."""
        ...

    async def stop(self, name: str) -> None:
        """Deliver nothing until `resume`."""
        ...

    async def resume(self, name: str) -> None:
        """Go on where it stopped, and at once where it waits."""
        ...

    async def forget(self, name: str) -> None:
        """Drop what is left of a follower that is not set any more. Raises CONFLICT for one that is."""
        ...


class Session(Protocol):
    """What one principal can do with the store."""

    @property
    def principal(self) -> Principal: ...

    @property
    def uploads(self) -> Uploads: ...

    @property
    def blobs(self) -> Blobs: ...

    @property
    def manifests(self) -> Manifests: ...

    @property
    def packages(self) -> Packages: ...

    @property
    def drafts(self) -> Drafts: ...

    @property
    def contents(self) -> Contents: ...

    @property
    def schemas(self) -> Schemas: ...

    @property
    def ledger(self) -> Ledger: ...

    @property
    def followers(self) -> Followers: ...

    async def usage(self, *, after: str | None, limit: int) -> StoreUsage:
        """Bytes, by repository."""
        ...
