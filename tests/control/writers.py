"""Processes that write to a store, for tests. Each says through a pipe what was acknowledged.

They are forked from a server that has imported everything, so that a start takes no longer than its work.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from registry.contract.names import Repository
from registry.control import open_store
from registry.dataplane import open_local
from tests.control.world import ALICE, FakeClock, World

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.control.writers"])


@dataclass
class Writer:
    """A running process and our end of its pipe."""

    process: ForkServerProcess
    pipe: Connection

    def acknowledged(self) -> dict[str, str]:
        """All that it has said, until it ends: digests by tag."""
        said: dict[str, str] = {}
        try:
            while True:
                tag, digest = self.pipe.recv()
                said[tag] = digest
        except (EOFError, ConnectionResetError):
            self.process.join(60)
            return said


def start(kind: str, folder: Path, name: str, count: int) -> Writer:
    """`push`: images with a tag each. `move`: one tag, a move for each message from us."""
    ours, theirs = _CONTEXT.Pipe()
    process = _CONTEXT.Process(target=_main, args=(kind, folder, name, count, theirs), daemon=True)
    process.start()
    theirs.close()
    return Writer(process, ours)


def _main(kind: str, folder: Path, name: str, count: int, pipe: Connection) -> None:
    asyncio.run(_run(kind, folder, name, count, pipe))


async def _run(kind: str, folder: Path, name: str, count: int, pipe: Connection) -> None:
    dataplane = open_local(folder)
    store = await open_store(dataplane, folder / "ledger.sqlite")
    world = World(store, dataplane, folder / "ledger.sqlite", FakeClock(), store.for_principal(ALICE))
    try:
        await (_push if kind == "push" else _move)(world, Repository(name), count, pipe)
    finally:
        await store.close()
        await dataplane.close()


async def _push(world: World, repository: Repository, count: int, pipe: Connection) -> None:
    """Eight at a time."""
    turns = asyncio.Semaphore(8)

    async def one(number: int) -> None:
        async with turns:
            digest = await world.push_image(f"t{number}", [f"{repository} {number}".encode()], repository)
            pipe.send((f"t{number}", str(digest)))

    await asyncio.gather(*(one(number) for number in range(count)))


async def _move(world: World, repository: Repository, count: int, pipe: Connection) -> None:
    digests = [await world.push_image(tag, [tag.encode()], repository) for tag in ("a", "b")]
    stored = [(await world.session.manifests.get(repository, digest)).data for digest in digests]
    for number in range(count):
        await world.push_manifest("moving", stored[number % 2], repository)
        pipe.send(("moving", str(digests[number % 2])))
        pipe.recv()
