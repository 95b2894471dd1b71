"""A store that only ever grows, so that its cost can be looked at again and again on the way.

Everything follows from a number: manifest `n`, its tag and its repository are the same whatever the size of
the store. Manifests share ten layers and a config, as images share a base; each tenth number has a referrer
too, up to some thousands, all of them about manifest 0.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from registry.contract.dataplane import DEFAULT_DOMAIN, Content
from registry.contract.manifest import OCI_MANIFEST, parse_manifest
from registry.contract.names import Repository, Tag
from registry.control import Store, recording
from registry.control.manifest_storing import Incoming, store_manifest
from registry.control.sql.transaction import Transaction
from tests.bench.bulk import put_all
from tests.bench.shape import EMPTY, Shape, batches, descriptor, document

#: Different layers of all manifests together.
LAYERS = 10
_GROUPS = 10
_REFERRER_EVERY = 10
_MOST_REFERRERS = 10_000
_BATCH = 1000
_ACTOR = "growth"
REFERRER_TYPE = "application/vnd.example.growth"


@dataclass(frozen=True, slots=True)
class Growth:
    """How manifests are shared out among `repositories`: by turns."""

    repositories: int = 1

    def repository(self, number: int) -> Repository:
        """Where manifest `number` is."""
        return Repository(f"grown/r{number % self.repositories:05d}")

    def tag(self, number: int) -> Tag:
        """What points at it there."""
        return Tag(f"v{number // self.repositories:07d}")

    def layer(self, number: int) -> bytes:
        """One of ten layers of 1 KiB."""
        return Shape(LAYERS).blob(number % LAYERS)

    def group(self, number: int) -> str:
        """A label that a tenth of all manifests have, whichever repository they are in."""
        return f"g{number * 7919 // LAYERS % _GROUPS}"

    def manifest(self, number: int) -> bytes:
        """Its bytes."""
        labels = {"dev.example.number": str(number), "dev.example.group": self.group(number)}
        return document([self.layer(number)], labels)

    def referrer(self, number: int) -> bytes:
        """An artifact about manifest 0, in its repository."""
        about = {"subject": descriptor(self.manifest(0), OCI_MANIFEST), "artifactType": REFERRER_TYPE}
        return document([], {"dev.example.referrer": str(number)}, about)

    @staticmethod
    def referrers(size: int) -> int:
        """How many there are beside `size` manifests."""
        return min(size // _REFERRER_EVERY, _MOST_REFERRERS)


@dataclass(frozen=True, slots=True)
class _Item:
    repository: Repository
    data: bytes
    tags: tuple[Tag, ...]
    layers: tuple[bytes, ...]


async def grow(
    store: Store,
    growth: Growth,
    before: int,
    until: int,
    progress: Callable[[str, int], None],
) -> None:
    """Add manifests `before` to `until` - 1 and their referrers. What is there already does no harm.

    Bytes go through the data plane and rows through the ledger's mutations, many in one transaction; the
    bytes of one batch are stored while the rows of the one before are written.
    """
    loader = _Loader(store, growth)
    for numbers in batches(until - before, _BATCH):
        await loader.add([_manifest(growth, before + number) for number in numbers])
        progress("manifests", before + numbers.stop)
    known = growth.referrers(before)
    for numbers in batches(growth.referrers(until) - known, _BATCH):
        await loader.add([_referrer(growth, known + number) for number in numbers])
        progress("referrers", known + numbers.stop)
    await loader.written()


def _manifest(growth: Growth, number: int) -> _Item:
    layers = (EMPTY, growth.layer(number))
    tags = (growth.tag(number),)
    return _Item(growth.repository(number), growth.manifest(number), tags, layers)


def _referrer(growth: Growth, number: int) -> _Item:
    return _Item(growth.repository(0), growth.referrer(number), (), (EMPTY,))


class _Loader:
    def __init__(self, store: Store, growth: Growth) -> None:
        self._core = store.core
        self._growth = growth
        #: Layers that a repository has by now, so that nobody looks again.
        self._linked: set[tuple[Repository, bytes]] = set()
        self._layers: dict[bytes, Content] = {}
        self._writing: asyncio.Task[None] | None = None

    async def add(self, items: Sequence[_Item]) -> None:
        core = self._core
        absent = sorted({layer for item in items for layer in item.layers} - self._layers.keys())
        self._layers |= zip(absent, await put_all(core.dataplane, absent), strict=True)
        contents = await put_all(core.dataplane, [item.data for item in items])

        def change(tx: Transaction) -> None:
            for item, content in zip(items, contents, strict=True):
                target = recording.ensure_repository(tx, core, item.repository)
                for layer in item.layers:
                    if (item.repository, layer) not in self._linked:
                        held = recording.record_content(tx, DEFAULT_DOMAIN, self._layers[layer])
                        recording.link_blob(tx, target, held)
                        self._linked.add((item.repository, layer))
                incoming = Incoming(parse_manifest(item.data, None), content, content.sha256, None)
                store_manifest(tx, core, item.repository, incoming, item.tags)

        await self.written()
        self._writing = asyncio.create_task(core.database.write(_ACTOR, change))

    async def written(self) -> None:
        """What was added is durable."""
        if self._writing is not None:
            await self._writing
