"""May this go? The one place that decides it, for DELETE calls and collection alike.

What a live manifest names is not deleted (decision 16). What nothing names stays as long as somebody was
told that it is there (decision 10), and manifests stay by themselves unless a policy says otherwise
(decision 14). The conditions are in sql/holding.py, so that a million rows are asked the same as one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.events import BlobUnlinked, ContentRemoved, ManifestDeleted, TagDeleted
from registry.contract.names import Repository, Tag
from registry.control.core import Core
from registry.control.sql import Connection, holding, leases, lookups, removals, statements
from registry.control.sql.holding import Moment
from registry.control.sql.lookups import ManifestRow
from registry.control.sql.transaction import Transaction

#: As many users are named in the refusal.
_NAMED = 100

#: Repositories are looked through in pages of so many.
_PAGE = 2000

#: The first edges by the index, then who they belong to: what a million manifests share costs no more.
#: CROSS JOIN keeps SQLite to this order, as in holding.py.
_USERS = """
SELECT DISTINCT d.digest FROM (
    SELECT e.manifest_id AS id FROM repositories r
    JOIN blob_digests own ON own.blob_id = :blob_id
    CROSS JOIN manifest_edges e
    WHERE r.name = :repository AND e.repository_id = r.id AND e.digest = own.digest LIMIT :limit
) u
JOIN manifests m ON m.id = u.id
JOIN blob_digests d ON d.blob_id = m.blob_id AND d.digest_algorithm = m.digest_algorithm
ORDER BY d.digest
"""


def moment(core: Core, now: int) -> Moment:
    """What "now" means to the conditions."""
    return Moment(now, now - core.limits.content_hold)


def manifests_naming(connection: Connection, repository: str, blob_id: int) -> list[str]:
    """Digests of the repository's manifests that name this content, by any of its digests; 100 at most."""
    found = statements.rows(connection, _USERS, repository=repository, blob_id=blob_id, limit=_NAMED)
    return [row[0] for row in found]


def refuse_used(tx: Transaction, repository: Repository, blob_id: int, digest: Digest) -> None:
    """Raises IN_USE with the users while a manifest of the repository names the content."""
    users = manifests_naming(tx.connection, repository, blob_id)
    if users:
        raise StoreError(
            ErrorKind.IN_USE,
            f"{digest} is used by {len(users)} manifest(s) of {repository}: delete those first",
            detail={"used_by": users},
        )


def check_mutable(core: Core, repository: Repository, tag: Tag) -> None:
    """Raises HELD for a tag that the repository's policy keeps where it is."""
    if core.policies.of(repository).forbids_moving(tag):
        raise StoreError(ErrorKind.HELD, f"the tag {tag} is immutable in {repository}")


def delete_manifest(tx: Transaction, core: Core, repository: Repository, row: ManifestRow) -> None:
    """Remove a manifest and its tags. Raises IN_USE while an index lists it, HELD for an immutable tag.

    What it names is leased from here: a client may just have been told that it need not push that. So is the
    content itself where it is a blob too.
    """
    refuse_used(tx, repository, row.blob_id, row.digest)
    for (tag,) in statements.rows(tx.connection, lookups.TAGS_OF_MANIFEST, manifest_id=row.id):
        check_mutable(core, repository, tag)
        tx.emit(TagDeleted(repository, tag))
    until = tx.now + core.limits.content_lease
    leases.lease_what_it_names(tx.connection, row.id, until)
    leases.lease_as_blob(tx.connection, row.repository_id, row.blob_id, until)
    holding.spare(tx.connection, row.id)
    tx.emit(ManifestDeleted(repository, row.address))


def unlink_free(tx: Transaction, core: Core, repository_id: int, blob_id: int) -> bool:
    """Take a blob from a repository if nothing holds it there; False when something does."""
    link = holding.link(tx.connection, moment(core, tx.now), repository_id, blob_id)
    if link is None or not link.free:
        return False
    tx.emit(BlobUnlinked(link.repository, link.address))
    return True


def remove_free(tx: Transaction, core: Core, blob_id: int) -> bool:
    """Take content from the store if nothing holds it: 404 from here on, its bytes follow after a while."""
    held = holding.content(tx.connection, moment(core, tx.now), blob_id)
    if held is None or not held.free:
        return False
    names = [Digest.parse(name) for name in lookups.digests_of(tx.connection, blob_id)]
    generation = tx.emit(ContentRemoved(held.domain, held.address, held.size))
    leases.drop_content(tx.connection, held.domain, held.address)
    removals.note(
        tx.connection,
        held.domain,
        held.address,
        sha256=next((name for name in names if name.algorithm.value == "sha256"), None),
        size=held.size,
        generation=generation,
        now=tx.now,
        due_at=tx.now + core.limits.removal_delay,
    )
    return True


def untagged_after(core: Core, repository: Repository) -> int | None:
    """How long manifests that nothing needs stay (microseconds); None: until they are deleted.

    Never shorter than a lease: who pushed one, or asked for it while it had a tag, may be about to name it.
    """
    after = core.policies.of(repository).untagged_after
    return None if after is None else max(after, core.limits.content_lease)


async def expiring(core: Core) -> AsyncIterator[tuple[int, Repository, int]]:
    """The repositories whose untagged manifests go: row, name, and how long those stay (microseconds)."""
    if all(policy.untagged_after is None for policy in core.policies.repositories):
        return
    after = 0
    while page := await core.database.read(partial(holding.repositories, after=after, limit=_PAGE)):
        after = page[-1][0]
        for repository_id, name in page:
            waits = untagged_after(core, name)
            if waits is not None:
                yield repository_id, name, waits


def expire_untagged(tx: Transaction, core: Core, repository: Repository, manifest_id: int) -> bool:
    """Delete a manifest that nothing has needed for as long as the policy says; False when it stays.

    One that an index lists stays until the index has gone, and one with an immutable tag stays.
    """
    after = untagged_after(core, repository)
    found = holding.candidate(tx.connection, tx.now, manifest_id)
    if found is None or found.needed or found.since is None or after is None or found.since + after > tx.now:
        return False
    row = lookups.find_manifest(tx.connection, repository, digest=found.address)
    if row is None or manifests_naming(tx.connection, repository, row.blob_id):
        return False
    tags = statements.rows(tx.connection, lookups.TAGS_OF_MANIFEST, manifest_id=row.id)
    if any(core.policies.of(repository).forbids_moving(tag) for (tag,) in tags):
        return False
    delete_manifest(tx, core, repository, row)
    return True
