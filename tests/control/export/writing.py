"""Ledgers of many events, exported step by step, and an archive that fails where a test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from registry.contract.archive import Archive
from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.events import RepositoryCreated
from registry.contract.names import Repository
from registry.control.export import Export
from registry.control.export.exporter import Exporter
from registry.control.export.state import WORK
from registry.control.sql.transaction import Transaction
from registry.control.store import Store
from registry.control.work import hold


async def fill(store: Store, count: int, name: str = "many") -> None:
    """Append `count` events."""

    def change(tx: Transaction) -> None:
        first = tx.emit(RepositoryCreated(Repository(f"{name}/first"), DEFAULT_DOMAIN))
        for number in range(first, first + count - 1):
            tx.emit(RepositoryCreated(Repository(f"{name}/r{number}"), DEFAULT_DOMAIN))

    if count:
        await store.core.database.write("filler", change)


async def export(store: Store, archive: Archive | None = None) -> int:
    """Export everything, as a process does that has just started; the size of the checkpoint."""
    where = store.core.export
    assert where is not None
    async with hold(store.core, WORK) as work:
        exporter = Exporter(work, Export(archive or where.archive, where.key), 30.0)
        await exporter.open()
        await exporter.advance(await store.core.database.head())
        return exporter.size


class Killed(BaseException):
    """What ends an exporter as a kill does: nothing handles it."""


@dataclass
class Doomed:
    """An archive whose caller dies before its call number `left`, or after it has had its effect."""

    archive: Archive
    left: int
    after: bool = False
    calls: list[str] = field(default_factory=list)

    async def get(self, name: str) -> bytes | None:
        return await self.archive.get(name)

    async def create(self, name: str, data: bytes) -> bool:
        self._die(f"create {name}", before=True)
        made = await self.archive.create(name, data)
        self._die(name, before=False)
        return made

    async def replace(self, name: str, data: bytes) -> None:
        self._die(f"replace {name}", before=True)
        await self.archive.replace(name, data)
        self._die(name, before=False)

    async def delete(self, name: str) -> None:
        self._die(f"delete {name}", before=True)
        await self.archive.delete(name)
        self._die(name, before=False)

    def names(self, prefix: str) -> AsyncIterator[str]:
        return self.archive.names(prefix)

    async def close(self) -> None:
        await self.archive.close()

    def _die(self, call: str, *, before: bool) -> None:
        if before:
            self.calls.append(call)
            self.left -= 1
        if self.left == 0 and before is not self.after:
            raise Killed(call)


async def objects(archive: Archive, chosen: Callable[[str], bool] = lambda _: True) -> dict[str, bytes]:
    """All of the archive, by name."""
    found = {}
    async for name in archive.names(""):
        data = await archive.get(name)
        if data is not None and chosen(name):
            found[name] = data
    return found
