"""Append, staged, commit, discard."""

from __future__ import annotations

import asyncio
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.contract.dataplane import DEFAULT_DOMAIN, DataPlane, DomainId, Stage
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.paths import stage_key
from tests.dataplane.support import (
    Dropped,
    Held,
    all_stages,
    body,
    content_of,
    dropped,
    engine_of,
    new_stage,
    read_all,
)


@pytest.mark.parametrize("size", [1, 1000, 32 << 10, (32 << 10) + 1, 1 << 20, (1 << 20) + 1, 5_000_000])
async def test_round_trip(store: DataPlane, size: int) -> None:
    data = os.urandom(size)
    stage = new_stage()
    assert await store.append(stage, 0, body(data)) == size
    assert (await store.staged(stage)).offset == size
    assert await store.commit(stage, Digest.of(data, Algorithm.SHA256)) == content_of(data)
    assert await read_all(store, content_of(data)) == data
    assert await all_stages(store) == []
    assert (await store.staged(stage)).offset == 0


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    appends=st.lists(
        st.lists(st.integers(0, 9000) | st.integers(0, 3) | st.just(70_000) | st.just(1_200_000), max_size=6),
        min_size=1,
        max_size=4,
    ),
    seed=st.binary(min_size=1, max_size=4),
)
async def test_any_split_gives_the_same_bytes(
    store: DataPlane, appends: list[list[int]], seed: bytes
) -> None:
    stage, sent = new_stage(), b""
    for sizes in appends:
        chunks = [(seed * size)[:size] for size in sizes]
        assert await store.append(stage, len(sent), body(*chunks)) == len(sent) + sum(sizes)
        sent += b"".join(chunks)
    assert await store.commit(stage, None) == content_of(sent)
    assert await read_all(store, content_of(sent)) == sent


async def test_many_tiny_chunks(store: DataPlane) -> None:
    data = os.urandom(50_000)
    stage = new_stage()
    await store.append(stage, 0, body(*(data[at : at + 1] for at in range(len(data)))))
    assert await store.commit(stage, None) == content_of(data)
    assert await read_all(store, content_of(data)) == data


async def test_a_stage_that_never_received_a_byte_is_the_empty_content(store: DataPlane) -> None:
    assert await store.commit(new_stage(), Digest.of(b"", Algorithm.SHA256)) == content_of(b"")
    assert await read_all(store, content_of(b"")) == b""
    assert await store.get(DEFAULT_DOMAIN, content_of(b"").blake3, 0) == b""


async def test_an_empty_first_append_makes_the_stage(store: DataPlane) -> None:
    stage = new_stage()
    assert await store.append(stage, 0, body()) == 0
    assert await all_stages(store) == [(stage.id, 0)]
    assert await store.append(stage, 0, body(b"x")) == 1
    assert await store.append(stage, 1, body()) == 1
    assert await store.commit(stage, None) == content_of(b"x")


@pytest.mark.parametrize("offset", [0, 2, 4, 1 << 62])
async def test_a_wrong_offset_says_the_right_one_and_changes_nothing(store: DataPlane, offset: int) -> None:
    stage = new_stage()
    await store.append(stage, 0, body(b"abc"))
    with pytest.raises(StoreError) as refused:
        await store.append(stage, offset, body(b"x"))
    assert refused.value.kind is ErrorKind.OFFSET_MISMATCH
    assert refused.value.detail == {"offset": 3}
    await store.append(stage, 3, body(b"d"))
    assert await store.commit(stage, None) == content_of(b"abcd")


async def test_a_mismatch_leaves_the_stage_to_go_on_with(store: DataPlane) -> None:
    stage = new_stage()
    await store.append(stage, 0, body(b"half"))
    whole = Digest.of(b"half and half", Algorithm.SHA256)
    with pytest.raises(StoreError) as refused:
        await store.commit(stage, whole)
    assert refused.value.kind is ErrorKind.DIGEST_MISMATCH
    assert (await store.staged(stage)).offset == 4
    await store.append(stage, 4, body(b" and half"))
    assert (await store.commit(stage, whole)).sha256 == whole


async def test_a_mismatch_on_nothing_leaves_nothing(store: DataPlane) -> None:
    with pytest.raises(StoreError) as refused:
        await store.commit(new_stage(), Digest.of(b"x", Algorithm.SHA256))
    assert refused.value.kind is ErrorKind.DIGEST_MISMATCH
    assert await all_stages(store) == []


@pytest.mark.parametrize("announced", [None, *Algorithm])
@pytest.mark.parametrize("algorithm", list(Algorithm))
async def test_any_digest_completes(
    store: DataPlane, algorithm: Algorithm, announced: Algorithm | None
) -> None:
    data = os.urandom(100_000)
    stage = new_stage(announced)
    await store.append(stage, 0, body(data[:60_000]))
    await store.append(stage, 60_000, body(data[60_000:]))
    content = await store.commit(stage, Digest.of(data, algorithm))
    assert content == content_of(data, sha512=Algorithm.SHA512 in (announced, algorithm))


async def test_digests_survive_the_loss_of_the_running_ones(store: DataPlane) -> None:
    first, second = new_stage(), new_stage(Algorithm.SHA512)
    data = os.urandom(200_000)
    for stage in (first, second):
        await store.append(stage, 0, body(data[:100_000]))
        engine_of(store)._running.forget(stage_key(stage))
        await store.append(stage, 100_000, body(data[100_000:]))
    assert await store.commit(first, Digest.of(data, Algorithm.SHA256)) == content_of(data)
    assert await store.commit(second, None) == content_of(data, sha512=True)


async def test_content_that_is_there_stays_and_the_stage_goes(store: DataPlane) -> None:
    for _ in range(2):
        stage = new_stage()
        await store.append(stage, 0, body(b"same"))
        assert await store.commit(stage, None) == content_of(b"same")
    assert await store.put(DEFAULT_DOMAIN, b"same") == content_of(b"same")
    assert await all_stages(store) == []
    assert (await store.use()).objects == 1


async def test_discard(store: DataPlane) -> None:
    stage = new_stage()
    await store.discard(stage)
    await store.append(stage, 0, body(b"abc"))
    await store.discard(stage)
    assert await all_stages(store) == []
    await store.append(stage, 0, body(b"xyz"))
    assert await store.commit(stage, None) == content_of(b"xyz")


@pytest.mark.parametrize("sent", range(12))
@pytest.mark.parametrize("chunk", [1, 5])
async def test_a_connection_dropped_at_any_byte_keeps_what_arrived(
    store: DataPlane, sent: int, chunk: int
) -> None:
    data = b"hello world"
    stage = new_stage()
    arrived = data[:sent]
    with pytest.raises(Dropped):
        await store.append(stage, 0, dropped(arrived[at : at + chunk] for at in range(0, sent, chunk)))
    assert (await store.staged(stage)).offset == len(arrived)
    await store.append(stage, len(arrived), body(data[sent:]))
    assert await store.commit(stage, None) == content_of(data)


async def test_a_large_body_dropped_keeps_every_byte(store: DataPlane) -> None:
    data = os.urandom(3_333_333)
    stage = new_stage()
    with pytest.raises(Dropped):
        await store.append(stage, 0, dropped([data[:1_500_000], data[1_500_000:3_000_001]]))
    assert (await store.staged(stage)).offset == 3_000_001
    await store.append(stage, 3_000_001, body(data[3_000_001:]))
    assert await store.commit(stage, None) == content_of(data)


async def test_a_cancelled_append_keeps_what_arrived(store: DataPlane) -> None:
    stage, held = new_stage(), Held(b"arrived")
    task = asyncio.create_task(store.append(stage, 0, held))
    await held.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await store.staged(stage)).offset == 7
    assert await store.commit(stage, None) == content_of(b"arrived")


async def test_a_commit_cancelled_at_any_await_is_done_or_not(store: DataPlane) -> None:
    """Cancel after 0, 1, 2 … turns of the loop: the stage or the content is whole, and nothing is held."""
    for turns in range(12):
        data = b"turn %d" % turns
        stage = new_stage()
        await store.append(stage, 0, body(data))
        task = asyncio.create_task(store.commit(stage, None))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        if (await store.staged(stage)).offset:
            await store.commit(stage, None)
        assert await read_all(store, content_of(data)) == data
    assert await all_stages(store) == []


@pytest.mark.parametrize("limit", [0, 3, 4, 10])
async def test_the_byte_beyond_the_limit_is_refused_and_what_came_before_kept(
    store: DataPlane, limit: int
) -> None:
    stage = new_stage()
    with pytest.raises(StoreError) as refused:
        await store.append(stage, 0, body(b"abcd", b"efgh", b"ijk"), limit=limit)
    assert refused.value.kind is ErrorKind.TOO_LARGE
    assert (await store.staged(stage)).offset == limit
    assert await store.commit(stage, None) == content_of(b"abcdefghijk"[:limit])


async def test_exactly_the_limit_is_no_error(store: DataPlane) -> None:
    stage = new_stage()
    assert await store.append(stage, 0, body(b"ab"), limit=4) == 2
    assert await store.append(stage, 2, body(b"cd"), limit=4) == 4
    assert await store.append(stage, 4, body(b""), limit=4) == 4


async def test_a_second_append_waits_then_is_told_busy(store: DataPlane) -> None:
    stage, held = new_stage(), Held(b"first")
    first = asyncio.create_task(store.append(stage, 0, held))
    await held.reached.wait()
    for work in (store.append(stage, 0, body(b"x")), store.commit(stage, None), store.discard(stage)):
        with pytest.raises(StoreError) as refused:
            await work
        assert refused.value.kind is ErrorKind.UPLOAD_BUSY
    held.go_on.set()
    assert await first == 5
    assert await store.commit(stage, None) == content_of(b"first")


async def test_a_second_append_that_need_not_wait_long_goes_on(store: DataPlane) -> None:
    stage, held = new_stage(), Held(b"first")
    first = asyncio.create_task(store.append(stage, 0, held))
    await held.reached.wait()
    second = asyncio.create_task(store.append(stage, 5, body(b" second")))
    await asyncio.sleep(0)
    held.go_on.set()
    assert (await first, await second) == (5, 12)
    assert await store.commit(stage, None) == content_of(b"first second")


async def test_sixteen_appends_at_once_and_one_wins(store: DataPlane) -> None:
    stage = new_stage()
    outcomes = await asyncio.gather(
        *(store.append(stage, 0, body(b"%x" % n)) for n in range(16)), return_exceptions=True
    )
    assert outcomes.count(1) == 1
    winner = b"%x" % outcomes.index(1)
    assert await store.commit(stage, None) == content_of(winner)


@pytest.mark.parametrize("name", ["", "..", "A", "-a", "a/b", "a" * 64, "a\n", "ä"])
async def test_a_bad_domain_becomes_no_path(store: DataPlane, name: str) -> None:
    stage = Stage(DomainId(name), new_stage().id)
    for work in (store.append(stage, 0, body(b"x")), store.put(DomainId(name), b"x")):
        with pytest.raises(StoreError) as refused:
            await work
        assert refused.value.kind is ErrorKind.NAME_INVALID


@pytest.mark.parametrize("name", ["", "..", "../" * 12, "0" * 36, "01234567-89AB-cdef-0123-456789abcdef"])
async def test_a_bad_stage_id_becomes_no_path(store: DataPlane, name: str) -> None:
    with pytest.raises(StoreError) as refused:
        await store.append(Stage(DEFAULT_DOMAIN, name), 0, body(b"x"))
    assert refused.value.kind is ErrorKind.NAME_INVALID
