"""The packs of one store: index, log, readers and jobs, opened together and closed together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from registry.contract.dataplane import DomainId
from registry.dataplane.drivers.port import Permanent
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.index.locks import LockFile
from registry.dataplane.index.port import Change, ListedObject, Place
from registry.dataplane.index.sqlite import Damaged, Note, SqliteIndex
from registry.dataplane.packs.codec import Records
from registry.dataplane.packs.examining import examine
from registry.dataplane.packs.files import PackFiles
from registry.dataplane.packs.log import TinyLog
from registry.dataplane.packs.reading import PackedBlob, PackedRecipe, PackReader
from registry.dataplane.packs.records import PIECES, Grave, Kind, Record, tombstones
from registry.dataplane.packs.recovery import Recovered, Recovery, bury
from registry.dataplane.packs.session import begin_session, read_session
from registry.dataplane.paths import INDEX, INDEX_FILE, PACKS
from registry.dataplane.sealer import Sealer
from registry.dataplane.settings import DataPlaneSettings
from registry.dataplane.workers import Workers

#: Seconds between two tries to have the store alone, where several open it at once after a crash.
_PAUSE = 0.01
#: Seconds after which packs that were deleted are looked for among those kept open.
_TIDY = 60.0
#: A dead record, and what it named if it was a recipe.
_Dead = tuple[Grave, Mapping[bytes, int]]


class Packs:
    """What a store holds in packs. Belongs to one event loop; blocking parts run in `workers`."""

    def __init__(
        self, root: Path, tree: Tree, boot: str, workers: Workers, settings: DataPlaneSettings, sealer: Sealer
    ) -> None:
        """Open, and bring index and packs together where the last to have them open could not.

        Raises StoreError, DriverError, OSError.
        """
        self.tree = tree
        self.settings = settings
        self._closed = False
        self._tidying: asyncio.TimerHandle | None = None
        self._boot = boot
        self._workers = workers
        self.records = Records(sealer)
        with ExitStack() as undo:
            with tree.folder((PACKS,), make=True):
                pass
            self._open = LockFile(tree, "open")
            undo.callback(self._open.close)
            self._change = LockFile(tree, "change")
            undo.callback(self._change.close)
            self.maintain = LockFile(tree, "maintain")
            undo.callback(self.maintain.close)
            alone = self._open.take()
            if not alone:
                self._open.share()
            self.index = self._index(root / INDEX / INDEX_FILE, alone)
            undo.callback(self.index.close)
            self.files = PackFiles(tree, settings.pack_files)
            undo.callback(self.files.close)
            self.reader = PackReader(self.index, self.files, self.records)
            self.recovered = self._recover(alone)
            undo.pop_all()
        self.log = TinyLog(tree, self.index, settings.pack_bytes)

    def _index(self, path: Path, alone: bool) -> SqliteIndex:
        try:
            return SqliteIndex(path, self._change)
        except Damaged as error:
            if not alone:
                raise Permanent(
                    f"the content index cannot be used ({error}); stop all who have the store open, and the "
                    "next to open it makes the index anew"
                ) from error
            for suffix in ("", "-wal", "-shm"):
                with suppress(FileNotFoundError):
                    path.with_name(path.name + suffix).unlink()
            return SqliteIndex(path, self._change)

    def _recover(self, alone: bool) -> Recovered:
        recovery = Recovery(self.tree, self.index, self.reader)
        while not alone and not self._is_in_use():
            # Who had it alone was closing it, or died before index and packs agreed: then it is our turn.
            alone = self._open.take()
            if not alone:
                self._open.share()
                time.sleep(_PAUSE)
        if alone:
            note = self.index.note()
            known = note.session != "" and note.session == read_session(self.tree)
            if not known or not (note.clean or note.boot == self._boot):
                recovery.compare()
            self._note(clean=False)
            self._open.share()
        recovery.settle()
        return recovery.done

    def _is_in_use(self) -> bool:
        """Whether the index says that it is open in this boot, so that no loss of it goes unnoticed."""
        note = self.index.note()
        return note.boot == self._boot and not note.clean

    def _note(self, *, clean: bool) -> None:
        self.index.set_note(Note(self._boot, clean, begin_session(self.tree)))

    # --- objects ---------------------------------------------------------------------------------------

    def find(self, domain: DomainId, address: bytes) -> Place | None:
        return self.index.find(domain, address)

    async def put(self, domain: DomainId, address: bytes, data: bytes) -> bool:
        """Store a tiny object, durable on return, unless it is here; whether it was not."""

        def records() -> Sequence[tuple[Record, bytes]]:
            if self.index.find(domain, address) is not None:
                return ()
            return (self.records.encode(domain, Kind.BLOB, address, data),)

        def apply(change: Change, places: Sequence[Place]) -> bool:
            for place in places:
                change.add_object(domain, address, place)
            return bool(places)

        return await self.log.write(domain, records, apply)

    async def open(self, domain: DomainId, address: bytes) -> PackedBlob | PackedRecipe | None:
        """The object, open for reading; None when no pack holds it. Raises Corrupt."""
        if self._tidying is None:
            self._tidying = asyncio.get_running_loop().call_later(_TIDY, self._tidy)
        opened = self.reader.open(lambda: self.index.find(domain, address))
        if opened is None:
            return None
        place, file = opened
        if place.kind is Kind.BLOB:
            return PackedBlob(self.reader, place, file, self._workers)
        with file:
            data = await self._workers.run(lambda: self.reader.at(place, file))
        return PackedRecipe(self.reader, domain, place.raw, data, self._workers)

    async def remove(self, domain: DomainId, address: bytes) -> int | None:
        """Let go of the object wherever packs hold it; returns the stored bytes that nothing needs any more.

        None when no pack held it. Durable on return: a tombstone tells who makes the index anew. The index
        goes first: were a tombstone there before, a crash would let it strike a put that found the object
        in the index meanwhile and stored nothing.
        """
        freed = None
        places, owed = await self._settled(domain, address)
        while places or owed:
            dead = await self._dead(address, places)
            found = await self._take_out(domain, dead)
            freed = freed if not dead else (freed or 0) + sum(filter(None, found))
            await self._entomb(domain, [grave for grave, _ in dead] + owed)
            if None not in found:
                break
            places, owed = await self._settled(domain, address)  # one was moved by a rewrite meanwhile
        return freed

    async def _settled(self, domain: DomainId, address: bytes) -> tuple[list[Place], list[Grave]]:
        """The object's places, asked between two changes: a job that was about to add one has done so. And
        the tombstones that a removal cut short still owes."""

        def ask(change: Change, _: Sequence[Place]) -> tuple[list[Place], list[Grave]]:
            return change.places(domain, address), change.owed(domain, address)

        return await self.log.write(domain, _nothing, ask)

    async def give_up(self, domain: DomainId, address: bytes) -> bytes | None:
        """Take what is corrupt out of the index, so that nothing builds on it: records of the object that do
        not give its bytes, and bad chunks, which other objects may name too. Sound records stay: a push may
        just have brought one. Returns the stored bytes that were bad; None when no pack held the object.

        A good chunk pushed and packed again heals all who name it.
        """
        remains = []
        seen: set[Place] = set()
        while fresh := [place for place in self.index.places(domain, address) if place not in seen]:
            for place in fresh:
                seen.add(place)
                bad = await self._workers.run(partial(examine, self.reader, address, place))
                if bad is None:
                    continue
                remains += [stored for _, stored in bad]
                dead: list[_Dead] = [(grave, {}) for grave, _ in bad if grave.kind in PIECES]
                dead += await self._dead(address, [place])
                await self._take_out(domain, dead)
                await self._entomb(domain, [grave for grave, _ in dead])
        return b"".join(remains) if seen else None

    async def objects(
        self, domain: DomainId | None, after: tuple[DomainId, bytes] | None, limit: int
    ) -> list[ListedObject]:
        """A page of the objects held, by domain and address."""
        return await self._workers.run(partial(self.index.objects, domain, after, limit))

    async def totals(self) -> tuple[int, int, int]:
        """Objects, payload bytes that are needed, and all other bytes of the packs."""
        return await self._workers.run(self.index.totals)

    async def _dead(self, address: bytes, places: list[Place]) -> list[_Dead]:
        def dead() -> list[_Dead]:
            return [
                (Grave(place.pack.id, place.offset, place.kind, address), self._uses(place))
                for place in places
            ]

        return await self._workers.run(dead)

    async def _take_out(self, domain: DomainId, dead: list[_Dead]) -> list[int | None]:
        """Take records out of the index; returns as `bury` for each."""

        def apply(change: Change, _: Sequence[Place]) -> list[int | None]:
            change.owe(domain, [grave for grave, _ in dead])
            return [bury(change, domain, grave, uses) for grave, uses in dead]

        return await self.log.write(domain, _nothing, apply) if dead else []

    async def _entomb(self, domain: DomainId, graves: list[Grave]) -> None:
        """Write tombstones for what was taken out."""

        def apply(change: Change, _: Sequence[Place]) -> None:
            change.paid(domain, graves)

        await self.log.write(domain, lambda: (tombstones(graves),), apply)

    def _tidy(self) -> None:
        """Now and then while packs are kept open: what another process deleted takes room until we let go."""
        self._tidying = None
        if self.files.tidy():
            self._tidying = asyncio.get_running_loop().call_later(_TIDY, self._tidy)

    def _uses(self, place: Place) -> Mapping[bytes, int]:
        return self.reader.uses(place) if place.kind is Kind.RECIPE else {}

    def close(self) -> None:
        """Close the log, and the index as it should be where nobody else has the store open. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._tidying is not None:
            self._tidying.cancel()
        self.log.close()
        if self._open.take():
            with suppress(Exception):  # then the next to open it compares
                self._note(clean=True)
        self.files.close()
        self.index.close()
        for lock in (self.maintain, self._change, self._open):
            lock.close()


def _nothing() -> Sequence[tuple[Record, bytes]]:
    """The records of a write that only changes the index."""
    return ()
