"""A steady mixed load on replicas, held against what clients were told, while something under it fails.

Clients push, tag, delete and resume as those of the crash tests do, and their history is the same oracle; a
request that fails is counted, and what it was about may be done or not. Readers ask all the time for what was
acknowledged: a wrong answer is one that is stale, corrupt, cut short as if it were whole, or absent.
"""

from __future__ import annotations

import json
import random
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException

from tests.faults.doomed import Life
from tests.faults.history import Client, History, KilledError, sha256, verify
from tests.faults.wire import Answer, Listener, connected, head, read

CLIENTS = 6
READERS = 2
#: Seconds between two reads of a reader, since pushes are to have most of the machine.
_PAUSE = 0.02
#: Seconds that a request may take before its client gives up. Nothing the store does may take as long.
_LONGEST = 60
#: What the proxy says when it has no replica to ask, or lost the one it asked.
_OF_PROXY = {502, 503, 504}


@dataclass
class Figures:
    """What became of the requests of a load."""

    acknowledged: int = 0
    """Blobs, manifests and packages answered with 201; all were there in the end."""
    reads: int = 0
    """Answers that readers compared."""
    failed: Counter[str] = field(default_factory=Counter)
    """Requests without the answer they asked for, by what came instead."""
    wrong: list[str] = field(default_factory=list)
    """Answers that must not be, and whatever else broke a promise."""
    slowest: float = 0
    """Seconds of the longest request, answered or not."""
    recovery: float = 0
    """Seconds from the fault's end to that of the last request that failed."""
    memory: int = 0
    """Bytes that the largest replica held as the fault ended."""

    def told(self) -> dict[str, object]:
        return {
            "acknowledged": self.acknowledged,
            "reads": self.reads,
            "failed": dict(self.failed),
            "wrong": len(self.wrong),
            "slowest": round(self.slowest, 1),
            "recovery": round(self.recovery, 1),
            "MiB": self.memory >> 20,
        }


class Load:
    """Runs from `start` to `stop` against whatever listens at `proxy`."""

    def __init__(self, proxy: Listener, name: str, seed: int, history: History | None = None) -> None:
        self.figures = Figures()
        self.history = history or History(late=True)
        self._proxy = proxy
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._last_failure = 0.0
        self._answered = 0
        chances = [random.Random(f"{seed} {name} {number}") for number in range(CLIENTS + READERS)]
        clients = [
            Client(proxy, self.history, chance, f"{name}/{number}", self._stop, self._ask_for_history)
            for number, chance in enumerate(chances[:CLIENTS])
        ]
        works = [client.turn for client in clients]
        works += [_Reader(self, chance).turn for chance in chances[CLIENTS:]]
        self._threads = [threading.Thread(target=self._repeat, args=(work,)) for work in works]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, when each request has its answer."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def run_for(self, answers: int, seconds: float = 60) -> None:
        """Go on until so many more requests were answered: by work, so that a busy machine tries as much."""
        enough = self._answered + answers
        self._until(lambda: self._answered >= enough, seconds)

    def await_recovery(self, since: float, quiet: float = 1.5, seconds: float = 60) -> None:
        """Wait until nothing has failed for `quiet` seconds, though there were answers; `since` is
        `time.monotonic()` as the fault ended."""
        self._until(lambda: time.monotonic() - max(since, self._last_failure) > quiet, seconds)
        self.run_for(CLIENTS * 4)
        self.figures.recovery = max(0.0, self._last_failure - since)

    def verify(self) -> None:
        """Hold everything against the store, which is whole again. Raises AssertionError."""
        self.figures.acknowledged = self.history.acknowledged()
        verify(self._proxy, self.history)

    def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        until = time.monotonic() + seconds
        while not condition():
            if self.figures.wrong:
                return
            if time.monotonic() > until:
                raise TimeoutError(f"the load does not go on: {self.figures.told()}")
            time.sleep(0.05)

    def _repeat(self, turn: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                turn()
            except KilledError:
                self._stop.wait(0.1)
            except Exception:
                self.figures.wrong.append(traceback.format_exc())
                return

    # --- one request -----------------------------------------------------------------------------------

    def _ask_for_history(self, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
        return self.ask(method, target, body, **headers)

    def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
        """The answer to one request. Raises KilledError when it failed, which is counted."""
        begun = time.monotonic()
        try:
            with connected(self._proxy, _LONGEST) as line:
                line.sendall(head(method, target, Content_Length=str(len(body)), **headers) + body)
                answer = read(line, method)
        except (OSError, HTTPException) as error:
            self._count(begun, type(error).__name__)
            raise KilledError from error
        if answer.status >= 500:
            told = "x-served-by" in answer.headers
            self._count(begun, f"{answer.status}{'' if told else ' of the proxy'}")
            if not (_is_told_well(answer) if told else answer.status in _OF_PROXY):
                self.figures.wrong.append(f"{method} {target}: {answer}")
            raise KilledError
        self._count(begun)
        return answer

    def _count(self, begun: float, failure: str | None = None) -> None:
        now = time.monotonic()
        with self._lock:
            self.figures.slowest = max(self.figures.slowest, now - begun)
            if failure is None:
                self._answered += 1
            else:
                self.figures.failed[failure] += 1
                self._last_failure = now


class _Reader:
    """Reads what was acknowledged, and compares."""

    def __init__(self, load: Load, chance: random.Random) -> None:
        self._load = load
        self._chance = chance

    def turn(self) -> None:
        time.sleep(_PAUSE)
        kinds = (self._manifest, self._blob, self._tag, self._tag, self._file, self._deleted)
        self._chance.choice(kinds)()

    def _manifest(self) -> None:
        history = self._load.history
        with history.lock:
            found = list(history.manifests.items())
        if found:
            (repository, digest), body = self._chance.choice(found)
            self._expect(f"/v2/{repository}/manifests/{digest}", body)

    def _blob(self) -> None:
        history = self._load.history
        with history.lock:
            keys = list(history.named)
        if keys:
            key = self._chance.choice(keys)
            self._expect(f"/v2/{key[0]}/blobs/{key[1]}", history.blobs[key])

    def _file(self) -> None:
        history = self._load.history
        with history.lock:
            found = list(history.packages.items())
        if found:
            (repository, version), files = self._chance.choice(found)
            path, data = self._chance.choice(list(files.items()))
            self._expect(f"/api/v1/packages/{repository}:{version}/files/{path}", data)

    def _tag(self) -> None:
        """The tag leads to what was acknowledged last when it was asked for, or is newer, or hung."""
        history = self._load.history
        with history.lock:
            found = [
                (key, list(may_be)) for key, may_be in history.tags.items() if self._is_sure(may_be, key)
            ]
        if not found:
            return
        (repository, tag), before = self._chance.choice(found)
        answer = self._load.ask("GET", f"/v2/{repository}/manifests/{tag}")
        if answer.status == 200 and (answer.body in before or _count(answer.body) > _count(before[0])):
            self._load.figures.reads += 1
        else:
            self._wrong(f"tag {repository}:{tag}", answer, f"at least {_count(before[0])}")

    def _deleted(self) -> None:
        history = self._load.history
        with history.lock:
            gone = [doomed for doomed in history.doomed if doomed.life is Life.GONE]
        if gone:
            target = self._chance.choice(self._chance.choice(gone).ways())
            answer = self._load.ask("GET", target)
            if answer.status == 404:
                self._load.figures.reads += 1
            else:
                self._wrong(target, answer, "nothing, since it was deleted")

    def _expect(self, target: str, data: bytes) -> None:
        answer = self._load.ask("GET", target)
        if (answer.status, answer.body) == (200, data):
            self._load.figures.reads += 1
        else:
            self._wrong(target, answer, f"{len(data)} bytes")

    def _is_sure(self, may_be: list[bytes], key: tuple[str, str]) -> bool:
        return bool(may_be) and (key[0], sha256(may_be[0])) in self._load.history.manifests

    def _wrong(self, target: str, answer: Answer, wanted: str) -> None:
        self._load.figures.wrong.append(f"GET {target}: {answer.status} {answer.body[:300]!r}, not {wanted}")


def _count(manifest: bytes) -> int:
    """Clients count what they push."""
    name: str = json.loads(manifest)["annotations"]["n"]
    return int(name.rpartition("-")[2])


def _is_told_well(answer: Answer) -> bool:
    """A replica that cannot says so in the words of its face, and when to come back."""
    if answer.status != 503 or "retry-after" not in answer.headers:
        return False
    told = answer.json() if answer.body else {}
    return "errors" in told or "kind" in told
