"""Two processes on one store: one writer at a time, and digests that follow the bytes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.drivers.taking import Taking
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.engine import Engine
from registry.dataplane.paths import KEYS
from tests.dataplane.crashing import STAGE
from tests.dataplane.other_process import LARGE
from tests.dataplane.sealed import SEAL
from tests.dataplane.support import body, content_of, open_engine


class Other:
    """The other process."""

    def __init__(self, root: Path) -> None:
        command = [sys.executable, "-m", "tests.dataplane.other_process", str(root)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, *words: object) -> str:
        self.say(*words)
        return self.hear()

    def say(self, *words: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")

    def hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


@pytest.fixture(params=["local", "sealed"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    if request.param == "sealed":
        (tmp_path / "store" / KEYS).mkdir(parents=True)  # which tells the other process
    engine = open_engine(request.param, tmp_path / "store")
    yield engine
    await engine.close()


@pytest.fixture
def other(store: Engine, tmp_path: Path) -> Iterator[Other]:
    process = Other(tmp_path / "store")
    yield process
    process.end()


async def test_an_upload_may_wander_between_processes(store: Engine, other: Other) -> None:
    assert await store.append(STAGE, 0, body(b"one")) == 3
    assert other.ask("append", 3, "two") == "6"
    assert await store.append(STAGE, 6, body(b"three")) == 11
    assert other.ask("append", 0, "x") == "offset_mismatch"
    content = await store.commit(STAGE, None)
    assert content == content_of(b"onetwothree")
    assert (await store.staged(STAGE)).offset == 0


async def test_running_digests_are_not_believed_when_another_process_rewrote_the_stage(
    store: Engine, other: Other
) -> None:
    await store.append(STAGE, 0, body(b"mine"))
    assert other.ask("commit") == str(content_of(b"mine").sha256)
    assert other.ask("append", 0, "your") == "4"
    assert await store.commit(STAGE, None) == content_of(b"your")


async def test_one_writer_at_a_time_between_processes(store: Engine, other: Other) -> None:
    assert other.ask("hold") == "held"
    offset = (await store.staged(STAGE)).offset
    for work in (store.append(STAGE, offset, body(b"x")), store.commit(STAGE, None), store.discard(STAGE)):
        with pytest.raises(StoreError) as refused:
            await work
        assert refused.value.kind is ErrorKind.UPLOAD_BUSY
    assert other.ask("end") == str(LARGE)
    assert await store.commit(STAGE, None) == content_of(bytes(LARGE))


async def test_a_killed_process_lets_go(store: Engine, other: Other) -> None:
    assert other.ask("hold") == "held"
    other.kill()
    offset = (await store.staged(STAGE)).offset
    assert offset >= 1 << 20
    await store.append(STAGE, offset, body(b"and on"))
    assert await store.commit(STAGE, None) == content_of(bytes(offset) + b"and on")


async def test_a_process_that_was_stopped_deletes_nothing_when_another_has_the_permit(
    store: Engine, other: Other
) -> None:
    content = await store.put(DEFAULT_DOMAIN, b"precious")
    assert other.ask("admit", "old") == "admitted"
    other.stop()
    other.say("remove", content.blake3, "old")
    await store.admit("new")
    other.go_on()
    assert other.hear() == "conflict"
    assert await store.size(DEFAULT_DOMAIN, content.blake3) == 8
    assert other.ask("admit", "newer") == "admitted"
    with pytest.raises(StoreError) as refused:
        await store.remove(DEFAULT_DOMAIN, content.blake3, "new")
    assert refused.value.kind is ErrorKind.CONFLICT
    assert other.ask("remove", content.blake3, "newer") in ("8", str(8 + SEAL))


async def test_nobody_is_admitted_while_a_deletion_is_under_way(store: Engine, tmp_path: Path) -> None:
    await store.admit("old")
    tree = Tree(tmp_path / "store")
    under_way = Taking(tree)
    with under_way.by("old"):
        with pytest.raises(StoreError) as refused:
            await store.admit("new")
        assert refused.value.kind is ErrorKind.UNAVAILABLE
        content = await store.put(DEFAULT_DOMAIN, b"x")
        assert await store.remove(DEFAULT_DOMAIN, content.blake3, "old") in (1, 1 + SEAL)
    await store.admit("new")
    tree.close()
