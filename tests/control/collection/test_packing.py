"""Blobs are packed when the repositories that have them say so, and dead bytes in packs are freed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN, Codec
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.names import Repository
from registry.control import Care, PackPolicy, RepositoryPolicy, packing
from registry.control.core import DAY, HOUR
from registry.control.fsck import fsck
from registry.control.pack_policy import NEVER, most_reluctant
from registry.control.packing import PackedUp, Plan
from registry.control.work import hold
from registry.dataplane import DataPlaneSettings
from tests.control.collection.world import LATER, A, B, World, open_world
from tests.documents import manifest

SOON = PackPolicy(after=DAY)
OTHERS = Repository("others/c")
POLICIES = (
    RepositoryPolicy(match="team/a", pack=SOON),
    RepositoryPolicy(match="team/b", pack=PackPolicy(after=10 * DAY, codec=Codec.NONE)),
)


def text(seed: int, size: int = 150_000) -> bytes:
    """Bytes that compress, and that differ from each other."""
    chosen = random.Random(seed)
    words = [bytes(chosen.choices(b"abcdefgh ", k=9)) for _ in range(300)]
    return b" ".join(chosen.choices(words, k=size // 10 + 1))[:size]


@pytest.fixture
async def world(tmp_path: Path, database: str | Path) -> AsyncIterator[World]:
    settings = DataPlaneSettings(rewrite_grace=0)
    async with open_world(tmp_path, database, policies=POLICIES, dataplane_settings=settings) as opened:
        yield opened


async def pack(world: World, later: int = 0, limit: int | None = None) -> PackedUp:
    world.clock.ahead += later
    async with hold(world.store.core, packing.WORK, 5) as work:
        return await packing.pack(work, limit=limit)


async def loose(world: World, *contents: bytes) -> list[bool]:
    addresses = [await world.address_of(data) for data in contents]
    found = await world.dataplane.loose(DEFAULT_DOMAIN, addresses)
    return [address in found for address in addresses]


async def test_a_blob_is_packed_when_it_is_old_enough_and_reads_as_before(world: World) -> None:
    await world.push_blob(text(1))
    await world.push(manifest(text(1)), "v1")
    assert await packing.plan(world.store.core) == Plan(0, 0)
    assert await pack(world) == PackedUp(finished=True)
    world.clock.ahead += DAY + HOUR
    assert await packing.plan(world.store.core) == Plan(1, 150_000)
    done = await pack(world)
    assert (done.blobs, done.bytes, done.faults, done.finished) == (1, 150_000, 0, True)
    assert 0 < done.added < 100_000
    assert done.saved == done.bytes - done.added
    assert await loose(world, text(1)) == [False]
    assert await world.read(text(1)) == text(1)
    assert await packing.plan(world.store.core) == Plan(0, 0)
    assert await pack(world, DAY) == PackedUp(finished=True)
    state = await packing.state_of(world.store.core)
    assert (state.blobs, state.bytes, state.added) == (1, 150_000, done.added)
    assert (await fsck(world.store.core)).faults == []


async def test_who_wants_it_whole_for_longer_is_heard(world: World) -> None:
    for repository in (A, B):
        await world.push_blob(text(1), repository)
        await world.push(manifest(text(1)), "v1", repository)
    for repository in (A, OTHERS):
        await world.push_blob(text(2), repository)
        await world.push(manifest(text(2)), "v1", repository)
    assert (await pack(world, 2 * DAY)).blobs == 0
    done = await pack(world, 10 * DAY)
    assert (done.blobs, await loose(world, text(1), text(2))) == (1, [False, True])
    assert done.added > 140_000  # not compressed, as the one of them says


async def test_the_most_reluctant_of_policies() -> None:
    late = PackPolicy(after=9, at_least=10, at_most=100, level=3)
    early = PackPolicy(after=1, at_least=20, level=9)
    assert most_reluctant([late, early]) == PackPolicy(after=9, at_least=20, at_most=100, level=3)
    assert most_reluctant([early, NEVER, late]) == NEVER
    assert most_reluctant([]) == NEVER
    assert not PackPolicy(after=1, at_least=5, at_most=7).wants(1, 8)
    assert [PackPolicy(after=1, at_least=5, at_most=7).wants(age, 5) for age in (0, 1)] == [False, True]


async def test_a_pass_that_was_stopped_goes_on_where_it_was(world: World) -> None:
    contents = [text(seed) for seed in range(6)]
    for data in contents:
        await world.push_blob(data)
        await world.push(manifest(data))
    world.clock.ahead += DAY + HOUR
    with pytest.MonkeyPatch.context() as small:
        small.setattr(packing, "_BATCH_BLOBS", 2)
        small.setattr(packing, "_PAGE", 3)
        first = await pack(world, limit=200_000)
        assert (first.blobs, first.finished) == (2, False)
        assert await packing.is_due(world.store.core, DAY)
        second = await pack(world)
    assert (second.blobs, second.finished) == (4, True)
    assert not any(await loose(world, *contents))
    assert not await packing.is_due(world.store.core, DAY)
    world.clock.ahead += DAY
    assert await packing.is_due(world.store.core, DAY)


async def test_a_corrupt_blob_is_set_aside_and_told(tmp_path: Path) -> None:
    async with open_world(tmp_path, tmp_path / "ledger.sqlite", policies=POLICIES) as world:
        for seed in (1, 2):
            await world.push_blob(text(seed))
            await world.push(manifest(text(seed)))
        address = await world.address_of(text(1))
        (path,) = (tmp_path / "content" / "content").rglob(address.hex)
        path.write_bytes(text(3))
        done = await pack(world, DAY + HOUR)
        assert (done.blobs, done.faults) == (1, 1)
        assert not await world.has_blob(text(1))
        assert [event.blake3 for event in await world.events("content.missing")] == [address]
        await world.push_blob(text(1))
        assert await world.read(text(1)) == text(1)


async def test_dead_bytes_leave_with_a_collection(world: World) -> None:
    kept, gone = text(1), text(2)
    digests: list[Digest] = []
    for data in (kept, gone):
        await world.push_blob(data)
        digests.append(await world.push(manifest(data)))
    await pack(world, DAY + HOUR)
    await world.session.manifests.delete(A, digests[1])
    held = (await world.dataplane.use()).content
    done = await world.collect(LATER)
    assert done.freed == 2
    assert done.rewritten_bytes >= done.freed_bytes > 10_000
    assert (await world.dataplane.use()).content < held
    assert (await world.store.upkeep()).rewritten_bytes == done.rewritten_bytes
    assert (await world.store.upkeep()).dead_bytes < 1000  # in the log that is still written to
    assert await world.read(kept) == kept
    await world.rebuilds_to_the_same()


async def test_the_store_packs_by_itself_and_stops_at_once(world: World) -> None:
    for seed in range(3):
        await world.push_blob(text(seed))
        await world.push(manifest(text(seed)))
    world.clock.ahead += DAY + HOUR
    world.store.start_background(Care(collect_every=None, scrub_rate=None))
    async with asyncio.timeout(20):
        while (await packing.state_of(world.store.core)).blobs < 3:
            await asyncio.sleep(0.02)


async def test_one_process_packs_at_a_time(local: World) -> None:
    async with hold(local.store.core, packing.WORK):
        with pytest.raises(StoreError) as busy:
            async with hold(local.store.core, packing.WORK):
                pass
    assert busy.value.kind is ErrorKind.UNAVAILABLE
