"""Recovery from beginning to end; each step can be done again after a kill.

1. The checkpoint is read, its signature verified, and everything that it covers.
2. The ledger is written into an empty database, byte for byte.
3. The views are replayed from it.
4. Storage is walked: contents that are missing, bytes that no event names.
5. What was exported beyond the checkpoint is set aside, so that the ledger can go on from there.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from registry.contract.archive import Archive
from registry.contract.dataplane import DataPlane
from registry.contract.tlog import ed25519, note, tiles
from registry.contract.tlog.merkle import WIDTH
from registry.contract.tlog.note import Checkpoint, NoteError, Verifier
from registry.contract.tlog.tiles import TILES, place_of
from registry.control.core import SYSTEM, Core, Limits
from registry.control.export import reading
from registry.control.export.examining import examine
from registry.control.export.exporter import FOLLOWERS
from registry.control.export.settings import Export
from registry.control.export.state import WORK, Exported, fault
from registry.control.rebuild import rebuild
from registry.control.recovery import contents, ledger
from registry.control.recovery.report import Recovered
from registry.control.sql import progress as rows
from registry.control.sql import recovering as marks
from registry.control.sql.transaction import Transaction
from registry.control.store import open_store

Progress = Callable[[Recovered], None]

#: What was exported and no checkpoint covered is kept here, for a person to look at.
ASIDE = "aside/"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a store is recovered from.

    The checkpoint must be signed by the public key `verifier`, or by the private `key` (PEM) of the store;
    without either by anybody.
    """

    dataplane: DataPlane
    archive: Archive
    verifier: Verifier | None = None
    key: str | None = None


async def recover(
    source: Source,
    database: str | Path,
    *,
    limits: Limits | None = None,
    resume: bool = False,
    dry_run: bool = False,
    progress: Progress = lambda _: None,
) -> Recovered:
    """Rebuild `database` from storage. With `dry_run` into a temporary file, and nothing else is changed.

    Raises StoreError CONFLICT when there is no checkpoint, or it or the database are not fit; what storage
    and database raise.
    """
    done = Recovered()
    stored = await _trusted(source, done)
    examined = await examine(
        source.archive, stored, lambda now: progress(_at(done, f"verified {now.events} events"))
    )
    done.faults = examined.faults
    if done.faults:
        return done
    if dry_run:
        with tempfile.TemporaryDirectory(prefix="artifact-store-") as folder:
            scratch = Path(folder) / "ledger.sqlite"
            await ledger.prepare(scratch, source.archive, stored, examined, resume=False)
            await ledger.write(scratch, source.archive, stored, examined, lambda _: None)
            await _complete(source, scratch, stored, done, limits, progress, dry_run=True)
    else:
        await ledger.prepare(database, source.archive, stored, examined, resume=resume)
        await ledger.write(
            database, source.archive, stored, examined, lambda at: progress(_at(done, f"wrote {at} events"))
        )
        await _complete(source, database, stored, done, limits, progress, dry_run=False)
    return done


async def _trusted(source: Source, done: Recovered) -> Checkpoint:
    signed = await reading.checkpoint(source.archive)
    if signed is None:
        raise fault("the storage holds no checkpoint of a ledger: nothing was exported there")
    try:
        verifier = source.verifier
        if verifier is None and source.key is not None:
            verifier = ed25519.signer(source.key, signed.checkpoint.origin).public
        if verifier is not None:
            note.verify(signed, verifier)
            done.signed_by = f"{verifier.name}+{verifier.key_id.hex()}"
    except NoteError as error:
        raise fault(f"the checkpoint in storage {error}; nothing was recovered") from None
    done.origin, done.events = signed.checkpoint.origin, signed.checkpoint.size
    return signed.checkpoint


async def _complete(
    source: Source,
    database: str | Path,
    stored: Checkpoint,
    done: Recovered,
    limits: Limits | None,
    progress: Progress,
    *,
    dry_run: bool,
) -> None:
    """Everything behind the ledger."""
    rebuilt = await rebuild(
        database, source.dataplane, lambda now: progress(_at(done, f"replayed {now.events} events"))
    )
    done.replayed, done.manifests = rebuilt.events, rebuilt.manifests
    store = await open_store(
        source.dataplane, database, limits=limits, export=Export(source.archive) if not dry_run else None
    )
    try:
        core = store.core
        done.step = "looking for contents"
        await contents.find_missing(core, done, progress, note=not dry_run)
        done.step = "looking for bytes without a name"
        await contents.find_orphans(core, done, progress, note=not dry_run)
        if not dry_run:
            await _end(core, source.archive, stored, done)
    finally:
        await store.close()


async def _end(core: Core, archive: Archive, stored: Checkpoint, done: Recovered) -> None:
    """Let the export go on behind the checkpoint, and the followers where they were."""
    done.aside = await _set_aside(archive, stored)
    places = await _followers(archive)
    done.followers = len(places)

    def change(tx: Transaction) -> None:
        known = Exported(stored.size, stored.root, core.clock.now())
        rows.save(tx.connection, WORK, known.state())
        for name, cursor, stopped in places:
            marks.restore_follower(tx.connection, name, min(cursor, stored.size), stopped=stopped)
        rows.drop(tx.connection, marks.WORK)

    await core.database.write(SYSTEM, change)


async def _set_aside(archive: Archive, stored: Checkpoint) -> int:
    """Move objects that reach beyond the checkpoint: the ledger will have other events in their places.

    Where one of them has what the checkpoint's own partial tiles had, those are written again first.
    """
    for place in (*tiles.rightmost(stored.size), *tiles.bundles(stored.size, stored.size // WIDTH)):
        if place.level is None:
            await archive.create(place.name, tiles.join(await reading.entries(archive, place)))
        else:
            await archive.create(place.name, b"".join(await reading.hashes(archive, place)))
    beyond = []
    async for name in archive.names(TILES):
        found = place_of(name)
        if found is not None and found.end > stored.size:
            beyond.append(name)
    for name in beyond:
        data = await archive.get(name)
        if data is not None:
            await archive.create(f"{ASIDE}{stored.size}/{name}", data)
        await archive.delete(name)
    return len(beyond)


async def _followers(archive: Archive) -> list[tuple[str, int, bool]]:
    """Where followers were. Bytes that say nothing are nothing to go by: then followers begin as new ones."""
    data = await archive.get(FOLLOWERS)
    try:
        found = json.loads(data or b"{}").get("followers", [])
        return [(str(one["name"]), int(one["cursor"]), bool(one["stopped"])) for one in found]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _at(done: Recovered, step: str) -> Recovered:
    done.step = step
    return done
