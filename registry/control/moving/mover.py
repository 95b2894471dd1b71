"""The steps of a move: fill the target in passes, compare, switch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from registry.contract.dataplane import DataPlane, DomainId
from registry.contract.events import DomainErased, decode_entry
from registry.control.core import Core
from registry.control.details import ManifestDetails
from registry.control.moving.contents import Care, Contents, Moved, patiently
from registry.control.rebuild import Rebuilt, details_in_bytes, schema_in_bytes
from registry.control.sql import adopting, closing, inspection, known_details, operational, replay
from registry.control.sql.adopting import Arrival
from registry.control.sql.closing import Move, Part
from registry.control.sql.opening import open_offline
from registry.control.sql.standstill import standstill

T = TypeVar("T")

#: Entries of one stretch: what is brought before one transaction of the target takes them over.
_STRETCH = 1000
#: Manifests whose rows are completed in one transaction.
_MANIFESTS = 200
#: Seconds of a pass that leaves little for the next, and the part of the last one's that is shorter.
_LITTLE = 2.0
_SHORTER = 0.8
#: Seconds that a passing trouble may last while writers of the source wait.
_IN_A_HURRY = 20.0


@dataclass(frozen=True, slots=True)
class Side:
    """A store by its parts. `database` is as `open_store` takes it, `name` what people know it by."""

    database: str | Path
    dataplane: DataPlane
    name: str


class Mover:
    """Moves a store to one that was closed for it (beginning.py). Each step raises StoreError; when a process
    ends midway, another one begins anew and goes on."""

    def __init__(
        self,
        core: Core,
        source: Side,
        target: Side,
        move: Move,
        head: int,
        *,
        care: Care,
        destroy: Callable[[DomainId], None],
        progress: Callable[[Moved], None],
    ) -> None:
        """`core` is the source's. The target has the events up to `head`; `destroy` makes unreadable for good
        what the keys of a domain have sealed there."""
        self.done = Moved(head=head)
        self._core = core
        self._source = source
        self._target = target
        self._move = move
        self._destroy = destroy
        self._progress = progress
        self._parallel = care.parallel
        self._patience = care.patience
        self._wait = care.wait
        self._detailed = move.detailed
        self._compared = 0
        self._contents = Contents(core, target.dataplane, move.id, care, self.done, progress)

    async def fill(self) -> bool:
        """Passes up to the source's last event, each for what has come during the one before, until they take
        little or do not get shorter.

        False when the last took longer than writers may wait: the source takes more than is brought here.
        """
        before = float("inf")
        while True:
            begun = time.monotonic()
            await self._reach(await self._core.database.head())
            took = time.monotonic() - begun
            if took < _LITTLE or took > _SHORTER * before:
                return took < self._wait
            before = took

    async def compare(self) -> bool:
        """Whether the ledgers and all rows of all views are alike, at one event of a source that goes on."""
        read = self._core.database.read
        head, said = await self._patiently(lambda: read(replay.head_and_fingerprints))
        await self._reach(head)
        found, new = await asyncio.gather(
            self._ask(replay.fingerprints), self._ask(replay.ledger_fingerprint, self._compared, head)
        )
        ours = partial(replay.ledger_fingerprint, after=self._compared, until=head)
        differing = [name for name, sums in said.items() if found[name] != sums]
        if new != await self._patiently(lambda: read(ours)):
            differing.append("events")
        self.done.differing = sorted(differing)
        if not differing:
            self._compared = head
        return not differing

    async def switch(self) -> bool:
        """Bring the rest while writers of the source wait, close it, and open the target.

        False, with nothing changed, when they are not alike.
        """
        begun = time.monotonic()
        async with standstill(self._source.database) as here:
            self._patience = min(self._patience, _IN_A_HURRY)
            self._contents.hurry(self._patience)
            await self._reach(await self._core.database.head())
            if not await self.compare():
                return False
            await self._bring_operational()
            self.done.uploads = await inspection.open_uploads(self._core.database)
            await here.run(closing.close, Move(Part.SOURCE, self._move.id, self._target.name))
        self.done.waited = time.monotonic() - begun
        await self._write(closing.reopen)
        self.done.switched = True
        return True

    # --- within ------------------------------------------------------------------------------------------

    async def _reach(self, until: int) -> None:
        """Bring the target's ledger, and all it names, up to the entry `until`."""
        while self.done.head < until:
            limit = min(_STRETCH, until - self.done.head)
            read = partial(replay.envelopes, after=self.done.head, limit=limit)
            page = await self._patiently(partial(self._core.database.read, read))
            arrivals = _up_to_an_erasure([Arrival(decode_entry(envelope), envelope) for envelope in page])
            await self._contents.bring([arrival.entry for arrival in arrivals])
            last = arrivals[-1].entry
            if isinstance(last.event, DomainErased):
                await self._erase(last.event.domain)
            after, now = self.done.head, self._core.clock.now()
            self.done.head = await self._write(adopting.adopt, after, arrivals, now)
            self.done.events += len(arrivals)
            self._progress(self.done)
            await self._complete_manifests()
        await self._complete_schemas()

    async def _erase(self, domain: DomainId) -> None:
        """What was erased at the source cannot be read here either."""
        self._destroy(domain)
        target = self._target.dataplane
        async for place, address, _ in target.contents(domain):
            await self._patiently(partial(target.remove, place, address, self._move.run))

    async def _complete_manifests(self) -> None:
        while page := await self._ask(replay.live_manifests, self._detailed, _MANIFESTS):
            turn = asyncio.Semaphore(self._parallel)
            found = await asyncio.gather(*(self._details(manifest, turn) for manifest in page))
            known = [(one, details) for one, details in zip(page, found, strict=True) if details is not None]
            self._detailed = await self._write(adopting.complete, known, page[-1].id)
            self._progress(self.done)

    async def _details(
        self, manifest: replay.LiveManifest, turn: asyncio.Semaphore
    ) -> ManifestDetails | None:
        """From the bytes that have come, else from the source's views: of bytes that are lost they know."""
        read, unread = self._core.database.read, Rebuilt()
        async with turn:
            found = await self._patiently(lambda: details_in_bytes(self._contents.arrived, manifest, unread))
            return found or await read(partial(known_details.of_manifest, manifest_id=manifest.id))

    async def _complete_schemas(self) -> None:
        for schema in await self._ask(replay.live_schemas):
            read_bytes = partial(schema_in_bytes, self._contents.arrived, schema, Rebuilt())
            text = await self._patiently(read_bytes)
            if text is None:
                read = partial(known_details.of_schema, variant=schema.variant, version=schema.version)
                text = await self._core.database.read(read)
            if text is not None:
                await self._write(replay.write_schema, schema, text)

    async def _bring_operational(self) -> None:
        for name in operational.moving_tables():
            await self._write(operational.clear, name)
            after = None
            while rows := await self._core.database.read(partial(operational.page, name=name, after=after)):
                after = rows[-1]
                await self._write(operational.add, name, rows)

    # --- the target's database ---------------------------------------------------------------------------

    async def _write(self, step: Callable[..., T], *arguments: Any) -> T:
        """Run a step in a transaction of the target, as long as this is the process that fills it."""

        async def attempt() -> T:
            async with standstill(self._target.database) as there:
                await there.run(adopting.check_holder, self._move.run)
                return await there.run(step, *arguments)

        return await self._patiently(attempt)

    async def _ask(self, step: Callable[..., T], *arguments: Any) -> T:
        """Read the target's database."""

        async def attempt() -> T:
            async with open_offline(self._target.database) as there:
                return await there.run(step, *arguments)

        return await self._patiently(attempt)

    async def _patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        return await patiently(attempt, self._patience)


def _up_to_an_erasure(arrivals: list[Arrival]) -> list[Arrival]:
    """What is erased goes before the ledger says so, and nothing that comes after it."""
    for number, arrival in enumerate(arrivals, 1):
        if isinstance(arrival.entry.event, DomainErased):
            return arrivals[:number]
    return arrivals
