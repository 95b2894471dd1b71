"""The log of tiny blobs: writes of all that wait share one sync (group commit).

Life of a tiny blob: queued → its record appended to this process's open pack → one `fdatasync` for everything
gathered meanwhile → one change of the index → acknowledged. Records without a change of the index are never
seen and are cut off again, and a change without its record never comes to be. A full pack is closed with its
footer, and the next write begins another. A pack of which a sync failed gets no more writes: see writer.py.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from registry.contract.dataplane import DomainId
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.index.port import Change, ContentIndex, PackState, Place
from registry.dataplane.packs.job import delete_pack
from registry.dataplane.packs.layout import Role
from registry.dataplane.packs.records import Kind, Record
from registry.dataplane.packs.writer import PackWriter, new_key
from registry.dataplane.workers import uninterrupted

T = TypeVar("T")
#: Called within the change of the index, with the places of the records that were written.
Apply = Callable[[Change, Sequence[Place]], T]
#: Records to write, decided in the log's thread just before: none when nothing need be written.
Records = Callable[[], Sequence[tuple[Record, bytes]]]

#: Writes that share a sync at most, so that none waits long and memory is bounded.
_MOST = 512
#: Packs kept open, one a domain, for the next write: a descriptor each, and up to 52 bytes a record.
_OPEN = 32


class _Write:
    """One caller's write, from its queueing to its answer."""

    __slots__ = ("apply", "domain", "error", "future", "loop", "places", "records", "result")

    def __init__(self, domain: DomainId, records: Records, apply: Apply[Any]) -> None:
        self.domain = domain
        self.records = records
        self.apply = apply
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self.places: list[Place] = []
        self.result: Any = None
        self.error: Exception | None = None

    def answer(self) -> None:
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class TinyLog:
    """One thread and one open pack a domain. Belongs to one process."""

    def __init__(self, tree: Tree, index: ContentIndex, full: int) -> None:
        """A pack is closed when it has `full` bytes."""
        self._tree = tree
        self._index = index
        self._full = full
        self._packs: OrderedDict[DomainId, PackWriter] = OrderedDict()
        self._queue: deque[_Write] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    async def write(self, domain: DomainId, records: Records, apply: Apply[T]) -> T:
        """Write records, sync, then `apply` to the index; returns its result, raises what any of it raised.

        A cancelled caller gets its cancellation when all is done.
        """
        write = _Write(domain, records, apply)
        with self._wake:
            if self._closed:
                raise StoreError(ErrorKind.UNAVAILABLE, "the store is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="dataplane-log", daemon=True)
                self._thread.start()
            self._queue.append(write)
            self._wake.notify()
        result: T = await uninterrupted(write.future)
        return result

    def close(self) -> None:
        """Write what is queued, close the open packs, end the thread. Idempotent."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    # --- in the thread ---------------------------------------------------------------------------------

    def _run(self) -> None:
        while batch := self._next():
            try:
                self._commit(batch)
            except Exception as error:  # whatever it is, nobody waits for ever
                for write in batch:
                    write.error = write.error or error
            loops: dict[asyncio.AbstractEventLoop, list[_Write]] = {}
            for write in batch:
                loops.setdefault(write.loop, []).append(write)
            for loop, writes in loops.items():
                with suppress(RuntimeError):  # a loop that was closed under its store
                    loop.call_soon_threadsafe(_answer, writes)
        for domain in list(self._packs):
            with suppress(Exception):  # it stays unfinished, and the next to open the store closes it
                self._finish(domain)

    def _next(self) -> list[_Write]:
        with self._wake:
            while not self._queue and not self._closed:
                self._wake.wait()
            return [self._queue.popleft() for _ in range(min(_MOST, len(self._queue)))]

    def _commit(self, batch: list[_Write]) -> None:
        domains: dict[DomainId, list[_Write]] = {}
        for write in batch:
            domains.setdefault(write.domain, []).append(write)
        for domain, writes in domains.items():
            try:
                self._append(domain, writes)
            except Exception as error:
                self._undo(domain)
                for write in writes:
                    write.error = write.error or error
        ready = [write for write in batch if write.error is None]
        try:
            self._change(ready)
        except Exception as error:
            for write in ready:
                write.error = error
            for domain in domains:
                self._undo(domain)
            return
        for domain in domains:
            if domain in self._packs:
                self._packs[domain].keep()
        self._finish_full()

    def _finish_full(self) -> None:
        full = [domain for domain, pack in self._packs.items() if pack.size >= self._full]
        rare = list(self._packs)[: max(0, len(self._packs) - _OPEN)]
        for domain in dict.fromkeys(full + rare):
            with suppress(Exception):  # it stays unfinished, and the next to open the store closes it
                self._finish(domain)

    def _append(self, domain: DomainId, writes: list[_Write]) -> None:
        pack: PackWriter | None = None
        known: dict[bytes, list[Place]] = {}
        for write in writes:
            try:
                records = write.records()
            except Exception as error:  # concerns nobody else
                write.error = error
                continue
            for record, payload in records:
                if record.kind is Kind.BLOB and record.digest in known:  # twice in one batch
                    write.places = known[record.digest]
                    continue
                pack = pack or self._pack(domain)
                offset = pack.add(record, payload)
                write.places.append(Place(pack.key, offset, record.stored, record.raw, record.kind))
                if record.kind is Kind.BLOB:
                    known[record.digest] = write.places
        if pack is not None:
            pack.sync()

    def _change(self, writes: list[_Write]) -> None:
        if not writes:
            return
        with self._index.change() as change:
            for domain in {write.domain for write in writes if write.places}:
                pack = self._packs[domain]
                change.put_pack(pack.key, PackState.OPEN, pack.size, pack.payload)
            for write in writes:
                write.result = write.apply(change, write.places)

    def _pack(self, domain: DomainId) -> PackWriter:
        if domain in self._packs:
            self._packs.move_to_end(domain)
            return self._packs[domain]
        key = new_key(domain)
        with self._index.change() as change:
            change.put_pack(key, PackState.OPEN, 0, 0)
        try:
            self._packs[domain] = PackWriter(self._tree, key, Role.LOG)
        except BaseException:
            with suppress(Exception), self._index.change() as change:
                change.forget_pack(key)
            raise
        return self._packs[domain]

    def _undo(self, domain: DomainId) -> None:
        """Take back what was written for a batch that failed."""
        pack = self._packs.get(domain)
        if pack is None:
            return
        pack.undo()
        if pack.broken:
            self._packs.pop(domain).close()
            if pack.empty:
                with suppress(Exception):
                    delete_pack(self._tree, self._index, pack.key)

    def _finish(self, domain: DomainId) -> None:
        pack = self._packs.pop(domain)
        try:
            size = pack.finish()
            with self._index.change() as change:
                change.put_pack(pack.key, PackState.CLOSED, size, pack.payload)
        finally:
            pack.close()


def _answer(writes: list[_Write]) -> None:
    for write in writes:
        if not write.future.done():  # its loop may be ending
            write.answer()
