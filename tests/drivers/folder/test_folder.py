"""A folder that has to be fetched from: requests, robots, commands, and what a vault does to bytes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from registry.contract.dataplane import DomainId, RestoreStatus
from registry.contract.digest import blake3_of
from registry.dataplane import FolderSettings
from registry.dataplane.drivers.folder.driver import FolderDriver
from registry.dataplane.drivers.folder.vault import Vault
from registry.dataplane.drivers.guard import Guard
from registry.dataplane.drivers.plain import AllPlain
from registry.dataplane.drivers.port import Area, Away, Missing, ObjectKey, StageKey, Transient
from registry.dataplane.settings import ignore
from registry.dataplane.workers import Workers
from tests.dataplane.placed import answer_requests
from tests.drivers.leftovers import open_below, threads

DATA = os.urandom(300_000)
KEY = ObjectKey(Area.CONTENT, DomainId("default"), blake3_of(DATA).hex())
STAGE = StageKey(DomainId("default"), "01234567-89ab-cdef-0123-456789abcdef")
DAY = 86_400 * 1_000_000


class Folder:
    """One such folder, its driver under guard, and its clock (microseconds), which runs on as told."""

    def __init__(self, root: Path, *command: str) -> None:
        self.root = root
        root.mkdir(exist_ok=True)
        Vault(root).prepare()
        self.later = 0
        self.workers = Workers(4)
        settings = FolderSettings(root, restore_days=2, command=command)
        self.driver = FolderDriver(settings, self.workers, AllPlain(), self._now)
        self.guarded = Guard(self.driver, ignore, 8)

    def _now(self) -> int:
        return time.time_ns() // 1000 + self.later

    async def store(self) -> None:
        """What the engine does: a stage, and its commit."""
        hold = await self.guarded.hold(STAGE, 0, [DATA])
        try:
            await hold.commit(KEY)
        finally:
            await hold.release()

    def below(self, name: str) -> list[Path]:
        return [path for path in (self.root / name).rglob("*") if path.is_file()]

    async def content(self) -> bytes:
        opened = await self.guarded.open(KEY)
        try:
            return await opened.read(0, opened.size)
        finally:
            opened.close()

    async def status(self) -> RestoreStatus | None:
        return (await self.driver.standing(KEY)).status

    async def close(self) -> None:
        self.workers.close()
        self.guarded.close()
        await self.driver.aclose()


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Callable[..., Folder]]:
    made: list[Folder] = []

    def build(*command: str) -> Folder:
        made.append(Folder(tmp_path / "tape", *command))
        return made[-1]

    yield build
    for folder in made:
        await folder.close()
    assert open_below(tmp_path) == []
    assert threads() == []


async def eventually(folder: Folder, status: RestoreStatus | None) -> None:
    async with asyncio.timeout(30):
        while await folder.status() is not status:
            await asyncio.sleep(0.01)


async def test_what_is_stored_goes_to_the_vault_and_is_not_at_hand(make: Callable[..., Folder]) -> None:
    folder = make()
    await folder.store()
    assert await folder.guarded.size(KEY) == len(DATA)
    assert [path.read_bytes() for path in folder.below("vault/content")] == [DATA]
    assert folder.below("content") == folder.below("staging") == []
    assert await folder.status() is None
    with pytest.raises(Away):
        await folder.guarded.open(KEY)
    assert [found async for found in folder.guarded.objects(Area.CONTENT)] == [(KEY, len(DATA))]
    assert not await folder.guarded.put(KEY, DATA)


async def test_a_request_says_what_to_bring_where_until_it_is_there(make: Callable[..., Folder]) -> None:
    folder = make()
    await folder.store()
    assert await folder.driver.restore(KEY) is RestoreStatus.REQUESTED
    assert await folder.driver.restore(KEY) is RestoreStatus.REQUESTED
    (request,) = folder.below("requests")
    asked = json.loads(request.read_text())
    assert asked["address"] == f"blake3:{KEY.hex}"
    assert (folder.root / asked["from"]).read_bytes() == DATA
    request.rename(request.with_name(f"{request.name}.ongoing"))
    assert await folder.driver.restore(KEY) is RestoreStatus.ONGOING
    assert await folder.status() is RestoreStatus.ONGOING
    assert answer_requests(folder.root) == 1
    assert await folder.status() is RestoreStatus.AVAILABLE
    assert await folder.content() == DATA
    assert folder.below("requests") == []


async def test_fetched_bytes_stay_as_long_as_was_said_and_longer_when_asked_again(
    make: Callable[..., Folder],
) -> None:
    folder = make()
    await folder.store()
    await folder.driver.restore(KEY)
    answer_requests(folder.root)
    first = (await folder.driver.standing(KEY)).until
    assert first is not None
    assert abs(first - folder._now() - 2 * DAY) < 60_000_000
    await asyncio.sleep(0.01)
    assert await folder.driver.restore(KEY) is RestoreStatus.AVAILABLE
    renewed = (await folder.driver.standing(KEY)).until
    assert renewed is not None
    assert renewed > first
    folder.later = 2 * DAY + 1_000_000
    assert await folder.status() is None
    with pytest.raises(Away):
        await folder.guarded.open(KEY)
    assert await folder.driver.reap(0) == 1
    assert folder.below("content") == []
    assert await folder.driver.restore(KEY) is RestoreStatus.REQUESTED


async def test_a_command_fetches(make: Callable[..., Folder]) -> None:
    folder = make(sys.executable, "-c", "import shutil, sys; shutil.copyfile(*sys.argv[1:])")
    await folder.store()
    assert await folder.driver.restore(KEY) is RestoreStatus.REQUESTED
    await eventually(folder, RestoreStatus.AVAILABLE)
    assert await folder.content() == DATA
    assert folder.below("fetched") == folder.below("requests") == []


async def test_a_command_that_fails_drops_the_request_so_that_it_can_be_repeated(
    make: Callable[..., Folder], caplog: pytest.LogCaptureFixture
) -> None:
    folder = make(sys.executable, "-c", "import sys; sys.exit('no such tape')")
    await folder.store()
    assert await folder.driver.restore(KEY) is RestoreStatus.REQUESTED
    await eventually(folder, None)
    assert "no such tape" in caplog.text
    assert await folder.driver.restore(KEY) is RestoreStatus.REQUESTED
    await eventually(folder, None)


async def test_a_command_under_way_is_told_and_runs_once(make: Callable[..., Folder], tmp_path: Path) -> None:
    gate, runs = tmp_path / "gate", tmp_path / "runs"
    program = (
        "import pathlib, shutil, sys, time\n"
        f"with open({str(runs)!r}, 'a') as file: file.write('x')\n"
        f"while not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)\n"
        "shutil.copyfile(*sys.argv[1:])"
    )
    first, second = (make(sys.executable, "-c", program) for _ in range(2))
    await first.store()
    await first.driver.restore(KEY)
    await eventually(first, RestoreStatus.ONGOING)
    assert await second.driver.restore(KEY) is RestoreStatus.ONGOING
    assert await first.driver.restore(KEY) is RestoreStatus.ONGOING
    gate.touch()
    await eventually(second, RestoreStatus.AVAILABLE)
    assert await second.content() == DATA
    assert runs.read_text() == "x"


async def test_a_command_ends_with_the_store(make: Callable[..., Folder], tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    program = f"import os, time\nopen({str(pid)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)"
    folder = make(sys.executable, "-c", program)
    await folder.store()
    await folder.driver.restore(KEY)
    async with asyncio.timeout(30):
        while not pid.exists() or not pid.read_text():
            await asyncio.sleep(0.01)
    await folder.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


async def test_what_a_robot_took_away_is_asked_for_when_it_is_deleted(make: Callable[..., Folder]) -> None:
    folder = make()
    await folder.store()
    (file,) = folder.below("vault/content")
    file.unlink()
    assert await folder.guarded.size(KEY) == len(DATA)
    assert await folder.guarded.delete(KEY) == len(DATA)
    (deletion,) = folder.below("deletions")
    assert json.loads(deletion.read_text())["from"] == str(file.relative_to(folder.root))
    with pytest.raises(Missing):
        await folder.guarded.size(KEY)
    assert await folder.driver.reap(1 << 62) == 0  # it is for who has the tape
    await folder.store()
    assert folder.below("deletions") == []


async def test_fetched_bytes_that_are_wrong_go_and_can_be_fetched_again(make: Callable[..., Folder]) -> None:
    folder = make()
    await folder.store()
    await folder.driver.restore(KEY)
    answer_requests(folder.root)
    (fetched,) = folder.below("content")
    fetched.write_bytes(DATA[:-1] + b"\0")
    await folder.guarded.set_aside(KEY, KEY._replace(area=Area.QUARANTINE))
    assert await folder.status() is None
    assert await folder.guarded.size(KEY) == len(DATA)
    with pytest.raises(Away):
        await folder.guarded.set_aside(KEY, KEY._replace(area=Area.QUARANTINE))


async def test_without_its_vault_it_takes_nothing(make: Callable[..., Folder]) -> None:
    folder = make()
    (folder.root / "vault").rename(folder.root / "elsewhere")
    with pytest.raises(Transient, match="mount it"):
        await folder.store()
    with pytest.raises(Transient):
        await folder.guarded.probe()
    assert await folder.guarded.free() is None
    assert folder.below("content") == folder.below("catalogue") == []
    with pytest.raises(Missing):
        await folder.guarded.size(KEY)
