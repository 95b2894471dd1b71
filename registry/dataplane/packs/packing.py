"""Packing: loose blobs cut to chunks, new chunks compressed into packs, and the loose files deleted.

Runs in steps while everything else goes on, in memory of a few MiB. A blob is verified whole while it is cut:
corrupt bytes would else be packed as good ones. A chunk that is held already is read and compared with its
checksum before a blob relies on it, since the only other copy is about to go; a bad one is written anew.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass

from registry.contract.dataplane import Codec, DomainId, Packed, Packing
from registry.contract.digest import Algorithm, Digest, blake3_of, new_hasher
from registry.dataplane.drivers.port import Area, Corrupt, ObjectKey
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.index.port import ContentIndex, Place
from registry.dataplane.packs.chunking import Chunking
from registry.dataplane.packs.codec import Records
from registry.dataplane.packs.examining import fault_of
from registry.dataplane.packs.job import JobPack
from registry.dataplane.packs.reading import PackReader
from registry.dataplane.packs.recipes import LONGEST, Item, encode_recipe
from registry.dataplane.packs.records import Grave, Kind
from registry.dataplane.paths import object_place
from registry.dataplane.settings import DataPlaneSettings

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Content (bytes) worked through between two steps.
_STEP = 8 << 20
#: Rows of the index that one switch may change, about: some 100 ms in which other writes wait.
_ROWS = 16_384
#: Digests of chunks found sound in this run, so that they are not read again.
_KNOWN_SOUND = 100_000


@dataclass(slots=True)
class _Blob:
    """A blob on its way in."""

    domain: DomainId
    address: Digest
    size: int = 0
    added: int = 0
    place: Place | None = None
    uses: Counter[bytes] | None = None

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(Area.CONTENT, self.domain, self.address.hex)

    def done(self, fault: str | None = None) -> Packed:
        return Packed(self.domain, self.address, self.size, self.added, fault)


class PackingJob:
    """One run. `add` and `finish` are iterated in worker threads, one step at a time; `abandon` ends it."""

    def __init__(
        self,
        tree: Tree,
        reader: PackReader,
        records: Records,
        settings: DataPlaneSettings,
        packing: Packing,
    ) -> None:
        self._tree = tree
        self._reader = reader
        self._index: ContentIndex = reader.index
        self._records = records
        self._settings = settings
        self._packing = packing
        self._level: int | None = None
        if packing.codec is Codec.ZSTD:
            self._level = settings.zstd_level if packing.level is None else packing.level
        self._chunking = Chunking(settings)
        self._sound: set[bytes] = set()
        self._reset()

    def _reset(self) -> None:
        self._pack: JobPack | None = None
        self._fresh: dict[bytes, Place] = {}
        self._lists: dict[bytes, Counter[bytes]] = {}
        self._bad: list[tuple[bytes, Place]] = []
        self._ready: list[_Blob] = []
        self._rows = 0

    def add(self, domain: DomainId, address: Digest) -> Generator[list[Packed], None, None]:
        """Take in one blob if the policy wants it. Yields what was switched to packs, often nothing."""
        blob = _Blob(domain, address)
        path, name = object_place(blob.key)
        try:
            fd = os.open("/".join((*path, name)), _READ, dir_fd=self._tree.fd)
        except FileNotFoundError:
            return
        try:
            status = os.fstat(fd)
            blob.size = status.st_size
            if not self._wanted(status):
                return
            if self._pack is not None and self._pack.domain != domain:
                yield from self._flush()
            if any(ready.key == blob.key for ready in self._ready[-1:]):
                return
            if self._index.find(domain, bytes.fromhex(address.hex)) is not None:
                yield from self._tidy(blob)
            else:
                yield from self._cut(blob, fd)
        finally:
            os.close(fd)

    def finish(self) -> Generator[list[Packed], None, None]:
        """Close the last pack."""
        yield from self._flush()

    def abandon(self) -> None:
        """Idempotent, also after `finish`."""
        if self._pack is not None:
            self._pack.abandon()
        self._reset()

    def _wanted(self, status: os.stat_result) -> bool:
        rule = self._packing
        old = time.time() - status.st_mtime >= rule.older_than
        return old and rule.at_least <= status.st_size and status.st_size <= (rule.at_most or status.st_size)

    # --- one blob --------------------------------------------------------------------------------------

    def _cut(self, blob: _Blob, fd: int) -> Generator[list[Packed], None, None]:
        hasher = new_hasher(Algorithm.BLAKE3)
        items: list[Item] = []
        lists: list[Item] = []
        whole = blob.size <= self._settings.tiny_bytes
        done = 0

        def read(length: int) -> bytes:
            data = os.read(fd, length)
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
        address = bytes.fromhex(blob.address.hex)
        record, payload = self._records.encode(blob.domain, kind, address, data, size=blob.size, level=level)
        blob.place = self._into(blob.domain).add(record, payload)
        blob.added += record.stored
        blob.uses = uses
        self._ready.append(blob)
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
        if digest in self._sound:
            return True
        try:
            with self._reader.files.take(place.pack) as file:
                record, stored = file.record(place.offset, place.stored)
        except (Corrupt, FileNotFoundError):
            return False
        if record.digest != digest or blake3_of(stored) != record.check:
            return False
        self._know_sound((digest,))
        return True

    def _know_sound(self, digests: Iterable[bytes]) -> None:
        if len(self._sound) >= _KNOWN_SOUND:
            self._sound.clear()
        self._sound.update(digests)

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
        packed: list[_Blob] = []
        with pack.switch() as (change, graves):
            for digest, place in self._bad:
                change.move_chunk(pack.domain, digest, place, None)
                graves.append(Grave(place.pack.id, place.offset, place.kind, digest))
            for digest, place in self._fresh.items():
                change.add_chunk(pack.domain, digest, place)
            for uses in self._lists.values():
                change.retain(pack.domain, uses)
            for blob in self._ready:
                address = bytes.fromhex(blob.address.hex)
                if blob.place is None or blob.uses is None:
                    continue
                if self._is_loose(blob):
                    change.add_object(pack.domain, address, blob.place)
                    change.retain(pack.domain, blob.uses)
                    packed.append(blob)
                else:  # removed meanwhile
                    graves.append(Grave(blob.place.pack.id, blob.place.offset, blob.place.kind, address))
        self._know_sound(self._fresh)
        self._reset()
        self._unlink(packed)
        yield [blob.done() for blob in packed]

    def _tidy(self, blob: _Blob) -> Generator[list[Packed], None, None]:
        """A blob that a pack holds already, because a crash came before its file was deleted."""
        fault = fault_of(self._reader, blob.domain, bytes.fromhex(blob.address.hex))
        if fault is None:
            self._unlink([blob])
        yield [blob.done(fault)]

    def _is_loose(self, blob: _Blob) -> bool:
        path, name = object_place(blob.key)
        try:
            os.stat("/".join((*path, name)), dir_fd=self._tree.fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def _unlink(self, blobs: list[_Blob]) -> None:
        """Delete the loose files, durably: one that came back after a later removal would be a ghost."""
        folders: dict[tuple[str, ...], list[str]] = {}
        for blob in blobs:
            path, name = object_place(blob.key)
            folders.setdefault(path, []).append(name)
        for path, names in folders.items():
            with suppress(FileNotFoundError), self._tree.folder(path) as folder:
                for name in names:
                    with suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=folder)
                os.fsync(folder)
