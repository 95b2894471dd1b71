"""Everything that a data plane does to a disk, a little of each, and what was said meanwhile."""

from __future__ import annotations

import asyncio
import random
import uuid
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN, Packing, Stage
from registry.contract.digest import Algorithm, Digest
from registry.dataplane.drivers import staging
from registry.dataplane.engine import Engine
from registry.dataplane.paths import KEYS
from tests.dataplane.packed import flip, loose_files, open_small, pack_files
from tests.dataplane.power.disk import Sync, Write
from tests.dataplane.power.expected import Begun, Ended, Sent, Spoilt
from tests.dataplane.power.recording import Recorder
from tests.dataplane.support import body, content_of

#: Bytes after which a stage gets its durable mark in these stories.
MARK = 20_000


class Teller:
    """A store, and what is said as it is used."""

    def __init__(self, recorder: Recorder, store: Engine, chance: random.Random) -> None:
        self._recorder = recorder
        self.store = store
        self.chance = chance

    async def put(self, data: bytes) -> None:
        self._recorder.say(Begun(data, True))
        await self.store.put(DEFAULT_DOMAIN, data)
        self._recorder.say(Ended(data, True))

    async def remove(self, data: bytes) -> None:
        self._recorder.say(Begun(data, False))
        await self.store.remove(DEFAULT_DOMAIN, address(data))
        self._recorder.say(Ended(data, False))

    async def set_aside(self, data: bytes) -> None:
        await self.store.quarantine(DEFAULT_DOMAIN, address(data))
        self._recorder.say(Ended(data, False))

    async def upload(self, data: bytes, *sizes: int, commit: bool = True) -> None:
        """In appends of these sizes."""
        stage = Stage(DEFAULT_DOMAIN, str(uuid.UUID(int=self.chance.getrandbits(128), version=4)))
        sent = 0
        for size in sizes:
            self._recorder.say(Sent(stage.id, data[: sent + size]))
            await self.store.append(stage, sent, body(data[sent : sent + size]))
            sent += size
        if commit:
            self._recorder.say(Begun(data, True))
            await self.store.commit(stage, content_of(data).sha256)
            self._recorder.say(Ended(data, True))

    async def pack(self) -> None:
        async for _ in self.store.pack(Packing()):
            pass

    async def rewrite(self) -> None:
        async for _ in self.store.rewrite(0.0, 0):
            pass


def address(data: bytes) -> Digest:
    return Digest.of(data, Algorithm.BLAKE3)


async def everyday(recorder: Recorder, root: Path, chance: random.Random) -> None:
    """Puts, uploads, removals, packing, rewriting; a store closed and opened again."""
    noise = chance.randbytes
    tiny = [noise(chance.randrange(1, 1500)) for _ in range(12)]
    shared = noise(40_000)
    loose = [shared + noise(9000), noise(5000) + shared, bytes(30_000), noise(12_000)]
    for part in range(2):
        tell = Teller(recorder, open_small(root), chance)
        first = part * 6
        await asyncio.gather(*(tell.put(data) for data in tiny[first : first + 4]))
        await tell.put(loose[part])
        await tell.upload(loose[2 + part], 8000, len(loose[2 + part]) - 8000)
        await tell.upload(tiny[first + 4], len(tiny[first + 4]))
        await asyncio.gather(tell.put(tiny[first + 5]), tell.remove(tiny[first]))
        await tell.pack()
        await tell.remove(tiny[first + 1])
        await tell.remove(loose[part])
        await tell.rewrite()
        await tell.put(loose[part])
        await asyncio.gather(tell.put(tiny[first]), tell.pack())
        await tell.store.close()


async def uploads(recorder: Recorder, root: Path, chance: random.Random) -> None:
    """Large uploads in many appends, some never completed, one of content that is there already."""
    tell = Teller(recorder, open_small(root), chance)
    data = chance.randbytes(70_000)
    await tell.upload(chance.randbytes(60_000), 10_000, 25_000, 15_000, commit=False)
    await asyncio.gather(
        tell.upload(data, 30_000, 30_000, 10_000),
        tell.upload(chance.randbytes(50_000), 25_000, 25_000, commit=False),
    )
    await tell.upload(data, 50_000, 20_000)
    await tell.remove(data)
    await tell.upload(data, 70_000)
    await tell.store.close()


async def damage(recorder: Recorder, root: Path, chance: random.Random) -> None:
    """A loose blob and a chunk go bad, are set aside, and are healed by a push."""
    tell = Teller(recorder, open_small(root), chance)
    packed, loose, tiny = chance.randbytes(30_000), chance.randbytes(20_000), chance.randbytes(900)
    await tell.put(packed)
    await tell.pack()
    await tell.put(loose)
    await tell.put(tiny)
    await tell.store.close()
    for path, at, data in ((loose_files(root)[0], 500, loose), (_largest(root), 9000, packed)):
        _spoil(recorder, path, at, data)
    tell = Teller(recorder, open_small(root), chance)
    for data in (packed, loose):
        await tell.set_aside(data)
    for data in (packed, loose):
        await tell.put(data)
    await tell.pack()
    await tell.store.close()


def _largest(root: Path) -> Path:
    return max(pack_files(root), key=lambda path: path.stat().st_size)


def _spoil(recorder: Recorder, path: Path, at: int, data: bytes) -> None:
    node = recorder.node_at(path)
    flip(path, at)
    recorder.say(Spoilt(data))
    recorder.trace += [Write(node, at, path.read_bytes()[at : at + 1]), Sync(node)]


async def upgrade(recorder: Recorder, root: Path, chance: random.Random) -> None:
    """A store of format 1 becomes one of this format, and is used."""
    tell = Teller(recorder, open_small(root), chance)
    await tell.put(chance.randbytes(700))
    await tell.pack()
    await tell.store.close()


async def make_format_1(root: Path, chance: random.Random) -> list[bytes]:
    """A store as format 1 had it: loose blobs alone, and an upload under way. What it holds."""
    contents = [chance.randbytes(size) for size in (0, 10, 3000, 30_000)]
    for data in contents:
        name = address(data).hex
        folder = root / "content" / DEFAULT_DOMAIN / name[:2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (root / "quarantine").mkdir()
    (root / "staging").mkdir()
    (root / "FORMAT").write_text("artifact-store data plane, format 1\n")
    return contents


STORIES = {"everyday": everyday, "uploads": uploads, "damage": damage, "upgrade": upgrade}


async def record(name: str, root: Path, seed: int, *, sealed: bool = False) -> Recorder:
    """Run a story in the new folder `root`, on a store that seals what it is given or not."""
    chance = random.Random(f"{name} {seed}")
    root.mkdir()
    if sealed:
        (root / KEYS).mkdir()
    before = await make_format_1(root, chance) if name == "upgrade" else []
    recorder = Recorder(root)
    for data in before:
        recorder.say(Ended(data, True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging, "MARK_AT", MARK)
        with recorder.recording():
            await STORIES[name](recorder, root, chance)
    recorder.close()
    return recorder
