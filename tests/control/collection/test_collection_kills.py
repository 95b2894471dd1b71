"""A collection that is killed at any moment leaves nothing that the next one does not settle."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from registry.control.fsck import fsck
from tests.control.collection.killed import CONTENTS, content
from tests.control.collection.world import LATER, open_world
from tests.documents import manifest

ROOT = Path(__file__).resolve().parents[3]
CYCLES = 6


def run_and_kill(folder: Path, cycle: int, after: float) -> set[int]:
    """Numbers of the contents whose manifest was acknowledged before the kill."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.control.collection.killed", str(folder), str(cycle)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.split())
        if line == "collecting\n":
            time.sleep(after)
            process.kill()
            break
    assert process.wait(20) == -9
    process.stdout.close()
    return {int(words[1]) for words in lines if words[0] == "kept"}


async def test_kills_at_random_moments(tmp_path: Path) -> None:
    chance = random.Random(11)
    kept = {}
    for cycle in range(CYCLES):
        kept[cycle] = run_and_kill(tmp_path, cycle, chance.random() * 0.4)
        assert len(kept[cycle]) == CONTENTS // 2
    async with open_world(tmp_path, tmp_path / "ledger.sqlite") as world:
        world.clock.ahead = (CYCLES + 1) * 2 * LATER
        for cycle, numbers in kept.items():
            for number in numbers:
                assert await world.read(content(cycle, number)) == content(cycle, number)
                assert await world.has_manifest(manifest(content(cycle, number)))
        assert (await fsck(world.store.core)).faults == []
        for _ in range(3):
            await world.collect(LATER)
        # Nothing is left but what manifests hold, each of them under its own bytes: config and manifests.
        assert len(await world.bytes_held()) == 1 + 2 * CYCLES * CONTENTS // 2
        checked = await fsck(world.store.core)
        assert (checked.faults, checked.unnamed) == ([], 0)
        await world.rebuilds_to_the_same()
