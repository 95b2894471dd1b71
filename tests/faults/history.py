"""What clients were told while they pushed to a server, and whether a server still knows it.

A `History` is the oracle of the crash tests: it remembers every request that was answered, and of those that
were not, what would be half done.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from random import Random

from blake3 import blake3

from tests.faults.doomed import Doomed, Life, verify_doomed
from tests.faults.wire import Answer, Listener, ask

OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class KilledError(Exception):
    """The server went away before it answered."""


@dataclass
class History:
    """What must be there, and what may."""

    lease: float = math.inf
    """Seconds that a blob surely stays which no manifest names."""
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """(repository, digest) → bytes, of answers 201."""
    arrived: dict[tuple[str, str], float] = field(default_factory=dict)
    """As `blobs`: when the last push of it was begun."""
    named: set[tuple[str, str]] = field(default_factory=set)
    """Keys of blobs that a manifest was acknowledged to name."""
    completed: list[bytes] = field(default_factory=list)
    """Uploads of the native face, which hold their content for a day."""
    doomed: list[Doomed] = field(default_factory=list)
    """What was pushed to be deleted."""
    tags: dict[tuple[str, str], list[bytes]] = field(default_factory=dict)
    """(repository, tag) → manifests it may point to: the last acknowledged first, then those that hung."""
    manifests: dict[tuple[str, str], bytes] = field(default_factory=dict)
    packages: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    """(repository, version) → files."""
    open_packages: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    """As `packages`, asked for but not acknowledged."""
    sessions: dict[str, bytes] = field(default_factory=dict)
    """Location of an upload in pieces that was not completed → all bytes that it is to have."""
    late: bool = False
    """Whether a request that nobody waits for may be carried out after later ones: its server was stopped."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def acknowledged(self) -> int:
        """How many pushes were answered 201 so far."""
        return len(self.blobs) + len(self.manifests) + len(self.packages)

    def open(self) -> int:
        """How much was asked for and not answered when the server went."""
        tags = sum(len(may_be) > 1 for may_be in self.tags.values())
        doomed = sum(found.life in (Life.COMING, Life.GOING) for found in self.doomed)
        return tags + doomed + len(self.open_packages) + len(self.sessions)

    def needed(self) -> int:
        """Bytes of all that must be there, each content once."""
        contents = {data for key, data in self.blobs.items() if key in self.named}
        contents |= set(self.completed)
        contents |= {data for files in self.packages.values() for data in files.values()}
        contents |= {data for found in self.doomed if found.life is Life.SURE for data in found.files}
        return sum(map(len, contents)) + sum(map(len, self.manifests.values()))

    def may_lapse(self, key: tuple[str, str]) -> bool:
        """Whether a collection may have taken the blob."""
        return key not in self.named and time.monotonic() - self.arrived[key] > self.lease

    def hung(self, key: tuple[str, str]) -> list[bytes]:
        """Manifests that were asked to be tagged so, without an answer."""
        return [body for body in self.tags[key] if (key[0], sha256(body)) not in self.manifests]


#: Method, target, body and headers to an answer; raises KilledError where none came.
Send = Callable[..., Answer]


def ask_living(server: Listener, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
    """Ask a server that never fails and may go away."""
    try:
        answer = ask(server, method, target, body, **headers)
    except (OSError, HTTPException) as error:
        raise KilledError from error
    assert answer.status < 500, (method, target, answer)
    return answer


class Client:
    """One client that pushes this and that, until the server is gone or it is told to stop.

    It works in repositories of its own. `send` asks in another way than `server`'s.
    """

    def __init__(
        self,
        server: Listener,
        history: History,
        chance: Random,
        name: str,
        stop: threading.Event | None = None,
        send: Send | None = None,
    ) -> None:
        self._stop = stop or threading.Event()
        self._send = send or partial(ask_living, server)
        self._history = history
        self._chance = chance
        self._name = name
        self._count = 0

    def work(self) -> None:
        """Push until the server does not answer any more, or `stop` is set."""
        try:
            while not self._stop.is_set():
                self.turn()
        except KilledError:
            return

    def turn(self) -> None:
        """Do one thing. Raises KilledError when something of it was not answered."""
        self._count += 1
        kinds = (
            self._manifest,
            self._chunked,
            self._package,
            self._draft,
            self._native_session,
            self._doom,
            self._delete,
            self._delete,
        )
        self._chance.choice(kinds)()

    def _bytes(self) -> bytes:
        return self._chance.randbytes(self._chance.choice((0, 1, 100, 5_000, 200_000)))

    def _blob(self, repository: str) -> bytes:
        data, begun = self._bytes(), time.monotonic()
        digest = sha256(data)
        uploads = f"/v2/{repository}/blobs/uploads/"
        if self._chance.random() < 0.5:
            answer = self._send("POST", f"{uploads}?digest={digest}", data)
        else:
            place = self._send("POST", uploads).headers["location"]
            answer = self._send("PUT", f"{place}?digest={digest}", data)
        assert answer.status == 201, answer
        with self._history.lock:
            self._history.blobs[repository, digest] = data
            self._history.arrived[repository, digest] = begun
        return data

    def _chunked(self) -> None:
        repository, data = f"{self._name}/chunked", self._chance.randbytes(60_000)
        begun = time.monotonic()
        place = self._send("POST", f"/v2/{repository}/blobs/uploads/").headers["location"]
        with self._history.lock:
            self._history.sessions[place] = data
        for start in range(0, len(data), 20_000):
            span = f"{start}-{start + 19_999}"
            answer = self._send("PATCH", place, data[start : start + 20_000], Content_Range=span)
            assert answer.status == 202, answer
        if self._chance.random() < 0.3:
            return  # stays open, to be resumed by whoever comes after the crash
        answer = self._send("PUT", f"{place}?digest={sha256(data)}")
        assert answer.status == 201, answer
        with self._history.lock:
            del self._history.sessions[place]
            self._history.blobs[repository, sha256(data)] = data
            self._history.arrived[repository, sha256(data)] = begun

    def _manifest(self) -> None:
        repository, tag = f"{self._name}/images", f"t{self._chance.randrange(4)}"
        config, layer = self._blob(repository), self._blob(repository)
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE,
            "config": {"mediaType": "application/x", "digest": sha256(config), "size": len(config)},
            "layers": [{"mediaType": "application/y", "digest": sha256(layer), "size": len(layer)}],
            "annotations": {"n": f"{self._name}-{self._count}"},
        }
        body = json.dumps(document).encode()
        with self._history.lock:
            may_be = self._history.tags.setdefault((repository, tag), [])
            may_be.append(body)
        answer = self._send("PUT", f"/v2/{repository}/manifests/{tag}", body, Content_Type=OCI_IMAGE)
        assert answer.status == 201, answer
        with self._history.lock:
            self._history.manifests[repository, sha256(body)] = body
            late = self._history.hung((repository, tag)) if self._history.late else []
            self._history.tags[repository, tag] = [body, *late]
            self._history.named |= {(repository, sha256(config)), (repository, sha256(layer))}

    def _doom(self) -> None:
        """An image or a package of content that nothing else has, to be deleted some time."""
        count = f"{self._count}-{self._chance.randrange(1 << 32)}"
        files = [self._chance.randbytes(self._chance.choice((900, 150_000))) for _ in range(2)]
        make = Doomed.image if self._chance.random() < 0.6 else Doomed.package
        doomed = make(f"{self._name}/doomed", count, files)
        with self._history.lock:
            self._history.doomed.append(doomed)
        for method, target, body, headers in doomed.pushes():
            answer = self._send(method, target, body, **headers)
            assert answer.status == 201, answer
        doomed.life = Life.SURE

    def _delete(self) -> None:
        with self._history.lock:
            mine = [
                doomed
                for doomed in self._history.doomed
                if doomed.life is Life.SURE and doomed.repository == f"{self._name}/doomed"
            ]
        if not mine:
            return
        doomed = self._chance.choice(mine)
        doomed.life = Life.GOING
        answer = self._send("DELETE", doomed.target)
        assert answer.status == 202, answer
        doomed.life = Life.GONE

    def _package(self) -> None:
        repository, version = f"{self._name}/packages", f"v{self._count}-{self._chance.randrange(1 << 32)}"
        files = {f"f/{number}": self._bytes() for number in range(self._chance.randrange(1, 4))}
        listed = []
        for path, data in files.items():
            size = json.dumps({"size": len(data)}).encode()
            begun = self._send("POST", "/api/v1/uploads", size, Content_Type="application/json")
            place = begun.headers["location"]
            if data:
                answer = self._send("PATCH", place, data, Upload_Offset="0")
                assert answer.status == 204, answer
            completed = self._send("POST", f"{place}/complete")
            assert completed.status == 201, completed
            listed.append({"relative_path": path, "content_address": f"blake3:{blake3(data).hexdigest()}"})
        self._asked(repository, version, files)
        body = json.dumps({"files": listed, "labels": {"n": version}}).encode()
        target = f"/api/v1/packages/{repository}:{version}"
        answer = self._send("PUT", target, body, Content_Type="application/json")
        self._made(answer, repository, version)

    def _draft(self) -> None:
        repository, version = f"{self._name}/drafts", f"v{self._count}-{self._chance.randrange(1 << 32)}"
        files = {f"d/{number}": self._bytes() for number in range(self._chance.randrange(1, 4))}
        target = f"/api/v1/packages/{repository}:{version}"
        for path, data in files.items():
            put = self._send("PUT", f"{target}/files/{path}", data)
            assert put.status == 201, put
        self._asked(repository, version, files)
        self._made(self._send("POST", f"{target}/finalize"), repository, version)

    def _native_session(self) -> None:
        data = self._chance.randbytes(50_000)
        place = self._send("POST", "/api/v1/uploads").headers["location"]
        with self._history.lock:
            self._history.sessions[place] = data
        for start in range(0, 40_000, 20_000):
            answer = self._send("PATCH", place, data[start : start + 20_000], Upload_Offset=str(start))
            assert answer.status == 204, answer

    def _asked(self, repository: str, version: str, files: dict[str, bytes]) -> None:
        with self._history.lock:
            self._history.open_packages[repository, version] = files

    def _made(self, answer: Answer, repository: str, version: str) -> None:
        assert answer.status == 201, answer
        with self._history.lock:
            made = self._history.open_packages.pop((repository, version))
            self._history.packages[repository, version] = made


def verify(server: Listener, history: History) -> None:
    """Everything acknowledged is there, byte for byte; nothing else is half there; uploads go on."""
    for place, data in list(history.sessions.items()):
        _resume(server, place, data, history)
    history.sessions.clear()
    for key, data in list(history.blobs.items()):
        answer = ask(server, "GET", f"/v2/{key[0]}/blobs/{key[1]}")
        if answer.status == 404 and history.may_lapse(key):
            del history.blobs[key]
            continue
        assert (answer.status, answer.body == data) == (200, True), (key, answer.status)
    for (repository, digest), body in history.manifests.items():
        answer = ask(server, "GET", f"/v2/{repository}/manifests/{digest}")
        assert (answer.status, answer.body) == (200, body), (repository, digest)
    for (repository, tag), may_be in history.tags.items():
        _verify_tag(server, repository, tag, may_be, history)
    for (repository, version), files in history.packages.items():
        _verify_package(server, repository, version, files)
    for (repository, version), files in list(history.open_packages.items()):
        target = f"/api/v1/packages/{repository}:{version}"
        if ask(server, "GET", target).status != 404:
            _verify_package(server, repository, version, files)
            history.packages[repository, version] = files
    history.open_packages.clear()
    verify_doomed(server, history.doomed)
    for repository in {repository for repository, _ in history.tags}:
        listed = ask(server, "GET", f"/v2/{repository}/tags/list").json()["tags"]
        assert set(listed) <= {tag for owner, tag in history.tags if owner == repository}


def _verify_tag(server: Listener, repository: str, tag: str, may_be: list[bytes], history: History) -> None:
    answer = ask(server, "GET", f"/v2/{repository}/manifests/{tag}")
    acknowledged = bool(may_be) and (repository, sha256(may_be[0])) in history.manifests
    if answer.status == 404:
        assert not acknowledged, (repository, tag)
        may_be.clear()
        return
    assert answer.status == 200
    assert answer.body in may_be, (repository, tag)
    for blob in (json.loads(answer.body)["config"], *json.loads(answer.body)["layers"]):
        found = ask(server, "GET", f"/v2/{repository}/blobs/{blob['digest']}")
        assert found.status == 200
        assert sha256(found.body) == blob["digest"]
        history.named.add((repository, blob["digest"]))
    history.manifests[repository, sha256(answer.body)] = answer.body
    may_be[:] = [answer.body]


def _verify_package(server: Listener, repository: str, version: str, files: dict[str, bytes]) -> None:
    target = f"/api/v1/packages/{repository}:{version}"
    shown = ask(server, "GET", target)
    assert shown.status == 200, (target, shown)
    assert [file["relative_path"] for file in shown.json()["files"]] == sorted(files)
    for path, data in files.items():
        answer = ask(server, "GET", f"{target}/files/{path}")
        assert (answer.status, answer.body == data) == (200, True), (target, path)
    assert ask(server, "GET", f"/v2/{repository}/manifests/{version}").status == 200


def _resume(server: Listener, place: str, data: bytes, history: History) -> None:
    """Go on from the offset that the server reports, which may be less than what it had acknowledged."""
    begun = time.monotonic()
    if place.startswith("/v2/"):
        state = ask(server, "GET", place)
        repository = place[4:].partition("/blobs/")[0]
        if state.status == 404:  # its last PUT was done, and only the answer was lost
            found = ask(server, "GET", f"/v2/{repository}/blobs/{sha256(data)}")
            assert found.body == data or (found.status == 404 and history.lease < math.inf)
            return
        last = int(state.headers["range"].partition("-")[2])
        offset = last + 1 if last else 0
        assert offset <= len(data)
        rest = data[offset:]
        span = {"Content_Range": f"{offset}-{len(data) - 1}"} if rest else {}
        target = f"{place}?digest={sha256(data)}"
        answer = ask(server, "PUT", target, rest, **span)
        assert answer.status == 201, answer
        history.blobs[repository, sha256(data)] = data
        history.arrived[repository, sha256(data)] = begun
        return
    offset = int(ask(server, "HEAD", place).headers["upload-offset"])
    assert offset <= len(data)
    answer = ask(server, "PATCH", place, data[offset:], Upload_Offset=str(offset))
    assert answer.status == 204, answer
    done = ask(server, "POST", f"{place}/complete")
    assert done.json()["digests"]["sha256"] == sha256(data)
    history.completed.append(data)
