"""Several processes on one SQLite file, and processes that die."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

from registry.contract.names import Repository, Tag
from registry.dataplane import open_local
from tests.control.world import open_world
from tests.control.writers import start


async def expect_all(folder: Path, said: dict[str, dict[str, str]]) -> None:
    """Everything acknowledged is there, and the store is sound."""
    dataplane = open_local(folder)
    async with open_world(folder / "ledger.sqlite", dataplane) as world:
        for repository, tags in said.items():
            for tag, digest in tags.items():
                stored = await world.session.manifests.get(Repository(repository), Tag(tag))
                assert str(stored.digest) == digest
        await world.check()
    await dataplane.close()


async def test_two_processes_write_at_once(tmp_path: Path) -> None:
    writers = {name: start("push", tmp_path, name, 100) for name in ("one", "two")}
    said = {name: writer.acknowledged() for name, writer in writers.items()}
    assert [writer.process.exitcode for writer in writers.values()] == [0, 0]
    assert [len(tags) for tags in said.values()] == [100, 100]
    await expect_all(tmp_path, said)


async def test_a_tag_moved_in_one_process_is_read_in_another_at_once(tmp_path: Path) -> None:
    mover = start("move", tmp_path, "demo", 2000)
    dataplane = open_local(tmp_path)
    moves = 0
    async with open_world(tmp_path / "ledger.sqlite", dataplane) as world:
        while moves < 2000:
            _, digest = mover.pipe.recv()
            stored = await world.session.manifests.get(Repository("demo"), Tag("moving"))
            assert str(stored.digest) == digest
            moves += 1
            mover.pipe.send("seen")
    await dataplane.close()
    mover.process.join(30)
    assert mover.process.exitcode == 0


async def test_what_was_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    chance = random.Random(11)
    said: dict[str, dict[str, str]] = {}
    for cycle in range(10):
        name = f"cycle{cycle}"
        writer = start("push", tmp_path, name, 2_000)
        tag, digest = writer.pipe.recv()
        time.sleep(chance.uniform(0, 0.2))
        writer.process.kill()
        said[name] = writer.acknowledged() | {tag: digest}
        assert writer.process.exitcode == -signal.SIGKILL
    await expect_all(tmp_path, said)


async def test_processes_that_start_together_make_one_schema(tmp_path: Path) -> None:
    writers = {name: start("push", tmp_path, name, 3) for name in ("one", "two", "three")}
    said = {name: writer.acknowledged() for name, writer in writers.items()}
    assert [len(tags) for tags in said.values()] == [3, 3, 3]
    await expect_all(tmp_path, said)
