"""What packing and rewriting share: packs written aside and switched to in one change of the index.

A job's pack is written without anybody seeing it. It is closed, and the index switched to it, in one change
that also looks whether what was copied is still wanted: what is not is declared dead in the pack itself. So
a finished pack says by itself what it holds, and an unfinished one is worth nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from registry.contract.dataplane import DomainId
from registry.dataplane.drivers.port import DriverError
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.index.port import Change, ContentIndex, PackState, Place
from registry.dataplane.packs.layout import NO_CHUNKER, Chunker, Role
from registry.dataplane.packs.reading import PackReader
from registry.dataplane.packs.records import Grave, Record, tombstones
from registry.dataplane.packs.writer import PackWriter, new_key
from registry.dataplane.paths import PackKey, pack_folder, pack_name

#: Idle lists released in one change.
_LISTS = 8
#: Chunks let go of in one change.
_CHUNKS = 4096


class JobPack:
    """The pack that a job is writing."""

    def __init__(
        self, tree: Tree, index: ContentIndex, domain: DomainId, chunker: Chunker = NO_CHUNKER
    ) -> None:
        self._tree = tree
        self._index = index
        self.domain = domain
        self._switched = False
        self._key = new_key(domain)
        with index.change() as change:
            change.put_pack(self._key, PackState.WRITING, 0, 0)
        try:
            self._writer = PackWriter(tree, self._key, Role.JOB, chunker)
        except BaseException:
            self._delete()
            raise

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._writer.size

    def add(self, record: Record, payload: bytes) -> Place:
        offset = self._writer.add(record, payload)
        return Place(self._writer.key, offset, record.stored, record.raw, record.kind)

    @contextmanager
    def switch(self) -> Iterator[tuple[Change, list[Grave]]]:
        """The change in which the pack is closed; the caller switches the index and names what is dead.

        Everything is synced before, so that others wait for the footer at most.
        """
        self._writer.sync()
        graves: list[Grave] = []
        with self._index.change() as change:
            change.put_pack(self._writer.key, PackState.CLOSED, 0, 0)
            yield change, graves
            if graves:
                self._writer.add(*tombstones(graves))
            size = self._writer.finish()
            change.put_pack(self._writer.key, PackState.CLOSED, size, self._writer.payload)
        self._switched = True
        self._writer.close()

    def abandon(self) -> None:
        """Give it up, unless the index switched to it. Idempotent."""
        self._writer.close()
        if not self._switched:
            self._delete()

    def _delete(self) -> None:
        """Leave nothing behind, or leave it all to the next opening."""
        with suppress(DriverError, OSError):
            row = self._index.pack(self._key)
            if row is not None and row.state is PackState.WRITING:  # also where a commit failed, or seemed to
                delete_pack(self._tree, self._index, self._key)
            self._switched = True


def delete_pack(tree: Tree, index: ContentIndex, key: PackKey) -> None:
    """Delete a pack durably, and only then forget it: until then tombstones for it are needed."""
    with tree.folder(pack_folder(key.domain), make=True) as folder:
        with suppress(FileNotFoundError):
            os.unlink(pack_name(key.id), dir_fd=folder)
        os.fsync(folder)
    with index.change() as change:
        change.forget_pack(key)


def release_unneeded(index: ContentIndex, reader: PackReader, domain: DomainId, quiet: int) -> Iterator[None]:
    """Let go of the chunks of lists that no recipe names any more since `quiet` (µs), and of all in a domain
    without objects, some at a time."""
    after: bytes | None = b""
    while after is not None:
        with index.change() as change:
            after = change.release_all(domain, after, _CHUNKS)
        yield
    while lists := index.idle_lists(domain, quiet, _LISTS):
        uses = [reader.uses(place) for _, place in lists]
        with index.change() as change:
            for (digest, place), names in zip(lists, uses, strict=True):
                if change.drop_chunk(domain, digest, place):
                    change.release(domain, names)
        yield
