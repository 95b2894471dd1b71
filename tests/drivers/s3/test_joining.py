"""How segments become parts: by the rules of the service, whatever sizes they have."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.contract.digest import Algorithm, Digest
from registry.dataplane import S3Settings
from registry.dataplane.drivers.s3.driver import S3Driver
from registry.dataplane.drivers.s3.joining import Joiner, Part, Rules, plan
from registry.dataplane.drivers.s3.values import Source
from tests.dataplane.support import content_of, new_stage, read_all
from tests.drivers.s3.stores import MIB, opened, pieces, some
from tests.objectstore.asking import keys, unfinished

RULES = Rules(least_part=100, copied=1000)


def sources_of(sizes: list[int]) -> list[Source]:
    return [Source(f"{number}", "etag", size, 0, size) for number, size in enumerate(sizes)]


def spelt(parts: list[Part]) -> list[tuple[str, int]]:
    """Every byte that the parts hold, by source and position."""
    return [(p.key, at) for part in parts for p in part.pieces for at in range(p.start, p.end)]


@given(st.lists(st.integers(1, 3000) | st.integers(1, 120) | st.sampled_from([99, 100, 101]), max_size=12))
def test_the_parts_are_the_bytes_in_order_and_the_rules_hold(sizes: list[int]) -> None:
    sources = sources_of(sizes)
    parts = plan(sources, RULES)
    assert spelt(parts) == [(source.key, at) for source in sources for at in range(source.size)]
    assert all(part.length >= RULES.least_part for part in parts[:-1])
    assert all(part.length <= RULES.copied for part in parts)
    for part in parts:
        assert len(part.pieces) == 1 or not part.copied
        if not part.copied:
            assert part.length < 2 * RULES.least_part


@pytest.mark.parametrize(
    ("sizes", "sent"),
    [
        ([500, 500, 7], 0),  # the last may be small
        ([7], 0),
        ([7, 500], 100),  # 93 bytes of the second go with the first, the rest is copied
        ([7, 150], 157),  # what would remain is too small to be a part
        ([500, 7, 500, 7, 500], 200),
        ([40, 40, 40], 120),
    ],
)
def test_only_what_must_be_is_sent_again(sizes: list[int], sent: int) -> None:
    parts = plan(sources_of(sizes), RULES)
    assert sum(part.length for part in parts if not part.copied) == sent


@pytest.mark.slow
@pytest.mark.parametrize(
    "patches",
    [
        [100],
        [100, 200, 300],
        [6 * MIB],
        [6 * MIB, 6 * MIB],
        [6 * MIB + 1, 17, 12 * MIB + 3],
        [17, 6 * MIB, 17],
        [17, 20 * MIB + 1, 1, 1, 5 * MIB],
        [3 * MIB] * 5,
        [40 * MIB + 5],
    ],
)
async def test_odd_patches_become_the_content(s3: S3Settings, patches: list[int]) -> None:
    data, stage, sent = some(sum(patches)), new_stage(), 0
    async with opened(s3) as store:
        for size in patches:
            await store.append(stage, sent, pieces(data[sent : sent + size]))
            sent += size
        assert await store.commit(stage, Digest.of(data, Algorithm.SHA256)) == content_of(data)
        assert await read_all(store, content_of(data)) == data
    assert [key for key in await keys(s3) if key.startswith("uploads/")] == []
    assert await unfinished(s3) == []


@pytest.mark.slow
async def test_more_parts_than_an_object_may_have_are_joined_twice(s3: S3Settings) -> None:
    data, stage = some(33 * MIB), new_stage()
    async with opened(s3) as store:
        driver = store._remote
        assert isinstance(driver, S3Driver)
        few = dataclasses.replace(Rules(), parts=2)
        driver._joiner = Joiner(driver._bucket, driver.buffers, driver._workers, few)
        for start in range(0, len(data), 6 * MIB):
            await store.append(stage, start, pieces(data[start : start + 6 * MIB]))
        assert await store.commit(stage, None) == content_of(data)
        assert await read_all(store, content_of(data)) == data
    assert [key for key in await keys(s3) if key.startswith("uploads/")] == []
