"""Packing: blobs move to packs when the repositories that have them say so (decision 38).

A pass goes over all content in the order it arrived, by pages, and packs what is due and still loose, in
batches of one domain and one way of packing. How far it is gets written down after each batch, so that a
restart goes on there. Everything else goes on meanwhile: a blob reads the same before, during and after.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial

from registry.contract.dataplane import DomainId, Packed, Packing
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.control import healing
from registry.control.core import Core
from registry.control.pack_policy import PackPolicy, most_reluctant
from registry.control.sql import packable
from registry.control.sql.packable import Had
from registry.control.work import Work, load, patiently

_LOG = logging.getLogger(__name__)

WORK = "packing"

#: Rows looked at between two turns of the loop: some 2 ms of it.
_PAGE = 400
#: A pass that finds nothing to pack still says now and then how far it is.
_SAVE_PAGES = 250
#: Content (bytes) and blobs of one batch: about a full pack, and seconds of work.
_BATCH_BYTES = 128 << 20
_BATCH_BLOBS = 2000
#: Batches that gather at once; the oldest makes room.
_GATHERING = 16
#: Seconds to wait while packs are rewritten.
_PATIENCE = 60.0
_LAST = 2**62


@dataclass(slots=True)
class PackedUp:
    """What was done: `blobs` with `bytes` of content take `added` bytes in packs.

    `faults` were corrupt and were set aside. `finished` says that the pass came to its end.
    """

    blobs: int = 0
    bytes: int = 0
    added: int = 0
    faults: int = 0
    finished: bool = False

    @property
    def saved(self) -> int:
        """Bytes freed on the medium."""
        return self.bytes - self.added


@dataclass(frozen=True, slots=True)
class PackState:
    """For metrics, since the beginning of the store."""

    blobs: int
    bytes: int
    added: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pass would pack now."""

    blobs: int
    bytes: int


@dataclass(frozen=True, slots=True)
class _Due:
    had: Had
    packing: Packing


@dataclass(slots=True)
class _Batch:
    """What is packed together; `first` is the least id in it."""

    first: int
    bytes: int = 0
    items: list[Had] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        return self.bytes >= _BATCH_BYTES or len(self.items) >= _BATCH_BLOBS


async def is_due(core: Core, every: int) -> bool:
    """Whether a pass is to be begun, `every` microseconds after the last, or gone on with."""
    if all(policy.pack.after is None for policy in core.policies.repositories):
        return False
    state = await load(core, WORK)
    return bool(state.get("reached", 0)) or state.get("finished_at", 0) + every <= core.clock.now()


async def state_of(core: Core) -> PackState:
    """What metrics show."""
    state = await load(core, WORK)
    return PackState(*(int(state.get(name, 0)) for name in ("blobs", "bytes", "added")))


async def plan(core: Core) -> Plan:
    """Look at all content as a pass would, from the beginning."""
    blobs = size = 0
    async for page, _ in _due(core, 0):
        loose = await _loose(core, page)
        blobs += len(loose)
        size += sum(due.had.size for due in loose)
    return Plan(blobs, size)


async def pack(
    work: Work,
    *,
    limit: int | None = None,
    again: bool = False,
    progress: Callable[[PackedUp], None] = lambda _: None,
) -> PackedUp:
    """Go on with the pass, or begin one (always with `again`); stop when `limit` bytes of content are packed,
    or at its end.

    Raises UNAVAILABLE when another process has taken the work over, STORAGE_FULL.
    """
    before = await work.load()
    run = _Pass(work, before | {"reached": 0} if again else before, progress)
    pages = 0
    async for page, reached in _due(work.core, run.reached):
        for due in await _loose(work.core, page):
            await run.add(due)
            if limit is not None and run.done.bytes >= limit:
                return run.done
        run.seen = reached
        pages += 1
        if pages % _SAVE_PAGES == 0:
            await run.save()
    await run.finish()
    return run.done


class _Pass:
    """A pass under way in this process."""

    def __init__(self, work: Work, before: dict[str, int], progress: Callable[[PackedUp], None]) -> None:
        self.done = PackedUp()
        self.reached = self.seen = int(before.get("reached", 0))
        self._work = work
        self._before = before
        self._progress = progress
        self._batches: dict[tuple[DomainId, Packing], _Batch] = {}

    async def add(self, due: _Due) -> None:
        """Take a blob into a batch; a full batch is packed."""
        key = (due.had.domain, due.packing)
        batch = self._batches.setdefault(key, _Batch(due.had.blob_id))
        batch.items.append(due.had)
        batch.bytes += due.had.size
        if batch.is_full:
            await self._pack(key)
        elif len(self._batches) > _GATHERING:
            await self._pack(next(iter(self._batches)))

    async def finish(self) -> None:
        for key in list(self._batches):
            await self._pack(key)
        self.done.finished = True
        await self.save()

    async def save(self) -> None:
        """Write down how far the pass is: to before what is in no pack yet."""
        waiting = min((batch.first for batch in self._batches.values()), default=self.seen + 1)
        state = {
            name: int(self._before.get(name, 0)) + count
            for name, count in (
                ("blobs", self.done.blobs),
                ("bytes", self.done.bytes),
                ("added", self.done.added),
            )
        }
        state["reached"] = 0 if self.done.finished else min(waiting - 1, self.seen)
        state["finished_at"] = int(self._before.get("finished_at", 0))
        if self.done.finished:
            state["finished_at"] = self._work.core.clock.now()
        await self._work.save(state)

    async def _pack(self, key: tuple[DomainId, Packing]) -> None:
        domain, packing = key
        core, batch = self._work.core, self._batches.pop(key)
        steps = patiently(lambda: core.dataplane.pack(packing, _chosen(batch)), _PATIENCE)
        try:
            async with aclosing(steps):
                async for packed in steps:
                    await self._note(packed)
        except StoreError as error:
            if error.kind in {ErrorKind.STORAGE_FULL, ErrorKind.UNAVAILABLE}:
                raise
            # What one batch meets (a key that is not there, say) must not keep the others from their turn.
            _LOG.error("%d blobs of domain %s stay as they are: %s", len(batch.items), domain, error)
        await self.save()

    async def _note(self, packed: Packed) -> None:
        if packed.fault is not None:
            self.done.faults += 1
            await healing.repair(self._work.core, packed.domain, packed.address, packed.fault)
            return
        self.done.blobs += 1
        self.done.bytes += packed.size
        self.done.added += packed.added
        self._progress(self.done)


async def _due(core: Core, reached: int) -> AsyncIterator[tuple[list[_Due], int]]:
    """Pages of what is due by policy, and the id up to which everything was looked at."""
    after = [policy.pack.after for policy in core.policies.repositories if policy.pack.after is not None]
    if not after:
        return
    youngest = core.clock.now() - min(after)
    position = (reached, _LAST)
    current: tuple[Had, PackPolicy] | None = None
    while page := await core.database.read(partial(packable.following, after=position, limit=_PAGE)):
        position = (page[-1].blob_id, page[-1].repository_id)
        due: list[_Due] = []
        for had in page:
            policy = core.policies.of(had.repository).pack
            if current is not None and current[0].blob_id == had.blob_id:
                current = (current[0], most_reluctant((current[1], policy)))
                continue
            due.extend(_judged(core, current))
            current = (had, policy)
        yield due, position[0] - 1
        if page[-1].created_at > youngest:  # so is all that follows
            break
    yield list(_judged(core, current)), position[0]


def _judged(core: Core, found: tuple[Had, PackPolicy] | None) -> Iterator[_Due]:
    if found is None:
        return
    had, policy = found
    if had.present and policy.wants(core.clock.now() - had.created_at, had.size):
        yield _Due(had, policy.packing)


async def _loose(core: Core, page: list[_Due]) -> list[_Due]:
    """Those that are not in packs yet."""
    domains: dict[DomainId, list[Digest]] = {}
    for due in page:
        domains.setdefault(due.had.domain, []).append(due.had.digest)
    loose = {
        (domain, str(address))
        for domain, addresses in domains.items()
        for address in await core.dataplane.loose(domain, addresses)
    }
    return [due for due in page if (due.had.domain, due.had.address) in loose]


async def _chosen(batch: _Batch) -> AsyncIterator[tuple[DomainId, Digest]]:
    for had in batch.items:
        yield had.domain, had.digest
