"""What opening a store owes to the crash before: unfinished packs, and an index older than the packs.

**Unfinished packs.** The index knows every pack that is being written, and its owner holds a lock on the
file. One whose lock is free lost its owner: of a log, the records that the index missed are added, and it is
closed with a footer; a job's pack is deleted, even a finished one, for the index never switched to it and
what it copied may have been removed since. The work is bounded by what was being written.

**An index that is behind.** Within one boot of the machine the index has every change that was committed.
After a power loss it may have lost the last ones (index/sqlite.py), and one that somebody put back from a
backup any number (session.py). So after a boot that found it not closed, or with such a one, the packs on
disk are compared with those it knows, and what is new is read from footers; with an empty index that is a
rebuild. A finished job's pack is read then too, since its originals may be gone. Packs may come in any order:
an object is held where a record says so and no tombstone names that very place. The index is synced before a
pack is deleted, so that it never needs one that is gone; where a person lost one, uses of chunks may be
counted too high until a rebuild.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from registry.contract.dataplane import DomainId
from registry.dataplane.drivers.port import Corrupt
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.index.port import Change, ContentIndex, PackState, Place
from registry.dataplane.packs.job import JobPack, delete_pack
from registry.dataplane.packs.layout import Entry, Role, encode_end, encode_entry
from registry.dataplane.packs.reading import PackReader
from registry.dataplane.packs.records import OBJECTS, PIECES, Grave, Kind, parse_tombstones
from registry.dataplane.packs.scanning import footer_entries, read_head, scan
from registry.dataplane.paths import PACKS, PackKey, is_domain, pack_folder, pack_id, pack_name

#: Entries that go into one change of the index.
_SLICE = 4096
#: The same for tombstones, of which each may name a recipe of thousands of chunks.
_GRAVES = 64
_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class Recovered:
    """What was done: logs closed, job packs deleted, packs read anew; packs the index knew that are gone."""

    closed: int = 0
    deleted: int = 0
    registered: int = 0
    gone: list[PackKey] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _News:
    """A pack and the part of it that the index does not know: records from offset `since` on."""

    key: PackKey
    since: int


class Recovery:
    """Brings index and packs together. Blocking; used while the store is opened."""

    def __init__(self, tree: Tree, index: ContentIndex, reader: PackReader) -> None:
        self._tree = tree
        self._index = index
        self._reader = reader
        self.done = Recovered()

    def settle(self) -> None:
        """Deal with packs whose owner is gone. Others may be at work on the store."""
        for row in self._index.packs(PackState.OPEN, PackState.WRITING):
            with self._owned(row.key) as fd:
                now = self._index.pack(row.key)  # its owner may just have closed it
                if fd is None or now is None:
                    continue
                if now.state is PackState.WRITING:  # its switch never was: what it copied is where it was
                    delete_pack(self._tree, self._index, row.key)
                    self.done.deleted += 1
                elif now.state is PackState.OPEN and self._close(row.key, fd):
                    self._register([_News(row.key, now.size)])
        self._pay()
        unneeded = self._index.packs(PackState.DELETING)
        if unneeded:
            self._index.sync()
        for row in unneeded:
            delete_pack(self._tree, self._index, row.key)

    def _pay(self) -> None:
        """Write the tombstones that removals cut short still owe. Others may write some of them too."""
        for domain, graves in self._index.debts().items():
            pack = JobPack(self._tree, self._index, domain)
            try:
                with pack.switch() as (change, buried):
                    buried.extend(graves)
                    change.paid(domain, graves)
            finally:
                pack.abandon()

    def compare(self) -> None:
        """Deal with an index that may be older than the packs. Nobody else may have the store open."""
        known = {row.key: row for row in self._index.packs()}
        on_disk = set(self._packs_on_disk())
        for key in known.keys() - on_disk:
            self.done.gone.append(key)
            with self._index.change() as change:
                change.forget_pack(key)
        news = []
        for key in sorted(on_disk):
            row = known.get(key)
            if row is not None and row.state in (PackState.CLOSED, PackState.DELETING):
                continue
            with self._owned(key) as fd:
                if fd is not None and self._close(key, fd):
                    news.append(_News(key, 0 if row is None else row.size))
        self._register(news)

    def _packs_on_disk(self) -> Iterator[PackKey]:
        for name in self._tree.names((PACKS,)):
            if is_domain(name):
                for file in self._tree.names((PACKS, name)):
                    pack = pack_id(file)
                    if pack is not None:
                        yield PackKey(DomainId(name), pack)

    @contextmanager
    def _owned(self, key: PackKey) -> Iterator[int | None]:
        """The pack's file, open and locked; None when another has it, or there is none."""
        try:
            with self._tree.folder(pack_folder(key.domain)) as folder:
                fd = os.open(pack_name(key.id), _OPEN, dir_fd=folder)
        except FileNotFoundError:
            with self._index.change() as change:
                change.forget_pack(key)
            yield None
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield fd
        except BlockingIOError:
            yield None
        finally:
            os.close(fd)

    def _close(self, key: PackKey, fd: int) -> bool:
        """Give an unfinished log its footer, behind its last record. False when it was not worth one."""
        if footer_entries(key.id, fd) is not None:
            return True
        head = read_head(fd)
        entries = [] if head is not None and head.role is Role.JOB else list(scan(key.id, fd))
        if not entries:
            delete_pack(self._tree, self._index, key)
            self.done.deleted += 1
            return False
        end = entries[-1].end
        os.ftruncate(fd, end)
        left = encode_end(key.id, end, b"".join(map(encode_entry, entries)))
        while left:
            done = os.pwrite(fd, left, end)
            end, left = end + done, left[done:]
        os.fsync(fd)
        self.done.closed += 1
        return True

    # --- packs that the index does not know, or not to their end ---------------------------------------

    def _register(self, news: Sequence[_News]) -> None:
        for new in news:
            with self._index.change() as change:
                if change.pack(new.key) is None:
                    change.put_pack(new.key, PackState.OPEN, 0, 0)
        buried = {grave for new in news for grave in self._graves(new) if grave.kind in PIECES}
        for new in news:  # first, so that a chunk which was pushed again can take the place of a bad one
            self._bury(new, PIECES)
        for new in news:
            self._each(new, partial(_add, buried=buried, reader=self._reader))
        for new in news:
            self._bury(new, OBJECTS)
        sums = [(new.key, *self._sum(new.key)) for new in news]
        with self._index.change() as change:  # all in one: who goes on after a crash needs all tombstones
            for key, size, payload in sums:
                change.put_pack(key, PackState.CLOSED, size, payload)
        self.done.registered += len(news)

    def _sum(self, key: PackKey) -> tuple[int, int]:
        """Bytes of a pack's file, and of its payloads."""
        entries, size = self._entries(key)
        return size, sum(entry.stored for entry in entries if entry.kind is not Kind.TOMBSTONES)

    def _each(self, new: _News, act: Callable[[Change, Entry, Place], None]) -> None:
        entries = iter(entry for entry in self._entries(new.key)[0] if entry.offset >= new.since)
        while part := list(islice(entries, _SLICE)):
            with self._index.change() as change:
                for entry in part:
                    act(change, entry, place_of(new.key, entry))

    def _entries(self, key: PackKey) -> tuple[list[Entry], int]:
        """Entries of a closed pack and the size of its file. With a damaged footer, what a scan finds."""
        with self._reader.files.take(key) as file:
            entries = footer_entries(key.id, file.fd)
            return entries if entries is not None else list(scan(key.id, file.fd)), os.fstat(file.fd).st_size

    def _graves(self, new: _News) -> Iterator[Grave]:
        entries, _ = self._entries(new.key)
        with self._reader.files.take(new.key) as file:
            for entry in entries:
                if entry.kind is Kind.TOMBSTONES and entry.offset >= new.since:
                    with suppress(Corrupt):  # a damaged tombstone buries nothing: an orphan lives on
                        yield from parse_tombstones(self._reader.at(place_of(new.key, entry), file))

    def _bury(self, new: _News, kinds: Collection[Kind]) -> None:
        domain = new.key.domain
        graves = (grave for grave in self._graves(new) if grave.kind in kinds)
        while part := list(islice(graves, _GRAVES)):
            uses = [self._uses_at(domain, grave) for grave in part]
            with self._index.change() as change:
                for grave, named in zip(part, uses, strict=True):
                    bury(change, domain, grave, named)
                change.paid(domain, part)

    def _uses_at(self, domain: DomainId, grave: Grave) -> Mapping[bytes, int]:
        for place in () if grave.kind is not Kind.RECIPE else self._index.places(domain, grave.digest):
            if place.pack.id == grave.pack and place.offset == grave.offset:
                return self._reader.uses(place)
        return {}


def place_of(key: PackKey, entry: Entry) -> Place:
    return Place(key, entry.offset, entry.stored, entry.raw, entry.kind)


def bury(change: Change, domain: DomainId, grave: Grave, uses: Mapping[bytes, int]) -> int | None:
    """Take a dead record out of the index; `uses` is what it named if it was a recipe.

    Returns the stored bytes that nothing needs any more; None when the index had no such record.
    """
    place = Place(PackKey(domain, grave.pack), grave.offset, 0, 0, grave.kind)
    if grave.kind in OBJECTS:
        found = [known for known in change.places(domain, grave.digest) if known[:2] == place[:2]]
        if not found or not change.drop_object(domain, grave.digest, place):
            return None
        return found[0].stored + change.release(domain, uses)
    return 0 if change.move_chunk(domain, grave.digest, place, None) else None


def _add(
    change: Change,
    entry: Entry,
    place: Place,
    buried: set[Grave],
    reader: PackReader,
) -> None:
    domain = place.pack.domain
    if entry.kind in OBJECTS:
        if change.add_object(domain, entry.digest, place) and entry.kind is Kind.RECIPE:
            change.retain(domain, reader.uses(place))
    elif entry.kind in PIECES:
        grave = Grave(place.pack.id, entry.offset, entry.kind, entry.digest)
        added = grave not in buried and change.add_chunk(domain, entry.digest, place)
        if added and entry.kind is Kind.LIST:
            change.retain(domain, reader.uses(place))
