"""Stores that move while clients push and delete, there and back, through kills: nothing is lost."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path

import pytest

from registry.dataplane import S3Settings
from tests.control.moving.moves import move, pushing, settings_file, start
from tests.control.servers import PostgresServer
from tests.faults.history import History, verify
from tests.server.program import run, serving, until

pytestmark = pytest.mark.slow

#: Moves that are killed, one after another.
_KILLS = 6
#: Beside other tests on a busy machine.
_PATIENT = ("--wait", "60s")
_SWITCH = ("--switch", *_PATIENT)


@pytest.fixture
def cluster(tmp_path: Path, postgres: PostgresServer, s3: S3Settings) -> Path:
    """The settings file of a store elsewhere, where nothing is yet."""
    return settings_file(tmp_path / "cluster.toml", postgres.new_database(empty=True), s3)


def left_behind(history: History) -> None:
    """Open upload sessions do not move."""
    history.sessions.clear()


def test_a_store_moves_there_and_back_under_load(tmp_path: Path, cluster: Path) -> None:
    history, folders = History(), [tmp_path / name for name in ("old", "between", "new")]
    for folder in folders:
        folder.mkdir()
    old, new = folders[0] / "data", folders[2] / "data"
    with serving(folders[0]) as server:
        with pushing(server, history, "there"):
            until(lambda: history.acknowledged() > 20, 60)
            first = move(old, cluster, *_PATIENT)
            assert (first["switched"], first["faulty"]) == (False, 0)
            second = move(old, cluster, *_SWITCH)
            assert (second["switched"], second["faulty"], second["differing"]) == (True, 0, [])
            assert first["head"] < second["head"]
        with server.client() as client:
            assert client.get("/readyz").status_code == 503
    assert run("fsck", "--data", str(old)).returncode == 2
    left_behind(history)
    with serving(folders[1], "--config", str(cluster)) as server:
        verify(server, history)
        known = history.acknowledged()
        with pushing(server, history, "back"):
            until(lambda: history.acknowledged() > known + 10, 60)
            assert move(cluster, new, *_SWITCH)["switched"]
    left_behind(history)
    with serving(folders[2]) as server:
        verify(server, history)
    done = run("fsck", "--data", str(new), "--json")
    assert json.loads(done.stdout)["faults"] == []


def test_a_move_that_is_killed_again_and_again_comes_to_its_end(tmp_path: Path, cluster: Path) -> None:
    history, chance = History(), random.Random(3)
    with serving(tmp_path) as server:
        with pushing(server, history, "kills"):
            until(lambda: history.acknowledged() > 30, 60)
            for number in range(_KILLS):
                process = start(tmp_path / "data", cluster, *(_SWITCH if number > 2 else ()))
                time.sleep(chance.uniform(0.8, 2.5))
                process.send_signal(signal.SIGKILL)
                process.communicate()
            done = move(tmp_path / "data", cluster, *_SWITCH)
            assert done["switched"]
    left_behind(history)
    (tmp_path / "there").mkdir()
    with serving(tmp_path / "there", "--config", str(cluster)) as server:
        verify(server, history)
    done = json.loads(run("fsck", "--config", str(cluster), "--json").stdout)
    assert done["faults"] == []
