"""The contract of `Driver`, as its docstrings have it, for every implementation."""

from __future__ import annotations

import asyncio

import pytest

from registry.contract.dataplane import DomainId
from registry.contract.digest import blake3_of
from registry.dataplane.drivers.port import (
    Area,
    Busy,
    Driver,
    Missing,
    Moved,
    ObjectKey,
    Permanent,
    Refused,
    StageKey,
)
from tests.drivers.conftest import BUCKETS

DOMAIN = DomainId("default")
KEY = ObjectKey(Area.CONTENT, DOMAIN, "ab" * 32)
OTHER = ObjectKey(Area.CONTENT, DomainId("other"), "ab" * 32)
STAGE = StageKey(DOMAIN, "01234567-89ab-cdef-0123-456789abcdef")


async def content(driver: Driver, key: ObjectKey) -> bytes:
    opened = await driver.open(key)
    try:
        return await opened.read(0, opened.size)
    finally:
        opened.close()


async def staged(driver: Driver, data: bytes) -> None:
    hold = await driver.hold(STAGE, 0, [data])
    await hold.settle()
    await hold.release()


async def drop(driver: Driver) -> None:
    hold = await driver.hold(STAGE)
    await hold.drop()
    await hold.release()


@pytest.mark.parametrize("data", [b"", b"x", b"y" * (3 << 20)])
async def test_an_object_reads_as_it_was_put(driver: Driver, data: bytes) -> None:
    await driver.put(KEY, data)
    assert await driver.size(KEY) == len(data)
    opened = await driver.open(KEY)
    read = [await opened.read(at, min(1 << 20, len(data) - at)) for at in range(0, len(data), 1 << 20)]
    opened.close()
    opened.close()
    assert b"".join(read) == data


async def test_part_of_an_object(driver: Driver) -> None:
    await driver.put(KEY, b"0123456789")
    opened = await driver.open(KEY)
    assert await opened.read(3, 4) == b"3456"
    assert await opened.read(10, 0) == b""
    with pytest.raises(Permanent):
        await opened.read(8, 5)
    opened.close()


async def test_domains_do_not_see_each_other(driver: Driver) -> None:
    await driver.put(KEY, b"here")
    with pytest.raises(Missing):
        await driver.size(OTHER)


async def test_what_is_not_there_is_missing(driver: Driver) -> None:
    for work in (driver.size(KEY), driver.open(KEY), driver.delete(KEY), driver.set_aside(KEY, OTHER)):
        with pytest.raises(Missing):
            await work
    with pytest.raises(Missing):
        await driver.stage(STAGE)


async def test_delete_tells_the_size_and_an_open_object_survives_it(
    driver: Driver, request: pytest.FixtureRequest
) -> None:
    await driver.put(KEY, b"0123456789")
    opened = await driver.open(KEY)
    assert await driver.delete(KEY) == 10
    if request.node.callspec.id in BUCKETS:  # no open files there
        with pytest.raises(Missing):
            await opened.read(0, 10)
    else:
        assert await opened.read(0, 10) == b"0123456789"
    opened.close()
    with pytest.raises(Missing):
        await driver.delete(KEY)


async def test_an_object_that_is_there_stays_and_a_put_says_so(driver: Driver) -> None:
    assert await driver.put(KEY, b"first")
    assert not await driver.put(KEY, b"other")
    assert not await driver.put(KEY, b"longer than that")
    assert await content(driver, KEY) == b"first"


async def test_a_deletion_takes_place_only_with_the_permit_that_counts(driver: Driver) -> None:
    await driver.put(KEY, b"precious")
    with pytest.raises(Refused):
        await driver.delete(KEY, "first")
    await driver.admit("first")
    await driver.admit("second, and a longer one")
    with pytest.raises(Refused):
        await driver.delete(KEY, "first")
    assert await content(driver, KEY) == b"precious"
    await driver.admit("third")
    assert await driver.delete(KEY, "third") == 8


async def test_what_is_corrupt_is_set_aside_and_what_is_sound_stays(driver: Driver) -> None:
    key = KEY._replace(hex=blake3_of(b"new").hex())
    quarantined = key._replace(area=Area.QUARANTINE)
    for wrong in (b"old", b"odd"):
        await driver.put(key, wrong)
        await driver.set_aside(key, quarantined)
        assert await content(driver, quarantined) == wrong
        assert [key async for key, _ in driver.objects(Area.CONTENT)] == []
    assert [found async for found in driver.objects(Area.QUARANTINE)] == [(quarantined, 3)]
    await driver.put(key, b"new")
    await driver.set_aside(key, quarantined)
    assert await content(driver, key) == b"new"
    assert await content(driver, quarantined) == b"odd"


async def test_objects_by_domain(driver: Driver) -> None:
    keys = [ObjectKey(Area.CONTENT, DOMAIN, f"{n:064x}") for n in range(5)]
    for key in keys:
        await driver.put(key, b"12")
    await driver.put(OTHER, b"123")
    assert sorted([found async for found in driver.objects(Area.CONTENT, DOMAIN)]) == [(k, 2) for k in keys]
    assert len([found async for found in driver.objects(Area.CONTENT)]) == 6
    assert [found async for found in driver.objects(Area.CONTENT, DomainId("none"))] == []


async def test_a_stage_grows_over_holds_and_becomes_an_object(driver: Driver) -> None:
    hold = await driver.hold(STAGE, 0, [b"one ", b"two "])
    assert hold.found.length == 0
    await hold.write([memoryview(b"three "), bytearray(b"four")])
    settled = await hold.settle()
    await hold.release()
    assert settled.length == 18
    found = await driver.stage(STAGE)
    assert (found.length, found.revision) == (settled.length, settled.revision)
    assert abs(found.touched - settled.touched) <= 1_000_000  # some media know whole seconds
    assert [found async for found in driver.stages()] == [(STAGE, found)]
    hold = await driver.hold(STAGE)
    assert hold.found == found
    assert await hold.read(4, 9) == b"two three"
    with pytest.raises(Permanent):
        await hold.read(10, 20)
    await hold.commit(KEY)
    await hold.release()
    assert await content(driver, KEY) == b"one two three four"


async def test_a_commit_onto_an_object_of_that_size_keeps_it(driver: Driver) -> None:
    await driver.put(KEY, b"first")
    await staged(driver, b"other")
    hold = await driver.hold(STAGE)
    await hold.commit(KEY)
    await hold.release()
    assert await content(driver, KEY) == b"first"


async def test_a_commit_onto_an_object_of_another_size_replaces_it(driver: Driver) -> None:
    await driver.put(KEY, b"truncated")
    await staged(driver, b"whole again")
    hold = await driver.hold(STAGE)
    await hold.commit(KEY)
    await hold.release()
    assert await content(driver, KEY) == b"whole again"


async def test_one_hold_at_a_time(driver: Driver) -> None:
    hold = await driver.hold(STAGE, 0, [b"x"])
    with pytest.raises(Busy):
        await driver.hold(STAGE)
    assert (await driver.stage(STAGE)).length == 1
    await hold.release()
    await hold.release()
    await drop(driver)


async def test_a_wrong_offset_moves_nothing(driver: Driver) -> None:
    with pytest.raises(Moved) as moved:
        await driver.hold(STAGE, 5, [b"x"])
    assert moved.value.length == 0
    with pytest.raises(Missing):
        await driver.stage(STAGE)
    await staged(driver, b"abc")
    with pytest.raises(Moved) as moved:
        await driver.hold(STAGE, 5, [b"x"])
    assert moved.value.length == 3
    await drop(driver)


async def test_every_write_changes_the_revision(driver: Driver) -> None:
    revisions = set()
    for length in range(5):
        hold = await driver.hold(STAGE, length, [b"x"])
        revisions.add((await hold.settle()).revision)
        await hold.release()
    assert len(revisions) == 5
    await drop(driver)


async def test_drop_leaves_nothing(driver: Driver) -> None:
    await staged(driver, b"abc")
    await drop(driver)
    with pytest.raises(Missing):
        await driver.stage(STAGE)


async def test_many_holds_compete_and_one_wins(driver: Driver) -> None:
    outcomes = await asyncio.gather(
        *(driver.hold(STAGE, 0, [b"%d" % n]) for n in range(8)), return_exceptions=True
    )
    won = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert len(won) == 1
    assert all(isinstance(outcome, Busy) for outcome in outcomes if outcome is not won[0])
    await won[0].drop()
    await won[0].release()


async def test_the_medium_can_be_written(driver: Driver) -> None:
    await driver.probe()
    free = await driver.free()
    assert free is None or free > 0
