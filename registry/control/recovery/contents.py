"""Storage walked once the ledger is back: what it names and is not there, and what it does not name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from functools import partial

from registry.contract.dataplane import DataPlane, DomainId
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.manifest import parse_manifest
from registry.control import collection
from registry.control.core import SYSTEM, Core
from registry.control.recording import note_missing
from registry.control.recovery.report import MOST_NAMED, Orphan, Recovered
from registry.control.sql import audit, removals
from registry.control.sql.audit import KnownContent
from registry.control.sql.lookups import PRESENT
from registry.control.work import hold

Progress = Callable[[Recovered], None]

_AT_ONCE = 500
#: Questions to storage on their way at once.
_PARALLEL = 32
#: Larger bytes are no manifest that a client would have pushed.
_LARGEST_MANIFEST = 4 * 1024 * 1024
_REASON = "the bytes were not in storage when the database was recovered"


async def find_missing(core: Core, done: Recovered, progress: Progress, *, note: bool) -> None:
    """Ask storage for every content; with `note` the ledger says what is missing (`content.missing`)."""
    turn = asyncio.Semaphore(_PARALLEL)

    async def look(content: KnownContent) -> None:
        async with turn:
            there = await _is_there(core.dataplane, content)
        if there:
            done.present += 1
            done.present_bytes += content.size
            return
        done.missing_count += 1
        if len(done.missing) < MOST_NAMED:
            done.missing.append((content.domain, content.address))
        if note:
            await note_missing(core, SYSTEM, content.domain, content.address, _REASON)

    after = 0
    while page := await core.database.read(partial(audit.contents, after=after, limit=_AT_ONCE)):
        after = page[-1].id
        done.contents += len(page)
        await asyncio.gather(*(look(content) for content in page if content.state == PRESENT))
        progress(done)


async def find_orphans(core: Core, done: Recovered, progress: Progress, *, note: bool) -> None:
    """List what no event names; with `note` it is kept for the grace that orphans have, from now on."""
    async for domain, found in _pages(core.dataplane):
        sizes = dict(found)
        unnamed = await core.database.read(partial(removals.unnamed, domain=domain, addresses=list(sizes)))
        for address in unnamed:
            done.orphan_count += 1
            done.orphan_bytes += sizes[address]
            if len(done.orphans) < MOST_NAMED:
                done.orphans.append(await _orphan(core.dataplane, domain, address, sizes[address]))
        if note and unnamed:
            async with hold(core, collection.WORK) as work:
                await collection.note_unnamed(work, domain, found)
        progress(done)


async def _is_there(dataplane: DataPlane, content: KnownContent) -> bool:
    try:
        return await dataplane.size(content.domain, content.address) == content.size
    except StoreError as error:
        if error.kind is ErrorKind.CONTENT_UNKNOWN:
            return False
        if error.kind in (ErrorKind.ERASED, ErrorKind.RESTORE_REQUIRED):
            return True
        raise


async def _pages(dataplane: DataPlane) -> AsyncIterator[tuple[DomainId, list[tuple[Digest, int]]]]:
    gathered: dict[DomainId, list[tuple[Digest, int]]] = {}
    async for domain, address, size in dataplane.contents():
        held = gathered.setdefault(domain, [])
        held.append((address, size))
        if len(held) == _AT_ONCE:
            yield domain, gathered.pop(domain)
    for domain, held in gathered.items():
        yield domain, held


async def _orphan(dataplane: DataPlane, domain: DomainId, address: Digest, size: int) -> Orphan:
    if not 0 < size <= _LARGEST_MANIFEST:
        return Orphan(domain, address, size)
    try:
        data = await dataplane.get(domain, address, size)
    except StoreError as error:
        if error.kind in (ErrorKind.UNAVAILABLE, ErrorKind.INTERNAL):
            raise
        return Orphan(domain, address, size)
    return Orphan(domain, address, size, await asyncio.to_thread(_manifest, data))


def _manifest(data: bytes) -> str | None:
    """What a manifest says of itself, None for other bytes."""
    if not data.startswith(b"{"):
        return None
    try:
        document = json.loads(data)
        media_type = document["mediaType"]
        manifest = parse_manifest(data, media_type)
    except (StoreError, ValueError, KeyError, TypeError, RecursionError):
        return None
    notes = document.get("annotations")
    created = notes.get("org.opencontainers.image.created") if isinstance(notes, dict) else None
    parts = [
        f"{Digest.of(data, Algorithm.SHA256)}, {media_type}",
        f"of type {manifest.artifact_type}" if manifest.artifact_type else "",
        f"about {manifest.subject.digest}" if manifest.subject else "",
        f"created {created}" if isinstance(created, str) else "",
    ]
    return ", ".join(part for part in parts if part)
