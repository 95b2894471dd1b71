"""The bytes on disk: golden vectors, so that no change of code or library changes them unnoticed.

The reader here is written from FORMAT.md and shares no code with the data plane.
"""

from __future__ import annotations

import random
import struct
import zlib
from pathlib import Path

import pytest
import zstandard
from blake3 import blake3
from pyfastcdc.py.constants import GEAR as TABLE

from registry.contract.dataplane import DEFAULT_DOMAIN, Packing
from registry.dataplane import DataPlaneSettings
from registry.dataplane.packs.chunking import GEAR, Chunking
from registry.dataplane.packs.layout import Chunker, Head, Role, encode_head, parse_head
from registry.dataplane.packs.records import Kind, Record, encode_header, parse_header
from tests.dataplane.packed import open_small, pack_files
from tests.dataplane.sealed import KEK
from tests.dataplane.sealing.reader import Keys
from tests.dataplane.support import body, content_of, new_stage

SHAPES = ("random", "text", "zeros")


def sample(shape: str, size: int) -> bytes:
    if shape == "zeros":
        return bytes(size)
    chosen = random.Random(2020)
    if shape == "random":
        return chosen.randbytes(size)
    words = [chosen.randbytes(4).hex().encode() for _ in range(500)]
    return b" ".join(chosen.choices(words, k=size // 9 + 1))[:size]


#: First cuts of 1 MiB, with the default settings.
GOLDEN = {
    "random": [
        65797, 135509, 215994, 282030, 353365, 441083, 513251, 617633, 700820, 734999, 769437,
        860027, 935483, 1022064, 1048576,
    ],
    "text": [
        67119, 133107, 201212, 256734, 339005, 406687, 473567, 630054, 714358, 786492, 873119,
        953736, 1018506, 1048576,
    ],
    "zeros": [
        262144, 524288, 786432, 1048576,
    ],
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("piece", [1 << 20, 100_000, 1 << 22])
def test_the_cut_points_are_those_of_every_version(shape: str, piece: int) -> None:
    data = sample(shape, 1 << 20)
    at = 0

    def read(length: int) -> bytes:
        nonlocal at
        part = data[at : at + min(piece, length)]
        at += len(part)
        return part

    cuts, end = [], 0
    for chunk in Chunking(DataPlaneSettings()).cut(read):
        end += len(chunk)
        cuts.append(end)
    assert cuts == GOLDEN[shape]


def test_the_gear_table_is_the_one_named_in_packs() -> None:
    assert blake3(struct.pack("<256Q", *TABLE)).digest()[:8] == GEAR


def test_a_head_is_laid_out_as_written() -> None:
    chunker = Chunker(1, 16384, 65536, 262144, 2, bytes(range(8)))
    head = Head(bytes(range(16)), DEFAULT_DOMAIN, Role.JOB, 1_700_000_000_000_000, chunker)
    data = encode_head(head)
    assert len(data) == 132
    assert parse_head(data) == head
    assert data[:-4] == (
        b"artpack\n" + struct.pack("<HBBIIIB7x", 1, 2, 1, 16384, 65536, 262144, 2)
        + bytes(range(8)) + bytes(range(16)) + struct.pack("<Q", 1_700_000_000_000_000)
        + b"default".ljust(64, b"\0")
    )  # fmt: skip
    assert struct.unpack("<I", data[-4:])[0] == zlib.crc32(data[:-4])


def test_a_record_header_is_laid_out_as_written_and_bound_to_its_pack() -> None:
    record = Record(Kind.CHUNK, 1, 0, 5, 9, b"d" * 32, b"c" * 32)
    data = encode_header(b"p" * 16, record)
    assert len(data) == 88
    assert data[:-4] == b"\xf5rec\x02\x01\x00\x00" + struct.pack("<IQ", 5, 9) + b"d" * 32 + b"c" * 32
    assert struct.unpack("<I", data[-4:])[0] == zlib.crc32(data[:-4], zlib.crc32(b"p" * 16))
    assert parse_header(b"p" * 16, data) == record
    assert parse_header(b"q" * 16, data) is None
    for position in range(88):
        wrong = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        assert parse_header(b"p" * 16, wrong) is None


def read_pack(path: Path, keys: Keys | None = None) -> dict[bytes, tuple[int, int, bytes]]:
    """By digest: kind, raw length, and content, read as FORMAT.md says."""
    data, salt = path.read_bytes(), zlib.crc32(bytes.fromhex(path.stem))
    assert data[-8:] == b"artpend\n"
    offset, count, check = struct.unpack("<QI32s", data[-56:-12])
    assert struct.unpack("<I", data[-12:-8])[0] == zlib.crc32(data[-56:-12], salt)
    assert blake3(data[offset:-56]).digest() == check
    found = {}
    for number in range(count):
        kind, codec, seal, at, stored, raw, digest = struct.unpack_from(
            "<BBBxIIQ32s", data, offset + 52 * number
        )
        header = struct.unpack_from("<4sBBBxIQ32s32sI", data, at)
        assert header[:7] == (b"\xf5rec", kind, codec, seal, stored, raw, digest)
        payload = data[at + 88 : at + 88 + stored]
        assert blake3(payload).digest() == header[7]
        assert seal == (keys is not None)
        if keys is not None:
            payload = keys.record(kind, digest, payload)
        found[digest] = kind, raw, zstandard.decompress(payload) if codec else payload
    return found


async def test_a_reader_written_from_the_page_reads_everything(tmp_path: Path, form: str) -> None:
    blobs = [sample("text", 200_000), sample("random", 90_000), b"tiny", b""]
    store = open_small(tmp_path)
    for blob in blobs:
        await store.put(DEFAULT_DOMAIN, blob)
    async for _ in store.pack(Packing()):
        pass
    await store.close()
    records: dict[bytes, tuple[int, int, bytes]] = {}
    for path in pack_files(tmp_path):
        records |= read_pack(path, Keys(tmp_path, DEFAULT_DOMAIN, KEK) if form == "sealed" else None)
    for blob in blobs:
        kind, raw, data = records[bytes.fromhex(content_of(blob).blake3.hex)]
        assert raw == len(blob)
        if kind == 3:
            depth, count = struct.unpack_from("<BxxxI", data)
            assert (depth, len(data)) == (0, 8 + 40 * count)
            items = [struct.unpack_from("<32sQ", data, 8 + 40 * number) for number in range(count)]
            assert all(records[digest][1] == length for digest, length in items)
            data = b"".join(records[digest][2] for digest, _ in items)
        assert data == blob


async def test_the_same_reader_reads_sealed_files(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    store = open_small(tmp_path)
    blobs = [sample("random", size) for size in (2001, 65_536, 65_537, 200_000)]
    for blob in blobs:
        stage = new_stage()
        await store.append(stage, 0, body(blob[:70_000]))
        await store.append(stage, min(70_000, len(blob)), body(blob[70_000:]))
        await store.commit(stage, None)
    await store.close()
    keys = Keys(tmp_path, DEFAULT_DOMAIN, KEK)
    for blob in blobs:
        address = content_of(blob).blake3.hex
        path = tmp_path / "content" / DEFAULT_DOMAIN / address[:2] / f"{address}.sealed"
        assert keys.file(path.read_bytes(), bytes.fromhex(address)) == blob
