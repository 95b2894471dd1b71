"""Packing and rewriting: the same bytes before, during and after, each chunk once, and nothing comes back."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.contract.dataplane import (
    DEFAULT_DOMAIN,
    Codec,
    Content,
    DomainId,
    Packed,
    Packing,
    Rewritten,
)
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane import DataPlaneSettings
from registry.dataplane.engine import Engine
from tests.dataplane.packed import dump, flip, loose_files, open_small, pack_files, rebuild
from tests.dataplane.support import content_of, read_all
from tests.drivers.leftovers import open_below, threads

pytestmark = pytest.mark.usefixtures("form")

OTHER = DomainId("other")
ALL = Packing()


async def packed(store: Engine, packing: Packing = ALL) -> list[Packed]:
    return [step async for step in store.pack(packing)]


async def rewritten(store: Engine, threshold: float = 0.0) -> list[Rewritten]:
    return [step async for step in store.rewrite(threshold, 0)]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Engine]:
    """A store whose chunks and packs are small."""
    engine = open_small(tmp_path)
    yield engine
    await engine.close()
    assert open_below(tmp_path) == []
    assert threads() == []


def text(size: int, seed: int = 0) -> bytes:
    chosen = random.Random(seed)
    words = [bytes(chosen.choices(b"abcdefgh ", k=9)) for _ in range(300)]
    return b" ".join(chosen.choices(words, k=size // 10 + 1))[:size]


async def test_a_packed_blob_reads_as_before_and_takes_less(store: Engine, tmp_path: Path) -> None:
    data = text(1_000_000)
    content = await store.put(DEFAULT_DOMAIN, data)
    assert len(loose_files(tmp_path)) == 1
    steps = await packed(store)
    assert [(step.address, step.size, step.fault) for step in steps] == [(content.blake3, len(data), None)]
    assert loose_files(tmp_path) == []
    assert await read_all(store, content) == data
    assert await store.get(DEFAULT_DOMAIN, content.blake3, len(data)) == data
    assert await store.size(DEFAULT_DOMAIN, content.blake3) == len(data)
    assert await store.open_file(DEFAULT_DOMAIN, content.blake3) is None
    assert (await store.verify(DEFAULT_DOMAIN, content.blake3)).fault is None
    assert await store.digest(DEFAULT_DOMAIN, content.blake3, Algorithm.SHA512) == Digest.of(
        data, Algorithm.SHA512
    )
    assert [found async for found in store.contents()] == [(DEFAULT_DOMAIN, content.blake3, len(data))]
    assert len(await store.locations(DEFAULT_DOMAIN, content.blake3)) == 1
    used = await store.use()
    assert used.objects == 1
    assert used.content == steps[0].added < len(data) // 2
    assert await packed(store) == []


@pytest.mark.parametrize("codec", list(Codec))
async def test_what_two_blobs_share_is_stored_once(store: Engine, codec: Codec) -> None:
    one = os.urandom(500_000)
    two = one[:250_000] + b"inserted" + one[250_000:]
    await store.put(DEFAULT_DOMAIN, one)
    await packed(store, Packing(codec=codec))
    content = await store.put(DEFAULT_DOMAIN, two)
    (step,) = await packed(store, Packing(codec=codec))
    assert step.added < 60_000
    assert await read_all(store, content) == two
    await store.put(OTHER, one)
    (step,) = await packed(store, Packing(codec=codec))
    assert step.added > 500_000  # domains share nothing


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.sampled_from([0, 1, 3000, 40_000, 300_000]),
    start=st.integers(0, 320_000),
    length=st.none() | st.integers(0, 320_000),
    random_part=st.integers(0, 300_000),
)
async def test_any_range_of_a_packed_blob(
    store: Engine, size: int, start: int, length: int | None, random_part: int
) -> None:
    data = (os.urandom(random_part) + text(300_000))[:size]
    content = await store.put(DEFAULT_DOMAIN, data)
    await packed(store)
    if start <= size:
        pieces = [piece async for piece in store.read(DEFAULT_DOMAIN, content.blake3, start, length)]
        assert b"".join(pieces) == data[start:][:length]
    else:
        with pytest.raises(StoreError) as refused:
            await anext(store.read(DEFAULT_DOMAIN, content.blake3, start, length))
        assert refused.value.kind is ErrorKind.RANGE_UNSATISFIABLE


async def test_a_range_touches_two_chunks_more_than_it_fills_at_most(
    store: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(400_000)
    content = await store.put(DEFAULT_DOMAIN, data)
    await packed(store)
    from registry.dataplane.packs.reading import PackReader

    real, touched = PackReader.piece, []

    def counted(self: PackReader, domain: DomainId, digest: bytes) -> bytes:
        piece = real(self, domain, digest)
        touched.append(len(piece))
        return piece

    monkeypatch.setattr(PackReader, "piece", counted)
    chosen = random.Random(1)
    for _ in range(30):
        start, length = chosen.randrange(400_000), chosen.randrange(1, 60_000)
        touched.clear()
        part = b"".join([piece async for piece in store.read(DEFAULT_DOMAIN, content.blake3, start, length)])
        assert part == data[start : start + length]
        assert sum(sorted(touched)[:-2]) <= len(part)


async def test_a_long_recipe_is_split_to_lists(
    store: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.dataplane.packs.packing.LONGEST", 5)
    data = os.urandom(300_000)
    content = await store.put(DEFAULT_DOMAIN, data)
    await packed(store)
    assert await read_all(store, content) == data
    await store.remove(DEFAULT_DOMAIN, content.blake3)
    await rewritten(store)
    assert (await store.use()).content == 0
    (log,) = pack_files(tmp_path)  # with the tombstone
    assert log.stat().st_size < 1000


async def test_the_policy_chooses(store: Engine, tmp_path: Path) -> None:
    small = await store.put(DEFAULT_DOMAIN, os.urandom(10_000))
    large = await store.put(DEFAULT_DOMAIN, os.urandom(100_000))
    assert await packed(store, Packing(older_than=60)) == []
    assert [step.address for step in await packed(store, Packing(at_least=50_000))] == [large.blake3]
    assert await packed(store, Packing(at_most=5000)) == []

    async def chosen() -> AsyncIterator[tuple[DomainId, Digest]]:
        yield DEFAULT_DOMAIN, large.blake3
        yield DEFAULT_DOMAIN, small.blake3

    assert [step.address async for step in store.pack(ALL, chosen())] == [small.blake3]


async def test_incompressible_chunks_are_stored_as_they_are(store: Engine) -> None:
    data = os.urandom(400_000)
    content = await store.put(DEFAULT_DOMAIN, data)
    (step,) = await packed(store)
    assert len(data) < step.added < len(data) * 1.02
    assert await read_all(store, content) == data


async def test_readers_see_the_same_bytes_at_every_moment(store: Engine) -> None:
    """Readers of whole blobs and of ranges while blobs are pushed, packed, removed and rewritten."""
    blobs = [text(200_000, seed) + os.urandom(30_000) for seed in range(6)]
    contents = [await store.put(DEFAULT_DOMAIN, blob) for blob in blobs]
    done = False
    reads = 0

    async def reader(seed: int) -> None:
        nonlocal reads
        chosen = random.Random(seed)
        while not done:
            number = chosen.randrange(len(blobs))
            start = chosen.randrange(230_000)
            pieces = store.read(DEFAULT_DOMAIN, contents[number].blake3, start, 50_000)
            assert b"".join([piece async for piece in pieces]) == blobs[number][start : start + 50_000]
            reads += 1
            await asyncio.sleep(0)  # what the page cache has is read without a turn of the loop

    readers = [asyncio.create_task(reader(seed)) for seed in range(4)]
    for turn in range(4):
        extra = [await store.put(DEFAULT_DOMAIN, text(150_000, 100 + turn * 3 + n)) for n in range(3)]
        await packed(store)
        for content in extra:
            await store.remove(DEFAULT_DOMAIN, content.blake3)
        await rewritten(store)
    done = True
    await asyncio.gather(*readers)
    assert reads > 10
    for content, blob in zip(contents, blobs, strict=True):
        assert await read_all(store, content) == blob


async def test_removing_frees_what_nothing_else_needs(store: Engine, tmp_path: Path, seal: int) -> None:
    shared = os.urandom(200_000)
    one, two = shared + os.urandom(100_000), shared + os.urandom(100_000)
    contents = [await store.put(DEFAULT_DOMAIN, data) for data in (one, two)]
    tiny = await store.put(DEFAULT_DOMAIN, b"tiny")
    await packed(store)
    before = await store.use()
    freed = await store.remove(DEFAULT_DOMAIN, contents[0].blake3)
    assert 70_000 < freed < 150_000
    assert await store.remove(DEFAULT_DOMAIN, contents[0].blake3) == 0
    assert (await store.use()).content == before.content - freed
    with pytest.raises(StoreError) as absent:
        await store.size(DEFAULT_DOMAIN, contents[0].blake3)
    assert absent.value.kind is ErrorKind.CONTENT_UNKNOWN
    held = sum(path.stat().st_size for path in pack_files(tmp_path))
    steps = await rewritten(store, 0.05)
    assert sum(step.freed for step in steps) > 70_000
    assert sum(path.stat().st_size for path in pack_files(tmp_path)) < held - 70_000
    assert await read_all(store, contents[1]) == two
    assert await read_all(store, tiny) == b"tiny"
    await store.remove(DEFAULT_DOMAIN, contents[1].blake3)
    await rewritten(store, 0.05)
    assert (await store.use()).content == 4 + seal


async def test_nothing_is_rewritten_below_the_threshold_or_within_the_grace(store: Engine) -> None:
    contents = [await store.put(DEFAULT_DOMAIN, os.urandom(50_000)) for _ in range(4)]
    await packed(store)
    await store.remove(DEFAULT_DOMAIN, contents[0].blake3)
    assert await rewritten(store, 0.9) == []
    assert [step async for step in store.rewrite(0.1, 3600)] == []
    assert await rewritten(store, 0.1) != []


async def test_a_blob_removed_while_it_is_packed_stays_away(store: Engine, tmp_path: Path) -> None:
    gone = await store.put(DEFAULT_DOMAIN, os.urandom(60_000))
    stays = await store.put(DEFAULT_DOMAIN, os.urandom(60_000))

    async def chosen() -> AsyncIterator[tuple[DomainId, Digest]]:
        yield DEFAULT_DOMAIN, gone.blake3
        yield DEFAULT_DOMAIN, stays.blake3
        assert await store.remove(DEFAULT_DOMAIN, gone.blake3) == 60_000

    assert [step.address async for step in store.pack(ALL, chosen())] == [stays.blake3]
    await store.close()
    rebuild(tmp_path)
    again = open_small(tmp_path)
    assert [address async for _, address, _ in again.contents()] == [stays.blake3]
    await again.close()


async def test_an_index_made_anew_says_the_same(store: Engine, tmp_path: Path) -> None:
    chosen = random.Random(3)
    shared = os.urandom(150_000)
    contents: list[Content] = []
    for turn in range(3):
        for size in (10, 100, 60_000, 200_000):
            data = shared[: chosen.randrange(150_000)] + os.urandom(size)
            contents.append(await store.put(DEFAULT_DOMAIN, data))
            contents.append(await store.put(OTHER, os.urandom(size)))
        await packed(store)
        for content in chosen.sample(contents, 6):
            await store.remove(DEFAULT_DOMAIN, content.blake3)
            await store.remove(OTHER, content.blake3)
        if turn:
            await rewritten(store, 0.3)
    before = sorted([found async for found in store.contents()])
    await store.close()
    found = dump(tmp_path)
    rebuild(tmp_path)
    assert dump(tmp_path) == found
    again = open_small(tmp_path)
    assert sorted([found async for found in again.contents()]) == before
    for domain, address, _ in before:
        assert (await again.verify(domain, address)).fault is None
    await again.close()


async def test_a_corrupt_loose_blob_is_told_and_not_packed(store: Engine, tmp_path: Path) -> None:
    content = await store.put(DEFAULT_DOMAIN, os.urandom(80_000))
    (path,) = loose_files(tmp_path)
    flip(path, 40_000)
    (step,) = await packed(store)
    assert step.fault is not None and step.fault.startswith(("the bytes held are blake3:", "segment 0 "))
    assert loose_files(tmp_path) == [path]
    assert (await store.verify(DEFAULT_DOMAIN, content.blake3)).fault is not None


async def test_no_flipped_bit_in_a_pack_is_ever_read(store: Engine, tmp_path: Path) -> None:
    data = text(100_000) + os.urandom(50_000)
    content = await store.put(DEFAULT_DOMAIN, data)
    tiny = await store.put(DEFAULT_DOMAIN, b"a tiny blob")
    await packed(store)
    chosen = random.Random(5)
    faults = 0
    for path in pack_files(tmp_path):
        for _ in range(60):
            position = chosen.randrange(path.stat().st_size)
            flip(path, position)
            for blob, expected in ((content, data), (tiny, b"a tiny blob")):
                try:
                    assert await read_all(store, blob) == expected
                except StoreError as error:
                    assert error.kind is ErrorKind.CONTENT_UNKNOWN
                    assert (await store.verify(DEFAULT_DOMAIN, blob.blake3)).fault is not None
                    faults += 1
            flip(path, position)
    assert faults > 20
    assert await read_all(store, content) == data


async def test_a_push_heals_what_quarantine_took_and_all_who_share_it(store: Engine, tmp_path: Path) -> None:
    shared = os.urandom(150_000)
    one, two = shared + b"one", shared + b"two"
    contents = [await store.put(DEFAULT_DOMAIN, data) for data in (one, two)]
    await packed(store)
    (path,) = pack_files(tmp_path)
    flip(path, 30_000)
    for content in contents:
        assert (await store.verify(DEFAULT_DOMAIN, content.blake3)).fault is not None
    await store.quarantine(DEFAULT_DOMAIN, contents[0].blake3)
    with pytest.raises(StoreError) as absent:
        await store.size(DEFAULT_DOMAIN, contents[0].blake3)
    assert absent.value.kind is ErrorKind.CONTENT_UNKNOWN
    assert (tmp_path / "quarantine" / "default").exists()
    await store.put(DEFAULT_DOMAIN, one)
    await packed(store)
    for content, data in zip(contents, (one, two), strict=True):
        assert await read_all(store, content) == data
        assert (await store.verify(DEFAULT_DOMAIN, content.blake3)).fault is None


async def test_a_chunk_gone_bad_is_written_anew_when_a_blob_would_rely_on_it(
    store: Engine, tmp_path: Path
) -> None:
    shared = os.urandom(150_000)
    first = await store.put(DEFAULT_DOMAIN, shared + b"one")
    await packed(store)
    (path,) = pack_files(tmp_path)
    flip(path, 30_000)
    second = await store.put(DEFAULT_DOMAIN, shared + b"two")
    await packed(store)
    assert await read_all(store, second) == shared + b"two"
    assert await read_all(store, first) == shared + b"one"
    await store.close()
    rebuild(tmp_path)
    again = open_small(tmp_path)
    assert await read_all(again, first) == shared + b"one"
    await again.close()


async def test_one_job_at_a_time(store: Engine, tmp_path: Path) -> None:
    for _ in range(3):
        await store.put(DEFAULT_DOMAIN, os.urandom(300_000))
    other = open_small(tmp_path)
    job = store.pack(ALL)
    await anext(job)
    for work in (anext(store.rewrite()), anext(other.pack(ALL)), anext(other.rewrite())):
        with pytest.raises(StoreError) as refused:
            await work
        assert refused.value.kind is ErrorKind.UNAVAILABLE
    await job.aclose()
    assert len(await packed(other)) > 0
    await other.close()


async def test_a_job_left_halfway_leaves_nothing(store: Engine, tmp_path: Path) -> None:
    contents = [await store.put(DEFAULT_DOMAIN, os.urandom(250_000)) for _ in range(4)]
    job = store.pack(ALL)
    first = await anext(job)
    await job.aclose()
    assert first.fault is None
    assert 0 < len(loose_files(tmp_path)) < 4
    for content in contents:
        assert (await store.verify(DEFAULT_DOMAIN, content.blake3)).fault is None
    assert len(await packed(store)) == len(contents) - 1
    assert loose_files(tmp_path) == []


async def test_tiny_files_of_an_older_store_are_packed_whole(tmp_path: Path) -> None:
    from tests.dataplane.support import open_engine

    older = open_engine("local", tmp_path, DataPlaneSettings(tiny_bytes=-1))
    contents = [await older.put(DEFAULT_DOMAIN, b"tiny %d" % n) for n in range(20)]
    await older.close()
    (tmp_path / "FORMAT").write_text("artifact-store data plane, format 1\n")
    store = open_small(tmp_path)
    assert (tmp_path / "FORMAT").read_text() == "artifact-store data plane, format 2\n"
    assert await read_all(store, contents[3]) == b"tiny 3"
    assert len(await packed(store)) == 20
    assert (len(loose_files(tmp_path)), len(pack_files(tmp_path))) == (0, 1)
    assert await read_all(store, contents[3]) == b"tiny 3"
    assert await store.put(DEFAULT_DOMAIN, b"tiny 3") == content_of(b"tiny 3")
    await store.close()


async def test_many_small_packs_become_one(tmp_path: Path) -> None:
    """Every restart leaves the log of that run."""
    contents = []
    for number in range(9):
        store = open_small(tmp_path)
        contents.append(await store.put(DEFAULT_DOMAIN, b"blob %d" % number))
        await store.close()
    store = open_small(tmp_path)
    assert len(pack_files(tmp_path)) == 9
    await rewritten(store, 0.9)
    assert len(pack_files(tmp_path)) == 1
    for number, content in enumerate(contents):
        assert await read_all(store, content) == b"blob %d" % number
    await store.close()


async def test_what_is_loose_and_what_is_dead_is_told(store: Engine) -> None:
    kept, gone = [await store.put(DEFAULT_DOMAIN, text(100_000, seed)) for seed in (1, 2)]
    addresses = [kept.blake3, gone.blake3]
    assert await store.loose(DEFAULT_DOMAIN, addresses) == addresses
    assert await store.loose(OTHER, addresses) == []
    await packed(store)
    assert await store.loose(DEFAULT_DOMAIN, addresses) == []
    assert await store.dead(0) == 0
    freed = await store.remove(DEFAULT_DOMAIN, gone.blake3)
    assert freed > 0
    assert await store.dead(0) >= freed
    assert await store.dead(1.0) == 0
    assert await store.dead(0.1) == await store.dead(0)
    await rewritten(store)
    assert await store.dead(0) == 0
