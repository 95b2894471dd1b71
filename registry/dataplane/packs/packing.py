"""Packing: loose blobs cut to chunks, new chunks compressed into packs, and the loose files deleted.

Runs in steps while everything else goes on, in memory of a few MiB. A blob is verified whole while it is cut:
corrupt bytes would else be packed as good ones. A chunk that is held already is read and compared with its
checksum before a blob relies on it, since the only other copy is about to go; a bad one is written anew.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from registry.contract.dataplane import Codec, DomainId, Packed, Packing
from registry.contract.digest import Algorithm, Digest, blake3_of, new_hasher
from registry.dataplane.drivers.forms import Source
from registry.dataplane.drivers.loose import LooseFiles
from registry.dataplane.drivers.port import Area, Corrupt, Erased, ObjectKey
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.index.port import Change, ContentIndex, Place
from registry.dataplane.packs.chunking import Chunking
from registry.dataplane.packs.codec import Records
from registry.dataplane.packs.examining import fault_of
from registry.dataplane.packs.job import JobPack
from registry.dataplane.packs.reading import PackReader
from registry.dataplane.packs.recipes import LONGEST, Item, encode_recipe
from registry.dataplane.packs.records import Grave, Kind
from registry.dataplane.paths import object_place
from registry.dataplane.settings import DataPlaneSettings

#: Content (bytes) worked through between two steps.
_STEP = 8 << 20
#: Rows of the index that one switch may change, about: some 100 ms in which other writes wait.
_ROWS = 16_384
#: Places of chunks found sound in this run, so that they are not read again.
_KNOWN_SOUND = 100_000


@dataclass(slots=True)
class _Blob:
    """A blob on its way in."""

    domain: DomainId
    address: Digest
    size: int = 0
    added: int = 0

    @property
    def digest(self) -> bytes:
        return bytes.fromhex(self.address.hex)

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(Area.CONTENT, self.domain, self.address.hex)

    def done(self, fault: str | None = None) -> Packed:
        return Packed(self.domain, self.address, self.size, self.added, fault)


class _Ready(NamedTuple):
    """A blob whose records are in the job's pack."""

    blob: _Blob
    place: Place
    uses: Counter[bytes]


class PackingJob:
    """One run. `add` and `finish` are iterated in worker threads, one step at a time; `abandon` ends it."""

    def __init__(
        self,
        tree: Tree,
        loose: LooseFiles,
        reader: PackReader,
        records: Records,
        settings: DataPlaneSettings,
        packing: Packing,
    ) -> None:
        self._tree = tree
        self._loose = loose
        self._reader = reader
        self._index: ContentIndex = reader.index
        self._records = records
        self._settings = settings
        self._packing = packing
        self._level: int | None = None
        if packing.codec is Codec.ZSTD:
            self._level = settings.zstd_level if packing.level is None else packing.level
        self._chunking = Chunking(settings)
        self._sound: set[Place] = set()
        self._reset()

    def _reset(self) -> None:
        self._pack: JobPack | None = None
        self._fresh: dict[bytes, Place] = {}
        self._lists: dict[bytes, Counter[bytes]] = {}
        self._bad: list[tuple[bytes, Place]] = []
        self._ready: list[_Ready] = []
        self._rows = 0

    def add(self, domain: DomainId, address: Digest) -> Generator[list[Packed], None, None]:
        """Take in one blob if the policy wants it. Yields what was switched to packs, often nothing."""
        blob = _Blob(domain, address)
        try:
            file = self._loose.open(blob.key)
        except FileNotFoundError:
            return
        try:
            blob.size = file.size
            if not self._wanted(file.status.st_mtime, blob.size):
                return
            if self._pack is not None and self._pack.domain != domain:
                yield from self._flush()
            if any(ready.blob.key == blob.key for ready in self._ready[-1:]):
                return
            place = self._index.find(domain, blob.digest)
            if place is not None:
                yield from self._tidy(blob, place)
            else:
                yield from self._cut(blob, file.source())
        except Corrupt as error:
            yield [blob.done(str(error))]
        except Erased:  # with its key, and is nobody's to read
            return
        finally:
            os.close(file.fd)

    def finish(self) -> Generator[list[Packed], None, None]:
        """Close the last pack."""
        yield from self._flush()

    def abandon(self) -> None:
        """Idempotent, also after `finish`."""
        if self._pack is not None:
            self._pack.abandon()
        self._reset()

    def _wanted(self, changed: float, size: int) -> bool:
        rule = self._packing
        old = time.time() - changed >= rule.older_than
        return old and rule.at_least <= size and size <= (rule.at_most or size)

    # --- one blob --------------------------------------------------------------------------------------

    def _cut(self, blob: _Blob, source: Source) -> Generator[list[Packed], None, None]:
        hasher = new_hasher(Algorithm.BLAKE3)
        items: list[Item] = []
        lists: list[Item] = []
        whole = blob.size <= self._settings.tiny_bytes
        done = 0

        def read(length: int) -> bytes:
            data = source.read(length)
            hasher.update(data)
            return data

        data = b""
        if whole:
            data = read(blob.size + 1)
        for chunk in () if whole else self._chunking.cut(read):
            digest = blake3_of(chunk)
            items.append(Item(digest, len(chunk)))
            blob.added += self._piece(blob.domain, Kind.CHUNK, digest, chunk)
            if len(items) == LONGEST:
                lists.append(self._list(blob, items))
                items = []
            done += len(chunk)
            if self._full():
                yield from self._flush()
            elif done >= _STEP:
                done = 0
                yield []
        found = Digest(Algorithm.BLAKE3, hasher.hexdigest())
        if found != blob.address:
            yield [blob.done(f"the bytes held are {found}")]
            return
        if whole:
            self._store(blob, Kind.BLOB, data, Counter())
        elif lists:
            if items:
                lists.append(self._list(blob, items))
            self._store(blob, Kind.RECIPE, encode_recipe(1, lists), Counter(item.digest for item in lists))
        else:
            self._store(blob, Kind.RECIPE, encode_recipe(0, items), Counter(item.digest for item in items))
        if self._full():
            yield from self._flush()

    def _store(self, blob: _Blob, kind: Kind, data: bytes, uses: Counter[bytes]) -> None:
        level = self._level if kind is Kind.BLOB else None
        record, payload = self._records.encode(
            blob.domain, kind, blob.digest, data, size=blob.size, level=level
        )
        place = self._into(blob.domain).add(record, payload)
        blob.added += record.stored
        self._ready.append(_Ready(blob, place, uses))
        self._rows += 1 + len(uses)

    def _list(self, blob: _Blob, items: list[Item]) -> Item:
        data = encode_recipe(0, items)
        digest = blake3_of(data)
        added = self._piece(blob.domain, Kind.LIST, digest, data)
        blob.added += added
        if added:
            self._lists[digest] = Counter(item.digest for item in items)
            self._rows += len(items)
        return Item(digest, sum(item.length for item in items))

    def _piece(self, domain: DomainId, kind: Kind, digest: bytes, data: bytes | memoryview) -> int:
        """Store a chunk or list unless it is held; returns the bytes added."""
        if digest in self._fresh:
            return 0
        place = self._index.chunk(domain, digest)
        if place is not None:
            if self._is_sound(digest, place):
                return 0
            self._bad.append((digest, place))
        level = self._level if kind is Kind.CHUNK else None
        record, payload = self._records.encode(domain, kind, digest, data, level=level)
        self._fresh[digest] = self._into(domain).add(record, payload)
        self._rows += 1
        return record.stored

    def _is_sound(self, digest: bytes, place: Place) -> bool:
        if place in self._sound:
            return True
        try:
            record, stored = self._reader.stored(place)
        except Corrupt:
            return False
        if record.digest != digest or blake3_of(stored) != record.check:
            return False
        self._know_sound((place,))
        return True

    def _know_sound(self, places: Iterable[Place]) -> None:
        if len(self._sound) >= _KNOWN_SOUND:
            self._sound.clear()
        self._sound.update(places)

    def _into(self, domain: DomainId) -> JobPack:
        if self._pack is None:
            self._pack = JobPack(self._tree, self._index, domain, self._chunking.parameters)
        return self._pack

    def _full(self) -> bool:
        size = self._pack.size if self._pack is not None else 0
        return size >= self._settings.pack_bytes or self._rows >= _ROWS

    # --- the switch ------------------------------------------------------------------------------------

    def _flush(self) -> Generator[list[Packed], None, None]:
        pack = self._pack
        if pack is None:
            return
        packed: list[_Ready] = []
        with pack.switch() as (change, graves):
            for digest, place in self._bad:
                change.move_chunk(pack.domain, digest, place, None)
                graves.append(Grave(place.pack.id, place.offset, place.kind, digest))
            for digest, place in self._fresh.items():
                change.add_chunk(pack.domain, digest, place)
            for uses in self._lists.values():
                change.retain(pack.domain, uses)
            graves.extend(self._take_in(change, pack.domain, packed))
        self._know_sound(self._fresh.values())
        self._reset()
        self._unlink([(ready.blob, ready.place) for ready in packed])
        yield [ready.blob.done() for ready in packed]

    def _take_in(self, change: Change, domain: DomainId, packed: list[_Ready]) -> list[Grave]:
        """Add to the index and to `packed` what is still wanted. Returns the recipes of what is not: blobs
        removed meanwhile, and those that name a chunk which was sound and has been given up since; the file
        of such a one stays, and the next run packs it."""
        graves = []
        for ready in self._ready:
            loose = self._is_loose(ready.blob)
            if loose:
                change.retain(domain, ready.uses)
                if not self._names(ready.uses, change.lost_chunks(domain)):
                    change.add_object(domain, ready.blob.digest, ready.place)
                    packed.append(ready)
                    continue
                change.release(domain, ready.uses)
            graves.append(Grave(ready.place.pack.id, ready.place.offset, ready.place.kind, ready.blob.digest))
        return graves

    def _names(self, uses: Mapping[bytes, int], lost: set[bytes]) -> bool:
        """Whether a recipe, or a list of this pack that it names, names any of these."""
        return bool(lost) and any(
            digest in lost or not lost.isdisjoint(self._lists.get(digest, ())) for digest in uses
        )

    def _tidy(self, blob: _Blob, place: Place) -> Generator[list[Packed], None, None]:
        """A blob that a pack holds already, because a crash came before its file was deleted."""
        fault = fault_of(self._reader, blob.digest, place)
        if fault is None:
            self._unlink([(blob, place)])
        yield [blob.done(fault)]

    def _is_loose(self, blob: _Blob) -> bool:
        return self._loose.holds(blob.key)

    def _unlink(self, packed: list[tuple[_Blob, Place]]) -> None:
        """Delete the loose files, durably: one that came back after a later removal would be a ghost."""
        folders: dict[tuple[str, ...], list[tuple[_Blob, Place]]] = {}
        for blob, place in packed:
            folders.setdefault(object_place(blob.key)[0], []).append((blob, place))
        for path, here in folders.items():
            with suppress(FileNotFoundError), self._tree.folder(path) as folder:
                with self._index.change() as change:
                    for blob, place in here:
                        # Where the blob was removed meanwhile, so was its file, and one that is there now
                        # came by a later push. Who removes waits for the change that we are in.
                        if place in change.places(blob.domain, blob.digest):
                            with suppress(FileNotFoundError):
                                self._loose.unlink(blob.key, folder)
                os.fsync(folder)
