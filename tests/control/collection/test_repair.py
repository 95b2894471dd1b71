"""fsck in parts, resumed, and with repairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.digest import Digest
from registry.contract.errors import StoreError
from registry.contract.events import ContentMissing
from registry.control import fsck_resuming
from registry.control.fsck import Checked, fsck
from registry.control.fsck_repair import repair
from registry.control.fsck_subset import Subset, parse_subset
from tests.control.collection.test_scrubbing import LAYERS, damage, fill
from tests.control.collection.world import LATER, World

ADDRESSES = [Digest.parse(f"blake3:{number * 16**62 // 10:064x}") for number in range(2000)]


def test_parts_are_disjoint_and_cover_everything() -> None:
    parts = [parse_subset(f"{part}/7", 0.0) for part in range(1, 8)]
    for address in ADDRESSES:
        assert sum(part.has(address) for part in parts) == 1


@pytest.mark.parametrize("chance", [0.0, 0.3, 0.99])
def test_a_share_is_about_as_large_as_it_says(chance: float) -> None:
    spread = [Digest.parse(f"blake3:{number * (16**64 // 2000):064x}") for number in range(2000)]
    assert 190 <= sum(map(parse_subset("10%", chance).has, spread)) <= 210
    assert all(map(parse_subset("100%", chance).has, spread))


@pytest.mark.parametrize("text", ["0/7", "8/7", "1/0", "101%", "0%", "some", "7"])
def test_what_is_no_subset_is_refused(text: str) -> None:
    with pytest.raises(StoreError, match="no subset"):
        parse_subset(text, 0.0)


async def test_a_part_reads_only_its_bytes(local: World) -> None:
    await fill(local)
    whole = await fsck(local.store.core)
    parts = [await fsck(local.store.core, subset=parse_subset(f"{n}/3", 0)) for n in (1, 2, 3)]
    assert sum(part.bytes for part in parts) == whole.bytes
    assert all(part.contents == whole.contents for part in parts)


async def test_a_stopped_check_goes_on(local: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(local)
    monkeypatch.setattr(fsck_resuming, "_EVERY", 0)
    with pytest.raises(StoreError, match="no check was stopped"):
        await fsck(local.store.core, resume=True)

    def stop(done: Checked) -> None:
        if done.contents == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await fsck(local.store.core, progress=stop)
    seen: list[int] = []
    done = await fsck(local.store.core, resume=True, progress=lambda done: seen.append(done.contents))
    assert seen == [3, 4, 5]
    assert (done.contents, done.faults) == (5, [])
    with pytest.raises(StoreError, match="no check was stopped"):
        await fsck(local.store.core, resume=True)


async def test_repair_sets_corrupt_content_aside_and_a_push_heals_it(world: World, tmp_path: Path) -> None:
    await fill(world)
    await damage(world, tmp_path, LAYERS[0])
    checked = await fsck(world.store.core)
    assert [fault.kind for fault in checked.faults] == ["content"]
    (step,) = await repair(world.store.core, checked)
    assert not step.mended
    assert "push it again" in step.message
    assert not await world.has_blob(LAYERS[0])
    assert [fault.kind for fault in (await fsck(world.store.core)).faults] == ["known"]
    await world.push_blob(LAYERS[0])
    assert (await fsck(world.store.core)).faults == []


async def test_repair_takes_back_what_is_there_after_all(world: World) -> None:
    await fill(world)
    address = await world.address_of(LAYERS[0])
    missing = ContentMissing(DEFAULT_DOMAIN, address, "the disk was away")
    await world.store.core.database.write("test", lambda tx: tx.emit(missing))
    steps = await repair(world.store.core, await fsck(world.store.core))
    assert [step.mended for step in steps] == [True]
    assert await world.read(LAYERS[0]) == LAYERS[0]
    assert (await fsck(world.store.core)).faults == []


async def test_repair_recounts_and_completes_what_a_crash_left(world: World) -> None:
    await fill(world)
    await world.dataplane.put(DEFAULT_DOMAIN, b"between a commit and its row")
    await world.store.core.database.write("test", _miscount)
    checked = await fsck(world.store.core)
    assert checked.unnamed == 1
    steps = await repair(world.store.core, checked)
    assert any("is counted anew" in step.message for step in steps)
    assert any("noted, to be deleted after their grace" in step.message for step in steps)
    world.clock.ahead += LATER
    steps = await repair(world.store.core, await fsck(world.store.core))
    assert [step.message for step in steps] == ["1 objects without a row, 28 bytes, are deleted"]
    checked = await fsck(world.store.core)
    assert (checked.faults, checked.unnamed) == ([], 0)
    await world.rebuilds_to_the_same()


def test_the_whole_is_the_default() -> None:
    assert all(map(Subset().has, ADDRESSES))


def _miscount(tx: object) -> None:
    from registry.control.sql import statements
    from registry.control.sql.transaction import Transaction

    assert isinstance(tx, Transaction)
    statements.rows(tx.connection, "UPDATE repository_usage SET logical = 1 RETURNING repository_id")
