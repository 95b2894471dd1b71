"""One bit flipped in everything that a store writes: fsck names it and nothing else, no read is wrong.

Then a push heals what was content, a rewrite what was structure of packs, and `rebuild` what was a view.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN, Packing, Stage
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.control.fsck_repair import repair
from registry.control.rebuild import rebuild
from registry.dataplane.packs import packing
from registry.dataplane.packs.layout import TRAILER, Entry
from registry.dataplane.packs.records import HEADER, Kind
from registry.dataplane.packs.scanning import footer_entries
from tests.control.world import World, blake3, image, open_world
from tests.dataplane.packed import SMALL, flip, loose_files, pack_files
from tests.dataplane.packed import rebuild as rebuild_index
from tests.dataplane.support import body, content_of, open_engine

STAGED = Stage(DEFAULT_DOMAIN, "01234567-89ab-cdef-0123-456789abcdef")
SETTINGS = replace(SMALL, verify_reads=True)


@dataclass(frozen=True)
class Kept:
    """A store on disk, closed, and what it holds."""

    root: Path
    contents: tuple[bytes, ...]
    """Layers of the one image, the last of them loose."""
    manifest: bytes
    staged: bytes

    @property
    def ledger(self) -> Path:
        return self.root.parent / "ledger.sqlite"


@asynccontextmanager
async def opened(root: Path, kind: str = "local") -> AsyncIterator[World]:
    dataplane = open_engine(kind, root, SETTINGS)
    try:
        async with open_world(root.parent / "ledger.sqlite", dataplane) as world:
            yield world
    finally:
        await dataplane.close()


@pytest.fixture(params=["local", "sealed"])
async def kept(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    """Tiny, loose and packed blobs, with lists of chunks; tombstones; an upload that is not complete."""
    monkeypatch.setattr(packing, "LONGEST", 4)
    chance = random.Random(5)
    packed, loose = chance.randbytes(150_000), chance.randbytes(30_000)
    tiny, gone, staged = chance.randbytes(1500), chance.randbytes(900), chance.randbytes(40_000)
    root = tmp_path / "data"
    async with opened(root, request.param) as world:
        await world.push_blob(packed)
        async for _ in world.dataplane.pack(Packing()):
            pass
        await world.dataplane.put(DEFAULT_DOMAIN, gone)
        await world.dataplane.remove(DEFAULT_DOMAIN, blake3(gone))
        await world.push_image("v1", [tiny, packed, loose])
        await world.dataplane.append(STAGED, 0, body(staged))
    return Kept(root, (tiny, packed, loose), image([tiny, packed, loose]), staged)


async def faults(root: Path) -> list[tuple[str, str]]:
    async with opened(root) as world:
        return [(fault.kind, fault.message) for fault in (await world.fsck()).faults]


async def read_everything(world: World, kept: Kept) -> set[bytes]:
    """What reads as it should; the rest is refused as absent, before its first byte."""
    right = set()
    for data in (*kept.contents, kept.manifest, b"{}"):
        pieces = []
        try:
            async for piece in world.dataplane.read(DEFAULT_DOMAIN, blake3(data)):
                pieces.append(piece)
        except StoreError as error:
            assert error.kind is ErrorKind.CONTENT_UNKNOWN, error
            assert data.startswith(b"".join(pieces)), "wrong bytes before the error"
            continue
        assert b"".join(pieces) == data, "wrong bytes"
        right.add(data)
    return right


def records(root: Path, kind: Kind) -> list[tuple[Path, Entry]]:
    """Every record of that kind, by footer."""
    found = []
    for path in pack_files(root):
        with path.open("rb") as file:
            entries = footer_entries(bytes.fromhex(path.stem), file.fileno()) or []
        found += [(path, entry) for entry in entries if entry.kind is kind]
    return found


def flip_loose(kept: Kept) -> Path:
    (path,) = loose_files(kept.root)
    flip(path, path.stat().st_size // 2)
    return path


def flip_record(kept: Kept, kind: Kind, part: str, digest: Digest | None = None) -> Path:
    path, entry = next(
        found
        for found in records(kept.root, kind)
        if digest is None or found[1].digest == bytes.fromhex(digest.hex)
    )
    flip(path, entry.offset + (20 if part == "header" else HEADER + entry.stored // 2))
    return path


CONTENT: dict[str, Callable[[Kept], Path]] = {
    "loose blob": flip_loose,
    "tiny blob, header": lambda kept: flip_record(kept, Kind.BLOB, "header", blake3(kept.contents[0])),
    "tiny blob, payload": lambda kept: flip_record(kept, Kind.BLOB, "payload", blake3(kept.contents[0])),
    "manifest, header": lambda kept: flip_record(kept, Kind.BLOB, "header", blake3(kept.manifest)),
    "manifest, payload": lambda kept: flip_record(kept, Kind.BLOB, "payload", blake3(kept.manifest)),
    "chunk, header": lambda kept: flip_record(kept, Kind.CHUNK, "header"),
    "chunk, payload": lambda kept: flip_record(kept, Kind.CHUNK, "payload"),
    "recipe, header": lambda kept: flip_record(kept, Kind.RECIPE, "header"),
    "recipe, payload": lambda kept: flip_record(kept, Kind.RECIPE, "payload"),
    "list, header": lambda kept: flip_record(kept, Kind.LIST, "header"),
    "list, payload": lambda kept: flip_record(kept, Kind.LIST, "payload"),
}


async def test_nothing_is_named_where_nothing_is_wrong(kept: Kept) -> None:
    assert await faults(kept.root) == []
    async with opened(kept.root) as world:
        assert len(await read_everything(world, kept)) == 5
    for kind in Kind:
        assert records(kept.root, kind), f"there is no {kind.name} to be flipped"


@pytest.mark.parametrize("what", CONTENT)
async def test_content(kept: Kept, what: str) -> None:
    """Named by its address; never read; set aside by a repair, healed by a push, and then all is well."""
    before = {*kept.contents, kept.manifest, b"{}"}
    CONTENT[what](kept)
    async with opened(kept.root) as world:
        (damaged,) = before - await read_everything(world, kept)
        checked = await world.fsck()
        named = [fault.message for fault in checked.faults if fault.kind == "content"]
        assert [str(blake3(damaged)) in message for message in named] == [True]
        # What follows from it for the views is told as well; of other content and of packs, nothing.
        assert {fault.kind for fault in checked.faults} <= {"content", "ledger", "views"}
        await repair(world.store.core, checked)
        if damaged == kept.manifest:
            await world.push_manifest("v1", damaged)
        else:
            await world.push_blob(damaged)
        assert await read_everything(world, kept) == before
        assert (await world.fsck()).faults == []
    rebuild_index(kept.root)
    assert await faults(kept.root) == []


@pytest.mark.parametrize("what", ["head", "trailer", "footer", "tombstones, header", "tombstones, payload"])
async def test_structure_of_packs(kept: Kept, what: str) -> None:
    """Named by its pack; everything reads as before; a rewrite replaces it."""
    if what.startswith("tombstones"):
        path = flip_record(kept, Kind.TOMBSTONES, what.partition(", ")[2])
    else:
        path = pack_files(kept.root)[0]
        size = path.stat().st_size
        flip(path, {"head": 45, "trailer": size - 20, "footer": size - TRAILER - 10}[what])
    async with opened(kept.root) as world:
        found = (await world.fsck()).faults
        assert [(fault.kind, path.stem in fault.message) for fault in found] == [("storage", True)]
        assert len(await read_everything(world, kept)) == 5
        async for _ in world.dataplane.rewrite(0.0, 0):
            pass
        assert (await world.fsck()).faults == []
        assert len(await read_everything(world, kept)) == 5


async def test_a_stage(kept: Kept) -> None:
    """Its bytes never become content under the digest of what was sent."""
    (path,) = (path for path in (kept.root / "staging").rglob("*") if path.is_file())
    flip(path, path.stat().st_size // 2)
    async with opened(kept.root) as world:
        assert (await world.fsck()).faults == []  # no content yet
        with pytest.raises(StoreError) as refused:
            await world.dataplane.commit(STAGED, content_of(kept.staged).sha256)
        assert refused.value.kind in (ErrorKind.DIGEST_MISMATCH, ErrorKind.CONTENT_UNKNOWN)
        await world.dataplane.discard(STAGED)
        await world.push_blob(kept.staged)
        assert (await world.fsck()).faults == []


async def test_an_event_of_the_ledger(kept: Kept) -> None:
    with closing(sqlite3.connect(kept.ledger)) as connection, connection:
        (envelope,) = connection.execute("SELECT envelope FROM events WHERE seq = 3").fetchone()
        spoilt = bytes([*envelope[:-1], envelope[-1] ^ 4])
        connection.execute("UPDATE events SET envelope = ? WHERE seq = 3", (spoilt,))
    found = await faults(kept.root)
    assert any(kind == "ledger" for kind, _ in found)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE blobs SET size = size + 8 WHERE size = 1500", "UPDATE tags SET name = 'w1'"],
)
async def test_a_row_of_a_view(kept: Kept, statement: str) -> None:
    with closing(sqlite3.connect(kept.ledger)) as connection, connection:
        assert connection.execute(statement).rowcount > 0
    found = await faults(kept.root)
    assert "views" in {kind for kind, _ in found}
    dataplane = open_engine("local", kept.root, SETTINGS)
    await rebuild(kept.ledger, dataplane)
    await dataplane.close()
    assert await faults(kept.root) == []


async def test_the_content_index(kept: Kept, tmp_path: Path) -> None:
    """A bit anywhere: what is read is right or refused, what is refused is named, and it can be made anew."""
    whole = (kept.root / "index" / "content.sqlite").read_bytes()
    chance = random.Random(3)
    rows = [bytes.fromhex(blake3(data).hex) for data in (*kept.contents[:2], kept.manifest)]
    positions = [whole.index(row) + 7 for row in rows] + [chance.randrange(len(whole)) for _ in range(9)]
    named = 0
    for turn, position in enumerate(positions):
        copy = Path(shutil.copytree(kept.root.parent, tmp_path.parent / f"{tmp_path.name}-{turn}")) / "data"
        flip(copy / "index" / "content.sqlite", position)
        try:
            async with opened(copy) as world:
                right = await read_everything(world, kept)
                found = (await world.fsck()).faults
                assert found or len(right) == 5
                named += bool(found)
        except StoreError as error:
            assert error.kind is ErrorKind.INTERNAL
            assert "index" in error.message
            named += 1
        shutil.rmtree(copy / "index")
        async with opened(copy) as world:
            assert len(await read_everything(world, kept)) == 5
            assert (await world.fsck()).faults == []
        shutil.rmtree(copy.parent)
    assert named >= len(rows)
