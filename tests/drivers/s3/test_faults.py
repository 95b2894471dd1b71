"""A service that is slow, says no, breaks off or talks nonsense, before the real one: nothing acknowledged is
lost, nothing wrong is stored, and what cannot be done now is said so."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane import S3Settings
from tests.dataplane.support import all_stages, body, content_of, new_stage, read_all
from tests.drivers.s3.stores import MIB, opened, pieces, some
from tests.objectstore.asking import keys, unfinished
from tests.objectstore.proxy import Answer, Asked, Cut, Fault, FaultyProxy, Garbage, Lose, Slow, before
from tests.objectstore.seaweed import SeaweedServer

pytestmark = pytest.mark.slow

PASSING: list[Fault] = [
    Answer(503, "SlowDown"),
    Answer(500, "InternalError"),
    Answer(502, ""),
    Lose(),
    Cut(3),
    Garbage(),
    Slow(0.3),
]


@pytest.fixture
async def faulty(s3: S3Settings, seaweed: SeaweedServer) -> AsyncIterator[tuple[FaultyProxy, S3Settings]]:
    """The proxy, and settings that lead through it to the real server."""
    async with before(s3, seaweed.port) as (proxy, through):
        yield proxy, dataclasses.replace(through, patience=20.0)


@pytest.mark.parametrize("fault", PASSING, ids=repr)
async def test_a_push_outlives_what_passes(
    faulty: tuple[FaultyProxy, S3Settings], s3: S3Settings, fault: Fault
) -> None:
    """Every third request fails once: of the append, of the completion and of reading it again."""
    proxy, through = faulty
    data, stage, count = some(17 * MIB + 5), new_stage(), 0

    def every_third(asked: Asked) -> Fault | None:
        nonlocal count
        count += 1
        return fault if count % 3 == 0 else None

    async with opened(through) as store:
        proxy.plan = every_third
        await store.append(stage, 0, pieces(data[: 6 * MIB + 1]))
        await store.append(stage, 6 * MIB + 1, pieces(data[6 * MIB + 1 :]))
        assert await store.commit(stage, Digest.of(data, Algorithm.SHA256)) == content_of(data)
        assert (await store.put(DEFAULT_DOMAIN, b"small")) == content_of(b"small")
        assert await read_all(store, content_of(data)) == data
        assert await store.get(DEFAULT_DOMAIN, content_of(b"small").blake3, 100) == b"small"
        proxy.heal()
        assert proxy.spoiled >= 5
        assert await all_stages(store) == []
        await store.reap(1 << 62)
    assert await unfinished(s3) == []
    assert len(await keys(s3)) == 3


@pytest.mark.parametrize(
    "fault", [Answer(503, "SlowDown"), Answer(500, "InternalError"), Lose(), Garbage()], ids=repr
)
async def test_what_persists_is_unavailable_and_goes_on_when_it_ends(
    faulty: tuple[FaultyProxy, S3Settings], fault: Fault
) -> None:
    proxy, through = faulty
    data = some(6 * MIB)
    async with opened(dataclasses.replace(through, patience=0.5)) as store:
        stage = new_stage()
        kept = await store.put(DEFAULT_DOMAIN, b"precious")
        await store.append(stage, 0, body(b"sent before"))
        proxy.plan = lambda _: fault
        other = new_stage()
        for work in (
            store.append(stage, 11, pieces(data)),
            store.append(other, 0, pieces(data)),
            store.commit(stage, None),
            store.put(DEFAULT_DOMAIN, b"new"),
            store.size(DEFAULT_DOMAIN, kept.blake3),
            store.get(DEFAULT_DOMAIN, kept.blake3, 100),
            store.remove(DEFAULT_DOMAIN, kept.blake3),
            store.quarantine(DEFAULT_DOMAIN, kept.blake3),
            store.staged(stage),
            store.discard(stage),
            store.check_writable(),
        ):
            with pytest.raises(StoreError) as refused:
                async with asyncio.timeout(15):
                    await work
            assert refused.value.kind is ErrorKind.UNAVAILABLE
            assert refused.value.detail["retry_after"] > 0
        proxy.heal()
        offset = (await store.staged(stage)).offset
        assert offset >= 11
        whole = b"sent before" + data
        await store.append(stage, offset, pieces(whole[offset:]))
        assert await store.commit(stage, None) == content_of(whole)
        assert await read_all(store, content_of(whole)) == whole


@pytest.mark.parametrize("after", [1, 3, 5])
async def test_an_append_that_meets_an_outage_says_where_to_go_on(
    faulty: tuple[FaultyProxy, S3Settings], after: int
) -> None:
    proxy, through = faulty
    data, stage = some(60 * MIB), new_stage()
    async with opened(dataclasses.replace(through, patience=0.3)) as store:
        count = 0

        def broken(asked: Asked) -> Fault | None:
            nonlocal count
            count += asked.method == "PUT"
            return Answer(503, "SlowDown") if count >= after else None

        proxy.plan = broken
        with pytest.raises(StoreError) as refused:
            await store.append(stage, 0, pieces(data))
        assert refused.value.kind is ErrorKind.UNAVAILABLE
        proxy.heal()
        offset = (await store.staged(stage)).offset
        assert 0 <= offset < len(data)
        await store.append(stage, offset, pieces(data[offset:]))
        assert await store.commit(stage, Digest.of(data, Algorithm.SHA256)) == content_of(data)


async def test_a_segment_whose_answer_was_lost_is_known_as_ours(
    faulty: tuple[FaultyProxy, S3Settings],
) -> None:
    """The second try finds an object there, and it is not another replica's."""
    proxy, through = faulty
    async with opened(through) as store:
        proxy.spoil(Lose(), 1, lambda asked: asked.method == "PUT" and "/uploads/" in asked.target)
        stage, data = new_stage(), some(100_000)
        assert await store.append(stage, 0, body(data)) == len(data)
        assert proxy.spoiled == 1
        assert await store.commit(stage, None) == content_of(data)


async def test_a_completion_whose_answer_was_lost_is_known_as_done(
    faulty: tuple[FaultyProxy, S3Settings], s3: S3Settings
) -> None:
    proxy, through = faulty
    data, stage = some(20 * MIB), new_stage()
    async with opened(through) as store:
        await store.append(stage, 0, pieces(data))
        proxy.spoil(Lose(), 1, lambda asked: asked.method == "POST" and "uploadId=" in asked.target)
        assert await store.commit(stage, None) == content_of(data)
        assert proxy.spoiled == 1
        assert await all_stages(store) == []
    assert await unfinished(s3) == []


async def test_segments_that_cannot_be_deleted_do_not_spoil_the_completion(
    faulty: tuple[FaultyProxy, S3Settings],
) -> None:
    proxy, through = faulty
    data, stage = some(300_000), new_stage()
    async with opened(dataclasses.replace(through, patience=0.2)) as store:
        await store.append(stage, 0, body(data))
        proxy.plan = lambda asked: Answer(503, "SlowDown") if asked.method == "DELETE" else None
        assert await store.commit(stage, None) == content_of(data)
        proxy.heal()
        assert [found for found, _ in await all_stages(store)] == [stage.id]  # for the reaper
        await store.discard(stage)
        assert await read_all(store, content_of(data)) == data


async def test_a_completion_that_fails_is_cleared_away_by_the_reaper(
    faulty: tuple[FaultyProxy, S3Settings], s3: S3Settings
) -> None:
    proxy, through = faulty
    data, stage = some(20 * MIB), new_stage()
    async with opened(dataclasses.replace(through, patience=0.2)) as store:
        await store.append(stage, 0, pieces(data))
        multipart = "uploadId="
        proxy.plan = lambda asked: Answer(503, "SlowDown") if multipart in asked.target else None
        with pytest.raises(StoreError) as refused:
            await store.commit(stage, None)
        assert refused.value.kind is ErrorKind.UNAVAILABLE
        proxy.heal()
        assert len(await unfinished(s3)) == 1
        assert await store.reap(0) == 0  # nothing that old
        assert await store.reap(1 << 62) == 1
        assert await unfinished(s3) == []
        assert await store.commit(stage, None) == content_of(data)


async def test_a_404_from_elsewhere_is_no_absence(faulty: tuple[FaultyProxy, S3Settings]) -> None:
    """A proxy without a server behind it answers 404 to everything."""
    proxy, through = faulty
    async with opened(through) as store:
        kept = await store.put(DEFAULT_DOMAIN, b"precious")
        proxy.plan = lambda _: Answer(404, "")
        for work in (
            store.size(DEFAULT_DOMAIN, kept.blake3),
            store.get(DEFAULT_DOMAIN, kept.blake3, 100),
            store.remove(DEFAULT_DOMAIN, kept.blake3),
        ):
            with pytest.raises(StoreError) as refused:
                await work
            assert refused.value.kind is ErrorKind.INTERNAL
        proxy.heal()
        assert await store.size(DEFAULT_DOMAIN, kept.blake3) == 8


async def test_a_slow_service_keeps_nobody_waiting_who_left(faulty: tuple[FaultyProxy, S3Settings]) -> None:
    proxy, through = faulty
    async with opened(through) as store:
        kept = await store.put(DEFAULT_DOMAIN, b"precious")
        proxy.plan = lambda _: Slow(30)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await store.size(DEFAULT_DOMAIN, kept.blake3)
        proxy.heal()
        assert await store.size(DEFAULT_DOMAIN, kept.blake3) == 8
