"""kill -9 at a random moment of mixed pushes: what was acknowledged is there, nothing else is half there."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import threading
import time
import traceback
from pathlib import Path

import pytest

from tests.faults.history import Client, History, verify
from tests.server.program import Running, run, serving, until

#: How often the server is killed; each time it is another seed.
CYCLES = int(os.environ.get("KILL_CYCLES", "10"))

#: The first seed; a failure names the one it happened with.
SEED = int(os.environ.get("KILL_SEED", "1"))

CLIENTS = 5


def kill(server: Running) -> None:
    """The whole server, at once, as a power cut would."""
    workers = server.children()
    for process in (server.process.pid, *workers):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    server.process.wait()


def check(folder: Path) -> None:
    """`fsck` reads every byte and finds nothing."""
    done = run("fsck", "--data", str(folder / "data"), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["faults"] == []


@pytest.mark.slow
@pytest.mark.timeout(120 + 30 * CYCLES)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_was_acknowledged_survives_kills(tmp_path: Path, workers: str) -> None:
    history = History()
    for seed in range(SEED, SEED + CYCLES):
        chance = random.Random(f"{workers} {seed}")
        with serving(tmp_path, "--workers", workers, "--log-access", "false") as server:
            clients = [
                Client(server, history, random.Random(chance.random()), f"kill/{seed}/{number}")
                for number in range(CLIENTS)
            ]
            failures: list[str] = []

            def work(client: Client, failures: list[str] = failures) -> None:
                try:
                    client.work()
                except Exception:
                    failures.append(traceback.format_exc())

            threads = [threading.Thread(target=work, args=(client,)) for client in clients]
            for thread in threads:
                thread.start()
            # By what was done rather than by time, so that a busy machine tries as much as an idle one.
            wanted = history.acknowledged() + chance.randrange(1, 50)
            until(lambda wanted=wanted: history.acknowledged() >= wanted, 30)
            time.sleep(chance.uniform(0, 0.02))
            kill(server)
            for thread in threads:
                thread.join()
            assert failures == [], f"seed {seed}"
        with serving(tmp_path, "--workers", workers, "--log-access", "false") as server:
            verify(server, history)
            check(tmp_path)
            assert server.stop() == 0
            assert "Traceback" not in server.log.read_text(), f"seed {seed}"
    assert history.blobs and history.manifests and history.packages
