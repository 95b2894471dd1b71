"""Steps that several mutations share: a repository comes to be, content is recorded, a blob is linked."""

from __future__ import annotations

from registry.contract.dataplane import Content, DomainId
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.events import (
    BlobLinked,
    ContentHealed,
    ContentMissing,
    ContentNamed,
    ContentStored,
    RepositoryCreated,
)
from registry.contract.names import Repository
from registry.control.core import Core
from registry.control.sql import leases, lookups, removals, statements
from registry.control.sql.lookups import GONE, MISSING, PRESENT, BlobRow, RepositoryRow
from registry.control.sql.transaction import Transaction

#: The location of a data plane that is embedded.
LOCAL = "local"


def ensure_repository(
    tx: Transaction, core: Core, name: Repository, domain: DomainId | None = None
) -> RepositoryRow:
    """The repository, created when it is new: in `domain`, where its first bytes are, or its policy's.

    Raises CONFLICT when it has come to be in another domain than `domain`: settings were changed under way.
    """
    found = tx.find_repository(name)
    if found is None:
        chosen = domain or core.policies.of(name).domain
        found = RepositoryRow(tx.emit(RepositoryCreated(name, chosen)), name, chosen)
    elif domain not in (None, found.domain):
        raise StoreError(
            ErrorKind.CONFLICT, f"{name} was created in another domain meanwhile: upload the content again"
        )
    return found


async def domain_of(core: Core, name: Repository) -> DomainId:
    """The domain the repository is in, or will be in when it is created."""
    row = await core.database.fetch_one(lookups.REPOSITORY, {"repository": name})
    return DomainId(row[2]) if row else core.policies.of(name).domain


def record_content(tx: Transaction, domain: DomainId, content: Content) -> BlobRow:
    """Say that bytes are durable. They are new, or healed, or get a further name, or nothing is new.

    Raises ContentGoingError while a collection deletes these bytes (see arrival.py).
    """
    known = tx.find_blob(domain, content.blake3)
    if known is None:
        removals.let_stay(tx.connection, domain, content.blake3)
        seq = tx.emit(ContentStored(domain, content.blake3, content.sha256, content.size, LOCAL))
        known = BlobRow(seq, domain, content.blake3, content.size, PRESENT, tx.now)
    elif known.state == MISSING:
        tx.emit(ContentHealed(domain, content.blake3))
    if content.sha512 is not None:
        record_name(tx, known, content.sha512)
    return known


def record_name(tx: Transaction, blob: BlobRow, digest: Digest) -> None:
    """One more digest of known content."""
    if str(digest) not in lookups.digests_of(tx.connection, blob.id):
        tx.emit(ContentNamed(blob.domain, blob.address, digest))


def link_blob(tx: Transaction, repository: RepositoryRow, blob: BlobRow) -> None:
    """Make `blob` one of the repository's blobs."""
    if not tx.has_blob(repository, blob):
        tx.emit(BlobLinked(Repository(repository.name), blob.address))


def keep(tx: Transaction, core: Core, repository: RepositoryRow, blob: BlobRow, principal: str) -> None:
    """Renew the lease on what a repository has and no manifest of it reaches (DECISIONS 10).

    Content that is new to the store needs no row: its arrival holds it as long as a lease would.
    """
    if not needs_lease(core, tx.now, blob, False, None):
        return
    row = statements.first(
        tx.connection, lookups.BLOB_TO_READ, repository=repository.name, digest=str(blob.address)
    )
    if row is not None and needs_lease(core, tx.now, blob, bool(row[6]), row[7]):
        leases.renew_content(
            tx.connection, blob.domain, blob.address, principal, tx.now + core.limits.content_lease
        )


def needs_lease(core: Core, now: int, blob: BlobRow, reached: bool, leased_until: int | None) -> bool:
    """Whether content that no manifest reaches is held for less than half a lease from now."""
    if reached:
        return False
    lease = core.limits.content_lease
    return max(blob.created_at + lease, leased_until or 0) < now + lease // 2


async def note_missing(core: Core, actor: str, domain: DomainId, address: Digest, reason: str) -> None:
    """Bytes were found absent or corrupt: from now on they answer as absent, and a push heals them."""

    def change(tx: Transaction) -> int | None:
        blob = tx.find_blob(domain, address)
        if blob is None or blob.state in GONE:
            return None
        tx.emit(ContentMissing(domain, address, reason))
        return blob.size

    def heal(tx: Transaction) -> None:
        blob = tx.find_blob(domain, address)
        if blob is not None and blob.state == MISSING:
            tx.emit(ContentHealed(domain, address))

    core.manifest_cache.drop(domain, address)
    size = await core.database.write(actor, change)
    # A push between the look and the note has found nothing to heal, and must not be undone by it.
    if size is not None and await _is_held(core, domain, address, size):
        await core.database.write(actor, heal)


async def _is_held(core: Core, domain: DomainId, address: Digest, size: int) -> bool:
    try:
        return await core.dataplane.size(domain, address) == size
    except StoreError as error:
        if error.kind is not ErrorKind.CONTENT_UNKNOWN:
            raise
        return False


def restore_required(address: Digest) -> StoreError:
    """The answer for bytes that are not at hand (A7)."""
    return StoreError(
        ErrorKind.RESTORE_REQUIRED,
        f"the content {address} lies in a cold or archive location: ask for its restore, then read again",
        detail={"retry_after": 60, "content_address": str(address)},
    )
