"""The packs of one store: index, log, readers and jobs, opened together and closed together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from registry.contract.dataplane import DomainId
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.index.locks import LockFile
from registry.dataplane.index.port import Change, Place
from registry.dataplane.index.sqlite import Damaged, SqliteIndex
from registry.dataplane.packs.codec import Records
from registry.dataplane.packs.examining import examine
from registry.dataplane.packs.files import PackFiles
from registry.dataplane.packs.log import TinyLog
from registry.dataplane.packs.reading import PackedBlob, PackedRecipe, PackReader
from registry.dataplane.packs.records import PIECES, Grave, Kind, Record, tombstones
from registry.dataplane.packs.recovery import Recovered, Recovery, bury, uses_of
from registry.dataplane.paths import INDEX, INDEX_FILE, PACKS
from registry.dataplane.sealer import Sealer
from registry.dataplane.settings import DataPlaneSettings
from registry.dataplane.workers import Workers

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
            first = self._open.take()
            if not first:
                self._open.share()
            self.index = self._index(root / INDEX / INDEX_FILE, first)
            undo.callback(self.index.close)
            self.files = PackFiles(tree, settings.pack_files)
            undo.callback(self.files.close)
            self.reader = PackReader(self.index, self.files, self.records)
            self.recovered = self._recover(first)
            if first:
                self._open.share()
            undo.pop_all()
        self.log = TinyLog(tree, self.index, settings.pack_bytes)

    def _index(self, path: Path, first: bool) -> SqliteIndex:
        try:
            return SqliteIndex(path, self._change)
        except Damaged:
            if not first:
                raise
            for suffix in ("", "-wal", "-shm"):
                with suppress(FileNotFoundError):
                    path.with_name(path.name + suffix).unlink()
            return SqliteIndex(path, self._change)

    def _recover(self, first: bool) -> Recovered:
        recovery = Recovery(self.tree, self.index, self.reader)
        if first:
            boot, clean = self.index.note()
            if not clean and boot != self._boot:
                recovery.compare()
            self.index.set_note(self._boot, False)
        recovery.settle()
        return recovery.done

    # --- objects ---------------------------------------------------------------------------------------

    def find(self, domain: DomainId, address: bytes) -> Place | None:
        return self.index.find(domain, address)

    async def put(self, domain: DomainId, address: bytes, data: bytes) -> None:
        """Store a tiny object, durable on return, unless it is here at this size."""

        def records() -> Sequence[tuple[Record, bytes]]:
            known = self.index.find(domain, address)
            if known is not None and known.raw == len(data):
                return ()
            return (self.records.encode(domain, Kind.BLOB, address, data),)

        def apply(change: Change, places: Sequence[Place]) -> None:
            for place in places:
                change.add_object(domain, address, place)

        await self.log.write(domain, records, apply)

    async def open(self, domain: DomainId, address: bytes) -> PackedBlob | PackedRecipe | None:
        """The object, open for reading; None when no pack holds it. Raises Corrupt."""
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

        None when no pack held it. Durable on return: a tombstone tells who makes the index anew.
        """
        freed = None
        while places := await self.settled_places(domain, address):
            freed = (freed or 0) + await self._bury(domain, await self._dead(address, places))
        return freed

    async def settled_places(self, domain: DomainId, address: bytes) -> list[Place]:
        """The object's places, asked between two changes: a job that was about to add one has done so."""
        return await self.log.write(domain, lambda: (), lambda change, _: change.places(domain, address))

    async def give_up(self, domain: DomainId, address: bytes) -> bytes:
        """Take what is corrupt out of the index, so that nothing builds on it: the object, and of one in
        chunks the bad chunks, which other objects may name too. Returns the stored bytes that were bad.

        A good chunk pushed and packed again heals all who name it.
        """
        remains = []
        for place in self.index.places(domain, address):
            bad = await self._workers.run(partial(examine, self.reader, address, place))
            remains += [stored for _, stored in bad]
            await self._bury(domain, [(grave, {}) for grave, _ in bad if grave.kind in PIECES])
        await self.remove(domain, address)
        return b"".join(remains)

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

    async def _bury(self, domain: DomainId, dead: list[_Dead]) -> int:
        if not dead:
            return 0

        def records() -> Sequence[tuple[Record, bytes]]:
            return (tombstones([grave for grave, _ in dead]),)

        def apply(change: Change, _: Sequence[Place]) -> int:
            return sum(bury(change, domain, grave, uses) for grave, uses in dead)

        return await self.log.write(domain, records, apply)

    def _uses(self, place: Place) -> Mapping[bytes, int]:
        return uses_of(self.reader, place) if place.kind is Kind.RECIPE else {}

    def close(self) -> None:
        """Close the log, and the index as it should be where nobody else has the store open. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self.log.close()
        if self._open.take():
            with suppress(Exception):  # then the next to open it compares
                self.index.set_note(self._boot, True)
        self.files.close()
        self.index.close()
        for lock in (self.maintain, self._change, self._open):
            lock.close()
