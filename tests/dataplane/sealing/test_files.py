"""Sealed files: what was changed, cut, moved or exchanged gives no byte, and unfinished ones go on."""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.contract.dataplane import DEFAULT_DOMAIN, Content, DomainId
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane import DataPlaneSettings, open_local
from registry.dataplane.drivers import staging
from registry.dataplane.drivers.opening import open_packed
from registry.dataplane.drivers.port import StageKey
from registry.dataplane.engine import Engine
from registry.dataplane.sealing.files import CONTENT, HEAD, SEGMENT, content_size, stored_size
from registry.dataplane.sealing.floe import OVERHEAD
from registry.dataplane.workers import Workers
from tests.dataplane.packed import flip, loose_files
from tests.dataplane.sealed import sealing
from tests.dataplane.support import body, content_of, new_stage, open_engine, read_all

#: Every object is a file of its own.
LOOSE = DataPlaneSettings(patience=0.05, threads=2, tiny_bytes=-1)
SIZE = 3 * CONTENT + 1000
NEW = "00112233-4455-6677-8899-aabbccddeeff"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Engine]:
    engine = open_engine("sealed", tmp_path, LOOSE)
    yield engine
    await engine.close()


@given(st.integers(0, 1 << 40))
def test_a_files_size_tells_its_contents(length: int) -> None:
    assert content_size(stored_size(length)) == length


async def refused(store: Engine, content: Content, start: int = 0, length: int | None = None) -> bytes:
    """Read what must be refused; returns what was given before."""
    given = b""
    with pytest.raises(StoreError) as caught:
        async for piece in store.read(DEFAULT_DOMAIN, content.blake3, start, length):
            given += piece
    assert caught.value.kind is ErrorKind.CONTENT_UNKNOWN
    return given


async def test_every_flipped_bit_is_noticed(store: Engine, tmp_path: Path) -> None:
    data = os.urandom(SIZE)
    content = await store.put(DEFAULT_DOMAIN, data)
    (path,) = loose_files(tmp_path)
    chosen = random.Random(3)
    everywhere = [*range(HEAD + 16), *(chosen.randrange(path.stat().st_size) for _ in range(60))]
    for position in everywhere:
        flip(path, position)
        given = await refused(store, content)
        assert data.startswith(given)
        assert (await store.verify(DEFAULT_DOMAIN, content.blake3)).fault is not None
        flip(path, position)
    assert await read_all(store, content) == data


async def test_only_segments_that_are_read_are_opened(store: Engine, tmp_path: Path) -> None:
    data = os.urandom(SIZE)
    content = await store.put(DEFAULT_DOMAIN, data)
    (path,) = loose_files(tmp_path)
    flip(path, HEAD + 2 * SEGMENT + 100)
    parts = [piece async for piece in store.read(DEFAULT_DOMAIN, content.blake3, 1, 2 * CONTENT - 1)]
    assert b"".join(parts) == data[1 : 2 * CONTENT]
    parts = [piece async for piece in store.read(DEFAULT_DOMAIN, content.blake3, 3 * CONTENT)]
    assert b"".join(parts) == data[3 * CONTENT :]
    assert await refused(store, content, 2 * CONTENT - 1, 2) == b""


def cut(data: bytes) -> bytes:
    """The file without its last segment, as if the one before were the end."""
    return data[: HEAD + 3 * SEGMENT]


def shortened(data: bytes) -> bytes:
    return data[:-1]


def lengthened(data: bytes) -> bytes:
    return data + b"\0"


def reordered(data: bytes) -> bytes:
    one, two, three = HEAD, HEAD + SEGMENT, HEAD + 2 * SEGMENT
    return data[:one] + data[two:three] + data[one:two] + data[three:]


def doubled(data: bytes) -> bytes:
    return data[: HEAD + SEGMENT] + data[HEAD:]


def beheaded(data: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("change", [cut, shortened, lengthened, reordered, doubled, beheaded])
async def test_segments_are_where_they_were_sealed_and_all_there(
    store: Engine, tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    content = await store.put(DEFAULT_DOMAIN, os.urandom(SIZE))
    (path,) = loose_files(tmp_path)
    path.write_bytes(change(path.read_bytes()))
    assert await refused(store, content) == b""
    assert (await store.verify(DEFAULT_DOMAIN, content.blake3)).fault is not None


async def test_no_segment_and_no_file_passes_for_anothers(store: Engine, tmp_path: Path) -> None:
    one, two = [await store.put(DEFAULT_DOMAIN, os.urandom(SIZE)) for _ in range(2)]
    first, second = (
        next(path for path in loose_files(tmp_path) if path.name.startswith(content.blake3.hex))
        for content in (one, two)
    )
    whole, other = first.read_bytes(), second.read_bytes()
    at = HEAD + SEGMENT
    first.write_bytes(whole[:at] + other[at : at + SEGMENT] + whole[at + SEGMENT :])
    assert len(await refused(store, one)) <= CONTENT
    first.write_bytes(other)
    assert await refused(store, one) == b""
    first.write_bytes(whole)
    await store.size(DEFAULT_DOMAIN, one.blake3)


async def test_domains_cannot_exchange_files(store: Engine, tmp_path: Path) -> None:
    data = os.urandom(SIZE)
    content = await store.put(DEFAULT_DOMAIN, data)
    await store.put(DomainId("other"), data)
    here, there = loose_files(tmp_path)
    assert here.read_bytes() != there.read_bytes()
    shutil.copy(there, here)
    with pytest.raises(StoreError) as caught:
        await read_all(store, content)
    assert "key file" in caught.value.message


async def test_a_push_heals_what_was_cut(store: Engine, tmp_path: Path) -> None:
    data = os.urandom(SIZE)
    content = await store.put(DEFAULT_DOMAIN, data)
    (path,) = loose_files(tmp_path)
    os.truncate(path, 1000)
    await refused(store, content)
    await store.put(DEFAULT_DOMAIN, data)
    assert await read_all(store, content) == data


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from([0, 1, 100, CONTENT - 1, CONTENT, CONTENT + 1, 3 * CONTENT]), min_size=1, max_size=6
    )
)
async def test_an_upload_in_any_steps_is_its_bytes(store: Engine, steps: list[int]) -> None:
    data = os.urandom(sum(steps))
    stage, at = new_stage(), 0
    for step in steps:
        at = await store.append(stage, at, body(data[at : at + step]))
    assert (await store.staged(stage)).offset == len(data)
    assert await store.commit(stage, None) == content_of(data)
    assert await read_all(store, content_of(data)) == data
    await store.remove(DEFAULT_DOMAIN, content_of(data).blake3)


async def test_sealing_the_same_bytes_twice_shows_nothing(store: Engine, tmp_path: Path) -> None:
    """The tail of an upload is sealed again at every append: never twice with one initialisation vector."""
    stage, seen = new_stage(), set()
    for at in range(20):
        await store.append(stage, at, body(b"x"))
        (path,) = [path for path in (tmp_path / "staging").rglob("*") if path.is_file()]
        seen.add(path.read_bytes()[HEAD + 4 : HEAD + 16])
    assert len(seen) == 20


@pytest.mark.parametrize("torn", [1, 50, OVERHEAD, 5000, SEGMENT])
async def test_a_write_cut_short_by_a_kill_leaves_full_segments(
    store: Engine, tmp_path: Path, torn: int
) -> None:
    data = os.urandom(5 * CONTENT)
    stage = new_stage()
    await store.append(stage, 0, body(data[: CONTENT + 5000]))
    (path,) = [path for path in (tmp_path / "staging").rglob("*") if path.is_file()]
    before = path.read_bytes()
    await store.append(stage, CONTENT + 5000, body(data[CONTENT + 5000 : 3 * CONTENT + 9]))
    after = path.read_bytes()
    begin = HEAD + SEGMENT
    path.write_bytes((after[: begin + torn] + before[begin + torn :])[: max(len(before), begin + torn)])
    offset = (await store.staged(stage)).offset
    assert offset == CONTENT + (CONTENT if torn == SEGMENT else 0)
    await store.append(stage, offset, body(data[offset:]))
    assert await store.commit(stage, None) == content_of(data)
    assert await read_all(store, content_of(data)) == data


async def test_a_failed_write_leaves_the_upload_as_it_was(
    store: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(3 * CONTENT)
    stage = new_stage()
    await store.append(stage, 0, body(data[: CONTENT + 100]))
    real, calls = os.pwritev, 0

    def full(fd: int, buffers: list[bytes], offset: int) -> int:
        nonlocal calls
        calls += 1
        if calls == 1:
            return real(fd, [b"".join(buffers)[:3000]], offset)
        if calls == 2:
            raise OSError(errno.ENOSPC, "injected")
        return real(fd, buffers, offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwritev", full)
        with pytest.raises(StoreError) as refused:
            await store.append(stage, CONTENT + 100, body(data[CONTENT + 100 :]))
    assert refused.value.kind is ErrorKind.STORAGE_FULL
    assert (await store.staged(stage)).offset == CONTENT + 100
    await store.append(stage, CONTENT + 100, body(data[CONTENT + 100 :]))
    assert await store.commit(stage, None) == content_of(data)


async def test_after_power_loss_only_synced_segments_are_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "MARK_AT", CONTENT)
    data = os.urandom(5 * CONTENT)
    key = StageKey(DEFAULT_DOMAIN, NEW)
    workers = Workers(2)
    driver = open_packed(tmp_path, workers, LOOSE, sealing(tmp_path), boot="one")
    hold = await driver.hold(key, 0, [data[: 2 * CONTENT + 500]])
    await hold.settle()
    await hold.release()
    monkeypatch.setattr(staging, "MARK_AT", 100 * CONTENT)
    hold = await driver.hold(key, 2 * CONTENT + 500, [data[2 * CONTENT + 500 : 4 * CONTENT + 7]])
    await hold.settle()
    await hold.release()
    driver.close()
    (path,) = [path for path in (tmp_path / "staging").rglob("*") if path.is_file()]
    size = path.stat().st_size
    os.truncate(path, HEAD + 2 * SEGMENT)
    os.truncate(path, size)
    driver = open_packed(tmp_path, workers, LOOSE, sealing(tmp_path), boot="two")
    assert (await driver.stage(key)).length == 2 * CONTENT
    hold = await driver.hold(key, 2 * CONTENT, [data[2 * CONTENT :]])
    assert await hold.read(CONTENT, 4 * CONTENT) == data[CONTENT:]
    await hold.drop()
    await hold.release()
    driver.close()
    workers.close()


async def test_uploads_begun_in_plaintext_are_dropped_when_their_domain_is_sealed(tmp_path: Path) -> None:
    stage = new_stage()
    plain = open_local(tmp_path, settings=LOOSE)
    kept = await plain.put(DEFAULT_DOMAIN, b"from before")
    await plain.append(stage, 0, body(b"begun"))
    await plain.close()
    store = open_local(tmp_path, settings=LOOSE, keys=sealing(tmp_path))
    assert [path for path in (tmp_path / "staging").rglob("*") if path.is_file()] == []
    assert (await store.staged(stage)).offset == 0
    assert await read_all(store, kept) == b"from before"
    assert await store.put(DEFAULT_DOMAIN, b"from before") == kept
    assert {address async for _, address, _ in store.contents()} == {kept.blake3}
    assert len(loose_files(tmp_path)) == 2
    assert await store.open_file(DEFAULT_DOMAIN, kept.blake3) is None
    await store.remove(DEFAULT_DOMAIN, kept.blake3)
    assert loose_files(tmp_path) == []
    await store.close()
