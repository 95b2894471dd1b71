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
from registry.control import copying
from registry.control.core import Core
from registry.control.sql import leases, lookups, removals, statements
from registry.control.sql.lookups import GONE, MISSING, PRESENT, BlobRow, RepositoryRow
from registry.control.sql.transaction import Transaction
from registry.control.tiers import returning
from registry.control.tiers.places import PRIMARY


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
        seq = tx.emit(ContentStored(domain, content.blake3, content.sha256, content.size, PRIMARY))
        known = BlobRow(seq, domain, content.blake3, content.size, PRESENT, tx.now)
    else:
        returning.record(tx, known)
        if known.state == MISSING:
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
    """Renew the lease on what a repository has and no manifest of it reaches (decision 10).

    Content that is new to the store needs no row: its arrival holds it as long as a lease would.
    """
    if not needs_lease(core, tx.now, blob, False, None):
        return
    row = statements.first(
        tx.connection, lookups.BLOB_TO_READ, repository=repository.name, digest=str(blob.address)
    )
    if row is not None and needs_lease(core, tx.now, blob, bool(row[6]), row[7]):
        leases.renew_content(
            tx.connection, blob.domain, blob.address, principal, tx.now + core.limits.content_hold
        )


async def keep_content(core: Core, actor: str, domain: DomainId, address: Digest) -> bool:
    """Renew the lease on content that no manifest reaches, whichever repository has it.

    False when the domain has no such content.
    """
    key = {"domain": domain, "content_address": str(address)}
    found = await core.database.fetch_one(lookups.BLOB_BY_ADDRESS, key)
    if found is None:
        return False
    blob = BlobRow.of(found)
    if not needs_lease(core, core.clock.now(), blob, False, None):
        return True
    hold = await core.database.fetch_one(lookups.HOLD_OF_CONTENT, {"blob_id": blob.id, **key})
    reached, until = (bool(hold[0]), hold[1]) if hold else (False, None)
    if not needs_lease(core, core.clock.now(), blob, reached, until):
        return True

    def change(tx: Transaction) -> bool:
        if lookups.find_blob(tx.connection, domain, address) is None:
            return False
        leases.renew_content(tx.connection, domain, address, actor, tx.now + core.limits.content_hold)
        return True

    return await core.database.write(actor, change)


def needs_lease(core: Core, now: int, blob: BlobRow, reached: bool, leased_until: int | None) -> bool:
    """Whether content that no manifest reaches is held for less than a lease from now."""
    if reached:
        return False
    held_until = max(blob.created_at + core.limits.content_hold, leased_until or 0)
    return held_until < now + core.limits.content_lease


async def note_missing(core: Core, actor: str, domain: DomainId, address: Digest, reason: str) -> None:
    """Bytes were found absent or corrupt: from now on they answer as absent, and a push heals them.

    Nothing is noted when they are there, since a push has brought them after that look.
    """

    def change(tx: Transaction) -> None:
        blob = tx.find_blob(domain, address)
        if blob is not None and blob.state not in GONE:
            tx.emit(ContentMissing(domain, address, reason))

    core.manifest_cache.drop(domain, address)
    key = {"domain": domain, "content_address": str(address)}
    found = await core.database.fetch_one(lookups.BLOB_BY_ADDRESS, key)
    if found is None or await copying.holds(core.dataplane, domain, address, found[3]):
        return
    await core.database.write(actor, change)
    # A push between the look and the note has found nothing to heal, and must not be undone by it.
    if await copying.holds(core.dataplane, domain, address, found[3]):
        await note_healed(core, actor, domain, address)


async def note_healed(core: Core, actor: str, domain: DomainId, address: Digest) -> None:
    """The bytes are there and right: say so where the ledger says that they are missing."""

    def change(tx: Transaction) -> None:
        blob = tx.find_blob(domain, address)
        if blob is not None and blob.state == MISSING:
            tx.emit(ContentHealed(domain, address))

    await core.database.write(actor, change)


def restore_required(address: Digest) -> StoreError:
    """The answer for bytes that are not at hand (A7)."""
    return StoreError(
        ErrorKind.RESTORE_REQUIRED,
        f"the content {address} lies in a cold or archive location: ask for its restore, then read again",
        detail={"retry_after": 60, "content_address": str(address)},
    )
