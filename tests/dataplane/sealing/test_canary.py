"""Nothing that a sealed domain is given lies anywhere on the disk in plaintext, whatever becomes of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN, Codec, Content, DataPlane, Packing
from registry.dataplane import open_local, rebuild_index
from tests.dataplane.packed import SMALL, flip, loose_files, pack_files
from tests.dataplane.sealed import sealing, traces
from tests.dataplane.support import Dropped, body, dropped, new_stage, read_all


def laced(size: int, canary: bytes) -> bytes:
    """Bytes with the canary in each few hundred, at changing offsets."""
    parts = []
    while size > 0:
        part = (canary + os.urandom(os.urandom(1)[0]))[:size]
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


@pytest.fixture
def canary() -> bytes:
    return b"canary" + os.urandom(18)


@pytest.mark.parametrize("form", [bytes, lambda data: data.hex().encode()])
def test_the_look_finds_what_is_there(tmp_path: Path, canary: bytes, form: type[bytes]) -> None:
    (tmp_path / "file").write_bytes(os.urandom(10) + form(canary) + b"x")
    assert traces(tmp_path, canary) == [tmp_path / "file"]


async def test_a_plain_store_would_show_it(tmp_path: Path, canary: bytes) -> None:
    store = open_local(tmp_path, settings=SMALL)
    await store.put(DEFAULT_DOMAIN, canary)
    await store.append(new_stage(), 0, body(canary))
    assert len(traces(tmp_path, canary)) == 2
    await store.close()


async def uploads(store: DataPlane, canary: bytes) -> tuple[dict[Content, bytes], bytes]:
    """Content in every way it comes in, and one upload that stays unfinished."""
    contents = {}
    for data in (canary, laced(1500, canary), laced(300_000, canary), laced(65_536, canary)):
        contents[await store.put(DEFAULT_DOMAIN, data)] = data
        stage, again = new_stage(), laced(len(data), canary)
        step, at = max(1, len(again) // 3), 0
        while at < len(again):
            at = await store.append(stage, at, body(again[at : at + step]))
        contents[await store.commit(stage, None)] = again
    unfinished = laced(200_000, canary)
    stage = new_stage()
    await store.append(stage, 0, body(unfinished[:70_000]))
    with pytest.raises(Dropped):
        await store.append(stage, 70_000, dropped([unfinished[70_000:150_000]]))
    assert (await store.staged(stage)).offset == 150_000
    return contents, unfinished


async def test_no_plaintext_anywhere_at_any_time(tmp_path: Path, canary: bytes) -> None:
    keys = sealing(tmp_path)
    store = open_local(tmp_path, settings=SMALL, keys=keys)
    contents, _ = await uploads(store, canary)
    assert len(loose_files(tmp_path)) == 4
    assert traces(tmp_path, canary) == []
    for codec in Codec:
        async for packed in store.pack(Packing(codec=codec)):
            assert packed.fault is None
        assert traces(tmp_path, canary) == []
        contents |= (await uploads(store, canary))[0]
    gone = list(contents)[::2]
    for content in gone:
        await store.remove(DEFAULT_DOMAIN, content.blake3)
        del contents[content]
    async for _ in store.rewrite(0.0, 0):
        pass
    assert traces(tmp_path, canary) == []
    for content, data in contents.items():
        assert await read_all(store, content) == data
    await store.close()
    assert traces(tmp_path, canary) == []
    rebuild_index(tmp_path, settings=SMALL, keys=keys)
    assert traces(tmp_path, canary) == []


async def test_what_is_quarantined_stays_sealed(tmp_path: Path, canary: bytes) -> None:
    store = open_local(tmp_path, settings=SMALL, keys=sealing(tmp_path))
    packed = await store.put(DEFAULT_DOMAIN, laced(100_000, canary))
    async for _ in store.pack(Packing()):
        pass
    loose = await store.put(DEFAULT_DOMAIN, laced(100_000, canary))
    flip(loose_files(tmp_path)[0], 50_000)
    flip(max(pack_files(tmp_path), key=lambda path: path.stat().st_size), 20_000)
    for content in (packed, loose):
        assert (await store.verify(DEFAULT_DOMAIN, content.blake3)).fault is not None
        await store.quarantine(DEFAULT_DOMAIN, content.blake3)
    await store.close()
    assert len([path for path in (tmp_path / "quarantine").rglob("*") if path.is_file()]) == 2
    assert traces(tmp_path, canary) == []
