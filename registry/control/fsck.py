"""fsck: is everything that the ledger promises there, and is it what its names say?

Works on snapshots, so it runs beside a live server, and only reads. What it finds are faults, each a
sentence. Bytes that nobody names yet are counted, not blamed: an upload may be between its commit and
its row.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

from registry.contract.digest import MultiHasher
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.manifest import is_non_distributable
from registry.contract.names import Repository
from registry.control import fsck_places, fsck_resuming
from registry.control.core import Core
from registry.control.export.checking import export_faults
from registry.control.fsck_resuming import Checked, Fault
from registry.control.fsck_subset import EVERYTHING, Subset
from registry.control.rebuild import Rebuilt, complete
from registry.control.sql import audit, lookups, replay
from registry.control.sql.audit import KnownContent
from registry.control.sql.lookups import AWAY, ERASED, MISSING
from registry.control.sql.scratch import open_scratch

_AT_ONCE = 500

__all__ = ["Checked", "Fault", "fsck", "replay_faults"]


async def fsck(
    core: Core,
    *,
    structure_only: bool = False,
    subset: Subset = EVERYTHING,
    resume: bool = False,
    progress: Callable[[Checked], None] = lambda _: None,
) -> Checked:
    """Check the whole store; without `structure_only` read every byte of what is in the `subset`.

    How far it is gets written down; `resume` goes on there, with the subset of then. Raises StoreError when
    it cannot be done.
    """
    done, after, subset = await fsck_resuming.begin(core, subset, resume=resume)
    for kind, check in (("ledger", audit.ledger_faults), ("views", audit.view_faults)):
        done.faults.extend(Fault(kind, message) for message in await core.database.read(check))
    if not structure_only:
        done.faults.extend([Fault("export", message) async for message in export_faults(core)])
    for child in await core.database.read(audit.absent_children):
        sparse = core.policies.of(Repository(child.repository)).sparse
        if not sparse and not is_non_distributable(child.media_type):
            message = (
                f"{child.repository}: manifest {child.manifest} names {child.digest}, which is not there"
            )
            done.faults.append(Fault("manifest", message))
    async for content in _contents(core, after):
        done.contents += 1
        unread = structure_only or not subset.has(content.address)
        fault = await _check_content(core, content, done, structure_only=unread)
        if fault is not None and (fault.kind != "erased" or fault not in done.faults):
            done.faults.append(fault)
        progress(done)
        await fsck_resuming.save(core, subset, done, content.id)
    done.faults.extend(await fsck_places.misplaced(core))
    async for message in core.dataplane.faults():
        done.faults.append(Fault("storage", message))
    if not structure_only and not any(fault.kind == "ledger" for fault in done.faults):
        done.faults.extend([fault async for fault in replay_faults(core)])
    await fsck_resuming.end(core)
    await _count_unnamed(core, done)
    return done


async def replay_faults(core: Core) -> AsyncIterator[Fault]:
    """Views that are not what the ledger says, told by replaying it beside them (A3)."""
    head, found = await core.database.read(replay.head_and_fingerprints)
    replayed = Rebuilt()
    async with open_scratch() as scratch:
        try:
            while replayed.events < head:
                limit = min(_AT_ONCE, head - replayed.events)
                page = await core.database.read(partial(replay.envelopes, after=replayed.events, limit=limit))
                replayed.events = await scratch.run(replay.project, page)
        except LookupError as error:
            yield Fault("ledger", f"the ledger cannot be replayed: {error}")
            return
        await complete(scratch, core.dataplane, replayed)
        said = await scratch.run(replay.fingerprints)
    # Without their bytes (a fault of its own) there is nothing to compare the rows of manifests with.
    compared = set(said) - (replay.FROM_BYTES if replayed.faults or replayed.unread else set())
    for name in sorted(compared):
        if said[name] != found[name]:
            yield Fault("views", f"the view {name} is not what the ledger says: run rebuild")


async def _contents(core: Core, after: int) -> AsyncIterator[KnownContent]:
    while page := await core.database.read(partial(audit.contents, after=after, limit=_AT_ONCE)):
        for content in page:
            yield content
            after = content.id


async def _check_content(
    core: Core, content: KnownContent, done: Checked, *, structure_only: bool
) -> Fault | None:
    if content.state == MISSING:
        message = f"content {content.address} is missing, as the ledger says: push it again"
        return Fault("known", message, (content.domain, content.address))
    if content.state == ERASED:
        done.erased += 1
        return None
    done.away += content.state == AWAY
    unread = structure_only or content.state == AWAY  # nothing is fetched from a tape for it
    try:
        size = await core.dataplane.size(content.domain, content.address)
        wrong = None if unread or size != content.size else await _read(core, content, done)
    except StoreError as error:
        if error.kind not in {ErrorKind.ERASED, ErrorKind.CONTENT_UNKNOWN, ErrorKind.RESTORE_REQUIRED}:
            raise
        # Restored bytes may have gone again since the ledger heard of them.
        if error.kind is ErrorKind.RESTORE_REQUIRED or await _has_gone(core, content):
            return None
        if error.kind is ErrorKind.ERASED:
            return _unsaid(content)
        wrong = f"content {content.address} is not there"
    else:
        if size != content.size:
            wrong = f"content {content.address} has {size} bytes where {content.size} belong"
    if wrong:
        return Fault("content", wrong, (content.domain, content.address))
    return await fsck_places.disagreement(core, content)


def _unsaid(content: KnownContent) -> Fault:
    """Told once for all content of the domain."""
    message = (
        f"the keys of the domain {content.domain} were destroyed and the ledger does not say so: "
        f"`artifact-store keys destroy {content.domain} --yes` completes it"
    )
    return Fault("erased", message)


async def _read(core: Core, content: KnownContent, done: Checked) -> str | None:
    """Hash the bytes by every algorithm that names them."""
    hasher = MultiHasher({digest.algorithm for digest in content.digests})
    async for piece in core.dataplane.read(content.domain, content.address):
        done.bytes += len(piece)
        await asyncio.to_thread(hasher.update, piece)
    found = hasher.digests()
    wrong = [digest for digest in content.digests if found[digest.algorithm] != digest]
    if not wrong:
        return None
    return f"content {content.address} is corrupt: its bytes are not those of {', '.join(map(str, wrong))}"


async def _has_gone(core: Core, content: KnownContent) -> bool:
    """Whether a live server has removed or noted it since the snapshot."""
    now = await core.database.read(
        lambda connection: lookups.find_blob(connection, content.domain, content.address)
    )
    return now is None or now.state != content.state


async def _count_unnamed(core: Core, done: Checked) -> None:
    async for domain, address, _size in core.dataplane.contents():
        known = await core.database.fetch_one(
            lookups.BLOB_BY_ADDRESS, {"domain": domain, "content_address": str(address)}
        )
        done.unnamed += known is None
    async for _stage in core.dataplane.stages():
        done.stages += 1
