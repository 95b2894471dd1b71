"""Sealed records: a flipped bit is corruption, and none passes for another, however well it is forged."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN, Codec, Content, Packing
from registry.contract.digest import blake3_of
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.engine import Engine
from registry.dataplane.packs.layout import HEAD
from registry.dataplane.packs.records import HEADER, Kind, Record, encode_header, parse_header
from tests.dataplane.packed import SMALL, flip, pack_files
from tests.dataplane.sealed import SEAL, sealing
from tests.dataplane.support import open_engine, read_all


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Engine]:
    engine = open_engine("sealed", tmp_path, SMALL)
    yield engine
    await engine.close()


async def fill(store: Engine) -> dict[Content, bytes]:
    """Two objects in chunks, in one pack with their recipes, and two tiny ones in the log."""
    contents = {}
    for size in (50_000, 50_000, 900, 900):
        data = os.urandom(size)
        contents[await store.put(DEFAULT_DOMAIN, data)] = data
    async for _ in store.pack(Packing(codec=Codec.NONE)):
        pass
    return contents


def records(path: Path) -> list[tuple[int, Record]]:
    """Records of a pack and where their headers are."""
    data, pack, found, at = path.read_bytes(), bytes.fromhex(path.stem), [], HEAD
    while (record := parse_header(pack, data[at:])) is not None:
        found.append((at, record))
        at += HEADER + record.stored
    return found


async def faults(store: Engine, contents: dict[Content, bytes]) -> int:
    """How many objects are told to be corrupt; every other reads as it was stored."""
    count = 0
    for content, data in contents.items():
        if (await store.verify(DEFAULT_DOMAIN, content.blake3)).fault is None:
            assert await read_all(store, content) == data
            continue
        count += 1
        with pytest.raises(StoreError) as refused:
            await read_all(store, content)
        assert refused.value.kind is ErrorKind.CONTENT_UNKNOWN
    return count


async def test_everything_with_content_is_sealed_and_a_flipped_bit_is_corruption(
    store: Engine, tmp_path: Path
) -> None:
    contents = await fill(store)
    chosen = random.Random(5)
    for path in pack_files(tmp_path):
        for at, record in records(path):
            assert record.seal == 1
            inside = at + HEADER
            positions = (inside, inside + 15, inside + 16, chosen.randrange(record.stored) + inside)
            for position in positions:
                flip(path, position)
                assert await faults(store, contents) == 1
                flip(path, position)
    assert await faults(store, contents) == 0


async def test_a_payload_put_under_another_header_is_refused(store: Engine, tmp_path: Path) -> None:
    """Checksums can be made anew by whoever has the disk; what is sealed says itself which record it is."""
    data = os.urandom(50_000)
    twins = (data, data[:-1] + b"?", os.urandom(900), os.urandom(900))
    contents = {await store.put(DEFAULT_DOMAIN, twin): twin for twin in twins}
    async for _ in store.pack(Packing(codec=Codec.NONE)):
        pass
    tried = set()
    for path in pack_files(tmp_path):
        whole, pack = path.read_bytes(), bytes.fromhex(path.stem)
        for to, one in records(path):
            for at, two in records(path):
                if to == at or (one.kind, one.stored) != (two.kind, two.stored):
                    continue
                payload = whole[at + HEADER :][: two.stored]
                forged = encode_header(pack, one._replace(check=blake3_of(payload))) + payload
                path.write_bytes(whole[:to] + forged + whole[to + len(forged) :])
                assert await faults(store, contents) == 1
                path.write_bytes(whole)
                tried.add(one.kind)
    assert tried == {Kind.BLOB, Kind.CHUNK, Kind.RECIPE}
    assert await faults(store, contents) == 0


async def test_equal_content_of_two_puts_gives_no_equal_bytes(store: Engine, tmp_path: Path) -> None:
    data = os.urandom(900)
    content = await store.put(DEFAULT_DOMAIN, data)
    await store.remove(DEFAULT_DOMAIN, content.blake3)
    await store.put(DEFAULT_DOMAIN, data)
    (path,) = pack_files(tmp_path)
    first, second = (
        path.read_bytes()[at + HEADER :][: record.stored]
        for at, record in records(path)
        if record.kind is Kind.BLOB
    )
    assert len(first) == len(second) == len(data) + SEAL
    assert first[:16] == second[:16] == bytes.fromhex(next(sealing(tmp_path).states()).id)
    assert first[16:40] != second[16:40]
    assert first[40:] != second[40:]
