"""Push, pull, delete, collect, scrub, pack and check all at once, over HTTP and the command line.

Clients push in epochs, each with a history of its own. When an epoch is over, its history is held against
the store while the next goes on, half of what was pushed to be deleted is, and it is looked at again. What
stays is remembered by digest, is read by chance until the end, and then all of it.
"""

from __future__ import annotations

import hashlib
import queue
import random
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.faults.doomed import Life
from tests.faults.history import Client, History, verify
from tests.faults.kills import EAGER, check
from tests.faults.wire import ask
from tests.server.program import Running, run, serving

CLIENTS = 4
READERS = 2
EPOCH = 10.0
#: Seconds that a blob stays which nothing names: short, so that a minute sees some collected.
LEASE = 25.0
#: Seconds between two looks at the memory of the workers.
_LOOK = 0.5
#: Commands that run beside the server, one after the other; each must do its work.
_CARE: tuple[tuple[str, ...], ...] = (
    ("pack", "--now"),
    ("gc", "--care-lease", f"{LEASE:g}s", "--care-delay", "1s", "--pack-grace", "0", "--pack-dead", "0.05"),
    ("fsck", "--json"),
)


@dataclass
class Everything:
    """What was done and found."""

    seconds: float = 0
    pushed: int = 0
    """Blobs, manifests and packages answered with 201."""
    deleted: int = 0
    pulled: int = 0
    """Contents read back and compared, beside those of the histories."""
    reachable: int = 0
    """Contents and manifests that had to be there in the end; all were read."""
    packs: int = 0
    """Runs of each command beside the server's own work."""
    collections: int = 0
    checks: int = 0
    peak_rss: int = 0
    """Most bytes of memory that one worker held."""
    errors: list[str] = field(default_factory=list)
    """Whatever was not as it should be: answers of 500 and more, wrong bytes, commands that failed."""

    def told(self) -> dict[str, object]:
        return asdict(self)


class Load:
    """One server under everything."""

    def __init__(self, server: Running, folder: Path, seed: int) -> None:
        self.done = Everything()
        self._server = server
        self._folder = folder
        self._seed = seed
        self._stop = threading.Event()
        self._finished: queue.SimpleQueue[History | None] = queue.SimpleQueue()
        self._kept: list[tuple[str, str]] = []
        """Targets, and sha256 of what they give."""

    def run(self, seconds: float) -> None:
        begun = time.monotonic()
        readers = [self._read for _ in range(READERS)]
        threads = [self._thread(work) for work in (*readers, self._care, self._watch, self._verify)]
        epoch = 0
        while time.monotonic() - begun < seconds and not self.done.errors:
            self._push(epoch, min(EPOCH, max(1.0, begun + seconds - time.monotonic())))
            epoch += 1
        self._finished.put(None)
        threads[-1].join()
        self._stop.set()
        for thread in threads:
            thread.join()
        for target, digest in self._kept:
            self._compare(target, digest)
        self.done.reachable = len(self._kept)
        self.done.seconds = round(time.monotonic() - begun, 1)

    def _thread(self, work: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                work()
            except Exception:
                self.done.errors.append(traceback.format_exc())

        thread = threading.Thread(target=guarded)
        thread.start()
        return thread

    # --- what runs at once -----------------------------------------------------------------------------

    def _push(self, epoch: int, seconds: float) -> None:
        history, stop = History(lease=LEASE), threading.Event()
        clients = [
            Client(self._server, history, random.Random(f"{self._seed} {epoch} {number}"), name, stop)
            for number in range(CLIENTS)
            for name in (f"all/{epoch}/{number}",)
        ]
        threads = [self._thread(client.work) for client in clients]
        stop.wait(seconds)
        stop.set()
        for thread in threads:
            thread.join()
        self._finished.put(history)

    def _verify(self) -> None:
        while (history := self._finished.get()) is not None:
            verify(self._server, history)
            for doomed in history.doomed[::2]:
                if doomed.life is Life.SURE:
                    assert ask(self._server, "DELETE", doomed.target).status == 202
                    doomed.life = Life.GONE
            verify(self._server, history)
            self.done.pushed += history.acknowledged()
            self.done.deleted += sum(doomed.life is Life.GONE for doomed in history.doomed)
            self._kept += [
                (f"/v2/{repository}/manifests/{digest}", digest) for repository, digest in history.manifests
            ]
            self._kept += [
                (f"/v2/{repository}/blobs/{digest}", digest) for repository, digest in history.named
            ]
            for doomed in history.doomed:
                if doomed.life is Life.SURE:
                    self._kept += [(target, _sha256(data)) for target, data in doomed.contents()]

    def _read(self) -> None:
        chance = random.Random(threading.get_ident())
        while not self._stop.wait(0.002):
            if self._kept:
                self._compare(*chance.choice(self._kept))

    def _compare(self, target: str, digest: str) -> None:
        answer = ask(self._server, "GET", target)
        if answer.status != 200 or _sha256(answer.body) != digest:
            self.done.errors.append(f"GET {target}: {answer.status}, {len(answer.body)} bytes")
        self.done.pulled += 1

    def _care(self) -> None:
        turn = 0
        while not self._stop.wait(0.5):
            arguments = _CARE[turn % len(_CARE)]
            done = run(arguments[0], "--data", str(self._folder / "data"), *arguments[1:])
            if done.returncode:
                self.done.errors.append(f"{arguments[0]}: {done.returncode} {done.stdout} {done.stderr}")
            name = ("packs", "collections", "checks")[turn % len(_CARE)]
            setattr(self.done, name, getattr(self.done, name) + 1)
            turn += 1

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK):
            for process in self._server.children():
                status = Path(f"/proc/{process}/status").read_text()
                held = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
                self.done.peak_rss = max(self.done.peak_rss, int(held.split()[1]) * 1024)


def run_everything(folder: Path, seconds: float, seed: int, workers: int = 2) -> Everything:
    """A server in `folder` under everything, and what is found of it in the end."""
    with serving(folder, "--workers", str(workers), *EAGER, "--care-lease", f"{LEASE:g}s") as server:
        load = Load(server, folder, seed)
        load.run(seconds)
        code = server.stop()
        log = server.log.read_text()
    done = load.done
    if code or "Traceback" in log:
        done.errors.append(f"the server ended with {code}: {log[-4000:]}")
    if not done.errors:
        check(folder)
    return done


def _sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
