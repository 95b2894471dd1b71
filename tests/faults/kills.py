"""Cycles of pushing, deleting, packing and collecting, each ended by SIGKILL and held against the answers.

Nothing is repaired by hand: the same `artifact-store serve` is started again, answers for all that was
acknowledged, and `fsck` finds nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.faults.doomed import verify_collected
from tests.faults.history import Client, History, verify
from tests.server.program import ROOT, Running, command, environment, run, serving, until

CLIENTS = 5
#: Kills of a server with one worker, and of one with two, in tests; `make soak` does ten times as many.
CYCLES = 15
#: Seconds that a blob stays which nothing names: long enough for a push on a busy machine, and short enough
#: that later cycles collect what earlier ones left.
LEASE = 60.0
#: Seconds that an upload is kept for who wants to go on with it.
EXPIRY = 900.0
#: A server that does all at once, as soon as it starts.
EAGER = (
    *("--log-access", "false", "--care-lease", f"{LEASE:g}s", "--care-collect", "1s", "--care-delay", "1s"),
    *(
        "--uploads-expiry",
        f"{EXPIRY:g}s",
        "--care-orphans",
        "5s",
        "--care-scrub-age",
        "1s",
        "--care-scrub-bytes",
        "256MiB",
    ),
    *("--pack-every", "1s", "--pack-after", "0", "--pack-grace", "0", "--pack-dead", "0.05"),
)
#: Programs that run beside the server and are killed with it.
BESIDE: tuple[tuple[str, ...], ...] = (
    (),
    ("pack", "--now"),
    ("gc", "--care-lease", f"{LEASE:g}s", "--care-delay", "0", "--pack-grace", "0", "--pack-dead", "0.01"),
    ("fsck",),
)
#: Histories of earlier cycles that are held against the store after each kill; at the end all are.
_AGAIN = 3


@dataclass
class Killed:
    """What was tried, and what of it was checked in the end."""

    cycles: int = 0
    acknowledged: int = 0
    """Blobs, manifests and packages answered with 201."""
    deleted: int = 0
    """Images and packages whose deletion was answered or found done."""
    in_flight: int = 0
    """Pushes, deletions and uploads that had no answer when the kill came."""
    collected: int = 0
    """Contents of what was deleted, gone in the end."""
    stored: int = 0
    """Bytes in loose files and packs in the end."""
    needed: int = 0
    """Bytes of all that was to be there then."""

    def told(self) -> dict[str, int]:
        return asdict(self)


def kill(server: Running) -> None:
    """The whole server, at once, as a power cut would."""
    workers = server.children()
    for process in (server.process.pid, *workers):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    server.process.wait()


def check(folder: Path, **extra: str) -> None:
    """`fsck` reads every byte and finds nothing."""
    done = run("fsck", "--data", str(folder / "data"), "--json", **extra)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["faults"] == []


@contextmanager
def beside(folder: Path, arguments: Sequence[str]) -> Iterator[None]:
    """A program on the same folder, killed when the block ends."""
    if not arguments:
        yield
        return
    process = subprocess.Popen(
        command(arguments[0], "--data", str(folder / "data"), *arguments[1:]),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        cwd=ROOT,
    )
    try:
        yield
        assert process.poll() in (None, 0), f"{arguments} ended with {process.returncode}"
    finally:
        process.kill()
        process.wait()


def push_and_kill(server: Running, history: History, chance: random.Random, name: str) -> None:
    """Let clients work until so much was acknowledged, and kill the server a moment later."""
    clients = [
        Client(server, history, random.Random(chance.random()), f"kill/{name}/{number}")
        for number in range(CLIENTS)
    ]
    failures: list[str] = []

    def work(client: Client) -> None:
        try:
            client.work()
        except Exception:
            failures.append(traceback.format_exc())

    threads = [threading.Thread(target=work, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    # By what was done rather than by time, so that a busy machine tries as much as an idle one.
    wanted = chance.randrange(1, 50)
    until(lambda: failures or history.acknowledged() >= wanted, 60)
    time.sleep(chance.uniform(0, 0.05))
    kill(server)
    for thread in threads:
        thread.join()
    assert failures == [], f"seed {name}: {failures[0]}"


def wait_for_leases(folder: Path) -> None:
    """As if five minutes had passed: nobody does the work of a killed process before it surely lost it."""
    with contextlib.closing(sqlite3.connect(folder / "data" / "ledger.sqlite", timeout=10)) as connection:
        with connection:
            connection.execute("UPDATE work_leases SET expires_at = 0")


def _let_all_expire(folder: Path) -> None:
    """As if so much time had passed that nothing is kept any more for who may come back."""
    with contextlib.closing(sqlite3.connect(folder / "data" / "ledger.sqlite", timeout=10)) as connection:
        with connection:
            for table in ("work_leases", "content_leases", "uploads"):
                connection.execute(f"UPDATE {table} SET expires_at = 0")
    for path in (folder / "data" / "staging").rglob("*"):
        if path.is_file():
            os.utime(path, (0, 0))


def run_enough_cycles(folder: Path, workers: int) -> None:
    """As many kills as a test does, with enough of all that should be seen to survive them."""
    killed = run_cycles(folder, range(1, CYCLES + 1), workers)
    assert killed.cycles == CYCLES
    assert killed.acknowledged > 10 * CYCLES
    assert killed.in_flight > CYCLES
    assert killed.deleted > 0
    assert killed.collected > 0


def run_cycles(folder: Path, seeds: Sequence[int], workers: int) -> Killed:
    """A kill for each seed, on one store. Fails with the seed."""
    killed, histories = Killed(), list[History]()
    options = ("--workers", str(workers), *EAGER)
    for seed in seeds:
        chance = random.Random(f"{workers} {seed}")
        history = History(lease=LEASE)
        with serving(folder, *options) as server, beside(folder, chance.choice(BESIDE)):
            push_and_kill(server, history, chance, str(seed))
            log = server.log.read_text()
        wait_for_leases(folder)
        killed.cycles += 1
        killed.in_flight += history.open()
        histories.append(history)
        again = chance.sample(histories[:-1], min(_AGAIN, len(histories) - 1))
        with serving(folder, *options) as server:
            for known in (history, *again):
                verify(server, known)
            check(folder)
            assert server.stop() == 0
            log += server.log.read_text()
        assert "Traceback" not in log, f"seed {seed}: {log}"
    _settle(folder, histories, options, killed)
    return killed


def _settle(folder: Path, histories: Sequence[History], options: Sequence[str], killed: Killed) -> None:
    """All that was acknowledged is there, what was deleted is collected, and no more is kept than needed."""
    _let_all_expire(folder)
    doomed = [found for history in histories for found in history.doomed]
    collecting = ("--care-lease", "0", "--care-delay", "0", "--pack-grace", "0", "--pack-dead", "0.01")
    with serving(folder, *options) as server:
        for history in histories:
            history.lease = 0.0
            verify(server, history)
        for _ in range(3):  # unlinked, removed, rewritten
            done = run("gc", "--data", str(folder / "data"), *collecting, ARTIFACT_STORE_CARE_ORPHANS="0")
            assert done.returncode == 0, done.stderr
        for history in histories:
            verify(server, history)
        killed.collected = verify_collected(server, doomed)
        until(lambda: not [path for path in (folder / "data" / "staging").rglob("*") if path.is_file()])
        assert server.stop() == 0
    check(folder)
    killed.acknowledged = sum(history.acknowledged() for history in histories)
    killed.deleted = sum(found.life.name == "GONE" for found in doomed)
    killed.stored = sum(
        path.stat().st_size
        for area in ("content", "packs")
        for path in (folder / "data" / area).rglob("*")
        if path.is_file()
    )
    killed.needed = sum(history.needed() for history in histories)
    assert killed.stored < 1.3 * killed.needed + 2**20, killed
