"""Every byte is read now and then; what is not right is set aside, told, and healed by a push."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.control import scrubbing
from registry.control.core import DAY, HOUR
from registry.control.fsck import fsck
from registry.control.pacing import Pace
from registry.control.scrubbing import Scrubbed
from registry.control.work import hold
from registry.dataplane import open_memory
from tests.control.collection.world import LATER, World, open_world
from tests.documents import manifest

MONTH = 30 * DAY
#: Larger than what a data plane may keep in a log, so that each is a file.
LAYERS = [bytes([number]) * 100_000 for number in range(3)]


async def scrub(world: World, later: int = 0, **options: object) -> Scrubbed:
    world.clock.ahead += later
    async with hold(world.store.core, scrubbing.WORK, 5) as work:
        return await scrubbing.scrub(work, rate=2**30, every=MONTH, **options)  # type: ignore[arg-type]


async def fill(world: World) -> None:
    for layer in LAYERS:
        await world.push_blob(layer)
    await world.push(manifest(*LAYERS), "v1")


async def damage(world: World, folder: Path, data: bytes) -> None:
    """Change one bit of a blob's file."""
    address = await world.address_of(data)
    (path,) = list((folder / "content" / "content").rglob(f"*{address.hex}*"))
    stored = bytearray(path.read_bytes())
    stored[len(stored) // 2] ^= 1
    path.write_bytes(stored)


async def test_what_was_verified_lately_is_not_read_again(world: World) -> None:
    await fill(world)
    assert (await scrub(world)).contents == 0
    assert not await scrubbing.is_due(world.store.core, MONTH)
    world.clock.ahead += MONTH + HOUR
    assert await scrubbing.is_due(world.store.core, MONTH)
    assert (await scrub(world)).contents == 5
    assert not await scrubbing.is_due(world.store.core, MONTH)
    assert (await scrub(world)).contents == 0
    state = await scrubbing.state_of(world.store.core)
    assert state.oldest is not None
    assert world.clock.now() - state.oldest < HOUR
    assert (state.contents, state.faults, state.missing) == (5, 0, 0)


async def test_a_flipped_bit_is_found_told_and_healed(world: World, tmp_path: Path) -> None:
    await fill(world)
    await damage(world, tmp_path, LAYERS[1])
    done = await scrub(world, MONTH + HOUR)
    assert (done.contents, done.faults, done.healed) == (5, 1, 0)
    address = await world.address_of(LAYERS[1])
    assert [event.blake3 for event in await world.events("content.missing")] == [address]
    assert not await world.has_blob(LAYERS[1])
    assert (await scrubbing.state_of(world.store.core)).missing == 1
    await world.push_blob(LAYERS[1])
    assert await world.read(LAYERS[1]) == LAYERS[1]
    assert (await scrubbing.state_of(world.store.core)).missing == 0
    assert (await fsck(world.store.core)).faults == []


async def test_another_location_heals_it_at_once(world: World, tmp_path: Path) -> None:
    await fill(world)
    other = open_memory()
    await other.put(DEFAULT_DOMAIN, LAYERS[1])
    await damage(world, tmp_path, LAYERS[1])
    done = await scrub(world, MONTH + HOUR, others=(other,))
    await other.close()
    assert (done.faults, done.healed) == (1, 1)
    assert await world.read(LAYERS[1]) == LAYERS[1]
    assert [event.KIND for event in await world.events("content.healed")] == ["content.healed"]
    await world.rebuilds_to_the_same()


async def test_it_goes_on_where_it_was(local: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrubbing, "_PAGE", 2)
    await fill(local)
    local.clock.ahead += MONTH + HOUR
    pages = 0
    real = scrubbing._verify

    async def cut(*arguments: object) -> list[int]:
        nonlocal pages
        pages += 1
        if pages == 2:
            raise KeyboardInterrupt
        return await real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(scrubbing, "_verify", cut)
    with pytest.raises(KeyboardInterrupt):
        await scrub(local)
    assert await scrubbing.is_due(local.store.core, MONTH)
    assert (await scrub(local)).contents == 3
    assert len(await local.rows("SELECT 1 FROM verifications")) == 5


async def test_collected_content_is_forgotten(local: World) -> None:
    await local.push_blob(LAYERS[0])
    await scrub(local, MONTH)
    await local.collect(LATER)
    await local.collect(MONTH)
    await fill(local)
    await scrub(local, MONTH)
    assert len(await local.rows("SELECT 1 FROM verifications")) == 5


async def test_the_pace_is_kept() -> None:
    pace = Pace(1_000_000)
    begun = time.monotonic()
    for _ in range(6):
        await pace.spend(250_000)
    assert 0.4 < time.monotonic() - begun < 1.5


async def test_a_server_does_all_this_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    from registry.control import Care, background

    monkeypatch.setattr(background, "_PULSE", 0.02)
    async with open_world(tmp_path, tmp_path / "ledger.sqlite") as world:
        await world.push_blob(LAYERS[0])
        await fill(world)
        await world.push_blob(b"nobody's")
        await damage(world, tmp_path, LAYERS[0])
        world.store.start_background(Care(collect_every=HOUR, scrub_rate=2**30, scrub_every=DAY))
        await asyncio.sleep(0.2)
        world.clock.ahead += LATER
        async with asyncio.timeout(10):
            while (upkeep := await world.store.upkeep()).removed < 1 or upkeep.scrub.faults < 1:
                await asyncio.sleep(0.02)
        assert upkeep.scrub.missing == 1
        assert not await world.has_blob(b"nobody's")
