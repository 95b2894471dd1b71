"""Rewriting: what lives in packs with many dead bytes is copied to new ones, and the old ones are deleted.

Records are copied as they are stored, so that neither key nor codec is needed. Whatever is still pointed to
when all was copied keeps its old pack: nothing is deleted that the index needs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from itertools import islice

from registry.contract.dataplane import DomainId, Rewritten
from registry.dataplane.drivers.port import Corrupt
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.index.port import ContentIndex, PackRow, PackState, Place
from registry.dataplane.packs.codec import Records
from registry.dataplane.packs.files import PackFile
from registry.dataplane.packs.job import JobPack, delete_pack, release_unneeded
from registry.dataplane.packs.layout import Entry
from registry.dataplane.packs.reading import PackReader
from registry.dataplane.packs.records import (
    HEADER,
    OBJECTS,
    PIECES,
    Grave,
    Kind,
    Record,
    parse_tombstones,
    tombstones,
)
from registry.dataplane.packs.recovery import place_of
from registry.dataplane.packs.scanning import footer_entries, scan
from registry.dataplane.paths import PackKey
from registry.dataplane.settings import DataPlaneSettings

#: A pack smaller than this part of a full one is small, and so many small ones are merged.
_SMALL = 4
_MANY = 8
_SLICE = 2048
#: Moves that one switch of the index may do.
_ROWS = 16_384


class RewritingJob:
    """One run: `run` is iterated in worker threads, one step at a time; `abandon` ends it."""

    def __init__(self, tree: Tree, reader: PackReader, records: Records, settings: DataPlaneSettings) -> None:
        self._tree = tree
        self._reader = reader
        self._index: ContentIndex = reader.index
        self._records = records
        self._settings = settings
        self._reset()

    def _reset(self) -> None:
        self._pack: JobPack | None = None
        self._moves: list[tuple[bytes, Place, Place]] = []
        self._emptied: list[PackRow] = []
        self._copied = 0

    def run(self, threshold: float, grace: float) -> Generator[list[Rewritten], None, None]:
        for domain in sorted({row.key.domain for row in self._index.packs()}):
            for _ in release_unneeded(self._index, self._reader, domain, _before(grace)):
                yield []
            for row in self._worth_it(domain, threshold, _before(grace)):
                yield from self._empty(row)
                self._emptied.append(row)
                if not self._moves and self._pack is None:
                    yield from self._flush(domain)
            yield from self._flush(domain)

    def abandon(self) -> None:
        """Idempotent."""
        if self._pack is not None:
            self._pack.abandon()
        self._reset()

    def _worth_it(self, domain: DomainId, threshold: float, quiet: int) -> list[PackRow]:
        rows = [
            row
            for row in self._index.packs(PackState.CLOSED)
            if row.key.domain == domain and row.changed <= quiet
        ]
        chosen = [row for row in rows if row.payload and row.payload - row.live >= threshold * row.payload]
        small = [row for row in rows if row.size < self._settings.pack_bytes // _SMALL and row not in chosen]
        return chosen + (small if len(small) >= _MANY else [])

    # --- one pack --------------------------------------------------------------------------------------

    def _empty(self, row: PackRow) -> Generator[list[Rewritten], None, None]:
        """Copy what lives in it."""
        with self._reader.files.take(row.key) as file:
            known = footer_entries(row.key.id, file.fd)
            entries = iter(known if known is not None else list(scan(row.key.id, file.fd)))
            while part := list(islice(entries, _SLICE)):
                for entry in self._living(row.key, part):
                    self._copy(row.key, entry, file)
                    if self._full():
                        yield from self._flush(row.key.domain)
                yield []

    def _living(self, key: PackKey, entries: list[Entry]) -> list[Entry]:
        """Of these entries those that something needs. Chunks that nothing uses are forgotten; lists are not,
        for what they name has to be released first."""
        domain = key.domain
        with self._index.change() as change:
            for entry in entries:
                if entry.kind is Kind.CHUNK:
                    change.drop_chunk(domain, entry.digest, place_of(key, entry))
        living = []
        for entry in entries:
            place = place_of(key, entry)
            if entry.kind in OBJECTS:
                needed = place in self._index.places(domain, entry.digest)
            elif entry.kind in PIECES:
                needed = place == self._index.chunk(domain, entry.digest)
            else:
                needed = True
            if needed:
                living.append(entry)
        return living

    def _copy(self, key: PackKey, entry: Entry, file: PackFile) -> None:
        place = place_of(key, entry)
        if entry.kind is Kind.TOMBSTONES:
            self._carry_over(place, file)
            return
        try:
            record, stored = self._as_stored(entry, file)
        except OSError:  # a bad sector: it stays where it is, and the rest goes on
            return
        self._copied += HEADER + len(stored)
        self._moves.append((entry.digest, place, self._into(key.domain).add(record, stored)))

    def _as_stored(self, entry: Entry, file: PackFile) -> tuple[Record, bytes]:
        """The record as it is. A damaged one is copied damaged, for a scrub to find and a push to heal."""
        try:
            return file.record(entry.offset, entry.stored)
        except Corrupt:
            stored = os.pread(file.fd, entry.stored, entry.offset + HEADER).ljust(entry.stored, b"\0")
            nothing = bytes(32)
            return Record(
                entry.kind, entry.codec, entry.seal, entry.stored, entry.raw, entry.digest, nothing
            ), stored

    def _carry_over(self, place: Place, file: PackFile) -> None:
        """Tombstones stay as long as the pack that they speak of, also where this run will delete it."""
        try:
            graves = list(parse_tombstones(self._reader.at(place, file)))
        except Corrupt:
            return
        domain = place.pack.domain
        needed = [
            grave
            for grave in graves
            if grave.pack != place.pack.id and self._index.pack(PackKey(domain, grave.pack)) is not None
        ]
        if needed:
            self._into(domain).add(*tombstones(needed))

    def _into(self, domain: DomainId) -> JobPack:
        if self._pack is None:
            self._pack = JobPack(self._tree, self._index, domain)
        return self._pack

    def _full(self) -> bool:
        size = self._pack.size if self._pack is not None else 0
        return size >= self._settings.pack_bytes or len(self._moves) >= _ROWS

    # --- the switch ------------------------------------------------------------------------------------

    def _flush(self, domain: DomainId) -> Generator[list[Rewritten], None, None]:
        if self._pack is not None:
            with self._pack.switch() as (change, graves):
                for digest, place, to in self._moves:
                    move = change.move_object if place.kind in OBJECTS else change.move_chunk
                    if not move(domain, digest, place, to):  # removed meanwhile
                        graves.append(Grave(to.pack.id, to.offset, to.kind, digest))
        emptied, copied = self._emptied, self._copied
        self._reset()
        freed = -copied
        deleted = 0
        unneeded = [row for row in emptied if self._let_go(row.key)]
        if unneeded:
            self._index.sync()
        for row in unneeded:
            self._reader.files.drop(row.key)
            delete_pack(self._tree, self._index, row.key)
            freed += row.size
            deleted += 1
        if deleted or copied:
            yield [Rewritten(domain, deleted, copied, freed)]

    def _let_go(self, key: PackKey) -> bool:
        with self._index.change() as change:
            row = change.pack(key)
            if row is None or row.live:  # what could not be copied stays where it is
                return False
            change.put_pack(key, PackState.DELETING, row.size, row.payload)
            return True


def _before(grace: float) -> int:
    """`grace` seconds ago, in microseconds since the epoch."""
    return time.time_ns() // 1000 - int(grace * 1e6)
