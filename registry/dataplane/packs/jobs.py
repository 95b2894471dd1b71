"""Packing and rewriting as they run beside everything else: in steps, one at a time in a store."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Sequence
from contextlib import aclosing
from typing import Protocol, TypeVar

from registry.contract.dataplane import DomainId, Packed, Packing, Rewritten
from registry.contract.digest import Algorithm, Digest
from registry.dataplane.drivers.classify import classify
from registry.dataplane.drivers.local import LocalDriver
from registry.dataplane.drivers.port import Area, Transient
from registry.dataplane.packs.inspecting import inspect
from registry.dataplane.packs.packing import PackingJob
from registry.dataplane.packs.rewriting import RewritingJob
from registry.dataplane.packs.store import Packs
from registry.dataplane.paths import object_key
from registry.dataplane.workers import Workers

T = TypeVar("T")


class Abandoned(Protocol):
    def abandon(self) -> None: ...


class Jobs:
    """The jobs of one store. What they raise are DriverErrors."""

    def __init__(self, loose: LocalDriver, packs: Packs, workers: Workers) -> None:
        self._loose = loose
        self._packs = packs
        self._workers = workers
        self._running: Abandoned | None = None

    async def pack(
        self, packing: Packing, chosen: AsyncIterable[tuple[DomainId, Digest]] | None
    ) -> AsyncGenerator[Packed, None]:
        packs = self._packs
        with packs.maintain.tried() as alone:
            self._only(alone)
            job = PackingJob(
                packs.tree, self._loose.loose, packs.reader, packs.records, packs.settings, packing
            )
            self._running = job
            try:
                async for domain, address in chosen or self._all():
                    async with aclosing(self._steps("pack", job.add(domain, address))) as steps:
                        async for packed in steps:
                            yield packed
                async with aclosing(self._steps("pack", job.finish())) as steps:
                    async for packed in steps:
                        yield packed
            finally:
                job.abandon()
                self._running = None

    async def rewrite(self, threshold: float, grace: float) -> AsyncGenerator[Rewritten, None]:
        packs = self._packs
        with packs.maintain.tried() as alone:
            self._only(alone)
            job = RewritingJob(packs.tree, packs.reader, packs.records, packs.settings)
            self._running = job
            try:
                async with aclosing(self._steps("rewrite", job.run(threshold, grace))) as steps:
                    async for rewritten in steps:
                        yield rewritten
            finally:
                job.abandon()
                self._running = None

    async def loose(self, domain: DomainId, addresses: Sequence[Digest]) -> list[Digest]:
        """Those that are files of their own."""
        return await self._workers.run(lambda: [one for one in addresses if self._is_loose(domain, one)])

    async def dead(self, threshold: float) -> int:
        """Payload bytes that nothing needs, of packs that have that part of them."""
        rows = await self._workers.run(self._packs.index.packs)
        return sum(
            row.payload - row.live for row in rows if row.payload - row.live >= threshold * row.payload
        )

    async def faults(self) -> AsyncGenerator[str, None]:
        async with aclosing(self._steps("inspect", inspect(self._packs.index, self._packs.reader))) as steps:
            async for fault in steps:
                yield fault

    def close(self) -> None:
        """Give up a job that nobody iterates any more. Called when the workers are closed. Idempotent."""
        if self._running is not None:
            self._running.abandon()

    def _is_loose(self, domain: DomainId, address: Digest) -> bool:
        try:
            return self._loose.loose.holds(object_key(domain, address))
        except OSError as error:
            raise classify("size", error) from error

    def _only(self, alone: bool) -> None:
        if not alone:
            raise Transient("the store is being packed or rewritten already")

    async def _all(self) -> AsyncIterator[tuple[DomainId, Digest]]:
        try:
            async for key, _ in self._loose.objects(Area.CONTENT):
                yield key.domain, Digest(Algorithm.BLAKE3, key.hex)
        except OSError as error:
            raise classify("pack", error) from error

    async def _steps(self, operation: str, steps: Generator[list[T], None, None]) -> AsyncGenerator[T, None]:
        """Each step in a worker thread; the loop and other work come between them."""
        try:
            while (found := await self._workers.run(lambda: next(steps, None))) is not None:
                for item in found:
                    yield item
        except OSError as error:
            raise classify(operation, error) from error
        finally:
            steps.close()
