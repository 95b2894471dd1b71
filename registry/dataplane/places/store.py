"""Several places as one `DataPlane`.

New bytes come to the primary. Reads take the best place that can give the content at once, and go on to the
next where bytes are absent, corrupt before the first of them is out, or out of reach. A place that is out of
reach never makes content absent: what is unsure is UNAVAILABLE.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Sequence
from contextlib import aclosing

from registry.contract.dataplane import (
    Content,
    DomainId,
    Location,
    OpenFile,
    Packed,
    Packing,
    Place,
    RestoreStatus,
    RetrievalTier,
    Rewritten,
    Stage,
    StageStatus,
    StorageUse,
    Verification,
)
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.engine import Engine
from registry.dataplane.places import permits
from registry.dataplane.places.alone import Alone
from registry.dataplane.places.asking import each, first, passing, worst
from registry.dataplane.places.caring import Caring
from registry.dataplane.places.moving import Moving
from registry.dataplane.places.restoring import locations, restore
from registry.dataplane.places.site import Site, opened

_LOG = logging.getLogger(__name__)

_TIERS = tuple(RetrievalTier)


class PlacedStore:
    """The `primary`, which is open, and `others`. Owns them all and closes them."""

    def __init__(self, primary: Engine, others: Sequence[Site], sealed: Callable[[DomainId], bool]) -> None:
        """`sealed` tells domains whose bytes may lie nowhere as they are."""
        self._engine = primary
        self._primary = opened(primary, seals=True)
        self._others = sorted(others, key=lambda site: _TIERS.index(site.place.tier))
        # Sorting keeps the primary before others of its tier.
        self._sites = sorted((self._primary, *self._others), key=lambda site: _TIERS.index(site.place.tier))
        self._alone = Alone()
        self._moving = Moving(self._sites, sealed)
        self._caring = Caring(self._sites, self._primary, self._moving)

    # --- bytes come in ---------------------------------------------------------------------------------

    async def append(
        self, stage: Stage, offset: int, body: AsyncIterable[bytes], limit: int | None = None
    ) -> int:
        return await self._engine.append(stage, offset, body, limit)

    async def staged(self, stage: Stage) -> StageStatus:
        return await self._engine.staged(stage)

    async def identify(self, stage: Stage, expected: Digest | None) -> Content:
        return await self._engine.identify(stage, expected)

    async def commit(self, stage: Stage, expected: Digest | None) -> Content:
        return await self._engine.commit(stage, expected)

    async def discard(self, stage: Stage) -> None:
        await self._engine.discard(stage)

    async def put(self, domain: DomainId, data: bytes, extra: Algorithm | None = None) -> Content:
        return await self._engine.put(domain, data, extra)

    # --- bytes go out ----------------------------------------------------------------------------------

    async def size(self, domain: DomainId, address: Digest) -> int:
        return await first(self._sites, lambda engine: engine.size(domain, address))

    async def read(
        self, domain: DomainId, address: Digest, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        errors = []
        for site in self._sites:
            try:
                stream = (await site.engine()).read(domain, address, start, length)
                piece = await anext(stream, None)
            except StoreError as error:
                errors.append(passing(error))
                continue
            async with aclosing(stream):
                if piece is not None:
                    yield piece
                async for piece in stream:
                    yield piece
            return
        raise worst(errors)

    async def get(self, domain: DomainId, address: Digest, limit: int) -> bytes:
        return await first(self._sites, lambda engine: engine.get(domain, address, limit))

    async def open_file(self, domain: DomainId, address: Digest) -> OpenFile | None:
        return await first(self._sites, lambda engine: engine.open_file(domain, address))

    async def link(self, domain: DomainId, address: Digest) -> str | None:
        return await first(self._sites, lambda engine: engine.link(domain, address))

    # --- care ------------------------------------------------------------------------------------------

    async def digest(self, domain: DomainId, address: Digest, algorithm: Algorithm) -> Digest:
        return await first(self._sites, lambda engine: engine.digest(domain, address, algorithm))

    async def verify(self, domain: DomainId, address: Digest) -> Verification:
        return await self._caring.verify(domain, address)

    async def contents(self, domain: DomainId | None = None) -> AsyncIterator[tuple[DomainId, Digest, int]]:
        errors = []
        for site in self._sites:
            try:
                async for found in (await site.engine()).contents(domain):
                    yield found
            except StoreError as error:
                errors.append(passing(error))
        if errors:
            raise worst(errors)

    def stages(self) -> AsyncIterator[tuple[Stage, StageStatus]]:
        return self._engine.stages()

    async def remove(self, domain: DomainId, address: Digest, permit: str | None = None) -> int:
        async with self._alone.with_content(domain, address):
            return await self._caring.remove(domain, address, permit)

    async def admit(self, permit: str) -> None:
        await permits.admit(self._primary, self._others, permit)

    async def quarantine(self, domain: DomainId, address: Digest) -> bool:
        async with self._alone.with_content(domain, address):
            return await self._caring.quarantine(domain, address)

    # --- places ----------------------------------------------------------------------------------------

    def places(self) -> tuple[Place, ...]:
        return tuple(site.place for site in (self._primary, *self._others))

    async def locations(self, domain: DomainId, address: Digest) -> tuple[Location, ...]:
        return await locations(self._sites, domain, address)

    async def restore(self, domain: DomainId, address: Digest) -> RestoreStatus:
        return await restore(self._sites, domain, address)

    async def copy(self, domain: DomainId, address: Digest, to: str) -> int:
        async with self._alone.with_content(domain, address):
            return await self._moving.copy(domain, address, to)

    async def release(self, domain: DomainId, address: Digest, place: str, permit: str | None = None) -> int:
        async with self._alone.with_content(domain, address):
            return await self._moving.release(domain, address, place, permit)

    # --- tidying ---------------------------------------------------------------------------------------

    def pack(
        self, packing: Packing, chosen: AsyncIterable[tuple[DomainId, Digest]] | None = None
    ) -> AsyncGenerator[Packed, None]:
        """Only the primary packs: what lies elsewhere was moved there to be left alone."""
        return self._engine.pack(packing, chosen)

    async def loose(self, domain: DomainId, addresses: Sequence[Digest]) -> list[Digest]:
        return await self._engine.loose(domain, addresses)

    async def rewrite(
        self, threshold: float | None = None, grace: float | None = None
    ) -> AsyncGenerator[Rewritten, None]:
        for site in (self._primary, *self._others):
            try:
                engine = await site.engine()
            except StoreError as error:  # its turn comes with the next run
                _LOG.info("%s", error.message)
                continue
            async with aclosing(engine.rewrite(threshold, grace)) as steps:
                async for done in steps:
                    yield done

    async def reap(self, before: int) -> int:
        """Stages in other places are copies that were broken off, and go as well."""
        count = await self._engine.reap(before)

        async def tidy(_: Site, engine: Engine) -> int:
            done = await engine.reap(before)
            async for stage, status in engine.stages():
                if status.touched < before:
                    await engine.discard(stage)
                    done += 1
            return done

        for answer in await each(self._others, tidy):
            if isinstance(answer, StoreError):
                _LOG.warning("%s", answer.message)
            else:
                count += answer
        return count

    async def use(self) -> StorageUse:
        """Of the places that can say; what is free is the primary's."""
        found = await self._engine.use()
        content, objects, dead = found.content, found.objects, found.dead
        for answer in await each(self._others, lambda _, engine: engine.use()):
            if not isinstance(answer, StoreError):
                content, objects, dead = (
                    content + answer.content,
                    objects + answer.objects,
                    dead + answer.dead,
                )
        return StorageUse(content, found.staged, found.free, objects, dead)

    async def dead(self, threshold: float | None = None) -> int:
        """Of the places that are open: a scrape waits for no other."""
        return sum([await site.present.dead(threshold) for site in self._sites if site.present is not None])

    async def faults(self) -> AsyncGenerator[str, None]:
        async with aclosing(self._engine.faults()) as found:
            async for message in found:
                yield message
        for site in self._others:
            try:
                async with aclosing((await site.engine()).faults()) as found:
                    async for message in found:
                        yield f"{site.place.name}: {message}"
            except StoreError as error:
                if error.kind is not ErrorKind.UNAVAILABLE:
                    raise
                yield error.message

    async def check_writable(self) -> None:
        """Only the primary has to be ready for the store to be."""
        await self._engine.check_writable()

    async def close(self) -> None:
        for site in self._others:
            await site.close()
        await self._engine.close()
