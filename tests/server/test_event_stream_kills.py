"""SIGKILL between acknowledgement and saved place: once within the stream's window, at least once beyond."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.events import RepositoryCreated
from registry.contract.names import Repository
from registry.control import open_store
from registry.control.sql.transaction import Transaction
from registry.dataplane import open_memory
from tests.server.program import ROOT, environment
from tests.sinks.nats_server import NatsServer, stored

EVENTS = 700


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[NatsServer]:
    folder = tmp_path / "nats"
    folder.mkdir()
    server = NatsServer(folder)
    server.start()
    yield server
    server.kill()


async def fill(database: Path) -> None:
    def change(tx: Transaction) -> None:
        for number in range(EVENTS):
            tx.emit(RepositoryCreated(Repository(f"kill/r{number}"), DEFAULT_DOMAIN))

    store = await open_store(open_memory(), database)
    await store.core.database.write("somebody", change)
    await store.close()


def follow(database: Path, broker: NatsServer, windows: int, duplicates: float = 600) -> int:
    """Run the process; its exit code."""
    arguments = (str(database), broker.url, str(windows), str(duplicates))
    command = (sys.executable, "-m", "tests.server.killed_follower", *arguments)
    done = subprocess.run(command, cwd=ROOT, env=environment(), check=False, timeout=60, capture_output=True)
    assert done.returncode in (0, -9), done.stderr.decode()
    return done.returncode


async def test_a_process_killed_again_and_again_leaves_each_event_once(
    tmp_path: Path, broker: NatsServer
) -> None:
    database = tmp_path / "ledger.sqlite"
    await fill(database)
    for _ in range(3):
        assert follow(database, broker, 2) == -9  # one window is saved, the next is not
        time.sleep(0.6)
    assert follow(database, broker, 10**6) == 0
    found = [json.loads(body)["data"]["seq"] for *_, body in await stored(broker.url, "events")]
    assert found == list(range(1, EVENTS + 1))


async def test_beyond_the_window_for_duplicates_they_come_again_and_none_is_missing(
    tmp_path: Path, broker: NatsServer
) -> None:
    database = tmp_path / "ledger.sqlite"
    await fill(database)
    assert follow(database, broker, 2, duplicates=1) == -9
    time.sleep(2)
    assert follow(database, broker, 10**6) == 0
    found = [headers["Nats-Msg-Id"] for _, headers, _ in await stored(broker.url, "events")]
    counts = Counter(found)
    assert len(counts) == EVENTS
    assert sum(count > 1 for count in counts.values()) == 128, "the window that was not saved"
    assert list(dict.fromkeys(found)) == sorted(counts, key=lambda identity: int(identity.partition("-")[0]))
