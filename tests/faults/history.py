"""What clients were told while they pushed to a server, and whether a server still knows it.

A `History` is the oracle of the crash tests: it remembers every request that was answered, and of those that
were not, what would be half done.
"""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.client import HTTPException
from random import Random

from blake3 import blake3

from tests.faults.wire import Answer, ask
from tests.server.program import Running

OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class KilledError(Exception):
    """The server went away before it answered."""


@dataclass
class History:
    """What must be there, and what may."""

    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """(repository, digest) → bytes, of answers 201."""
    tags: dict[tuple[str, str], list[bytes]] = field(default_factory=dict)
    """(repository, tag) → manifests it may point to: the last acknowledged first, then those that hung."""
    manifests: dict[tuple[str, str], bytes] = field(default_factory=dict)
    packages: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    """(repository, version) → files."""
    open_packages: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    """As `packages`, asked for but not acknowledged."""
    sessions: dict[str, bytes] = field(default_factory=dict)
    """Location of an upload in pieces that was not completed → all bytes that it is to have."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def acknowledged(self) -> int:
        """How many pushes were answered 201 so far."""
        return len(self.blobs) + len(self.manifests) + len(self.packages)


def _send(server: Running, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
    try:
        answer = ask(server, method, target, body, **headers)
    except (OSError, HTTPException) as error:
        raise KilledError from error
    assert answer.status < 500, (method, target, answer)
    return answer


class Client:
    """One client that pushes this and that, until the server is gone; it works in repositories of its own."""

    def __init__(self, server: Running, history: History, chance: Random, name: str) -> None:
        self._server = server
        self._history = history
        self._chance = chance
        self._name = name
        self._count = 0

    def work(self) -> None:
        """Push until the server does not answer any more."""
        kinds = (self._manifest, self._chunked, self._package, self._draft, self._native_session)
        try:
            while True:
                self._count += 1
                self._chance.choice(kinds)()
        except KilledError:
            return

    def _bytes(self) -> bytes:
        return self._chance.randbytes(self._chance.choice((0, 1, 100, 5_000, 200_000)))

    def _send(self, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
        return _send(self._server, method, target, body, **headers)

    def _blob(self, repository: str) -> bytes:
        data = self._bytes()
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
        return data

    def _chunked(self) -> None:
        repository, data = f"{self._name}/chunked", self._chance.randbytes(60_000)
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
            self._history.tags[repository, tag] = [body]
            self._history.manifests[repository, sha256(body)] = body

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


def verify(server: Running, history: History) -> None:
    """Everything acknowledged is there, byte for byte; nothing else is half there; uploads go on."""
    for (repository, digest), data in history.blobs.items():
        answer = ask(server, "GET", f"/v2/{repository}/blobs/{digest}")
        assert (answer.status, answer.body == data) == (200, True), (repository, digest, answer.status)
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
    for place, data in list(history.sessions.items()):
        _resume(server, place, data, history)
    history.sessions.clear()
    for repository in {repository for repository, _ in history.tags}:
        listed = ask(server, "GET", f"/v2/{repository}/tags/list").json()["tags"]
        assert set(listed) <= {tag for owner, tag in history.tags if owner == repository}


def _verify_tag(server: Running, repository: str, tag: str, may_be: list[bytes], history: History) -> None:
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
    history.manifests[repository, sha256(answer.body)] = answer.body
    may_be[:] = [answer.body]


def _verify_package(server: Running, repository: str, version: str, files: dict[str, bytes]) -> None:
    target = f"/api/v1/packages/{repository}:{version}"
    shown = ask(server, "GET", target)
    assert shown.status == 200, (target, shown)
    assert [file["relative_path"] for file in shown.json()["files"]] == sorted(files)
    for path, data in files.items():
        answer = ask(server, "GET", f"{target}/files/{path}")
        assert (answer.status, answer.body == data) == (200, True), (target, path)
    assert ask(server, "GET", f"/v2/{repository}/manifests/{version}").status == 200


def _resume(server: Running, place: str, data: bytes, history: History) -> None:
    """Go on from the offset that the server reports, which may be less than what it had acknowledged."""
    if place.startswith("/v2/"):
        state = ask(server, "GET", place)
        repository = place[4:].partition("/blobs/")[0]
        if state.status == 404:  # its last PUT was done, and only the answer was lost
            assert ask(server, "GET", f"/v2/{repository}/blobs/{sha256(data)}").body == data
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
        return
    offset = int(ask(server, "HEAD", place).headers["upload-offset"])
    assert offset <= len(data)
    answer = ask(server, "PATCH", place, data[offset:], Upload_Offset=str(offset))
    assert answer.status == 204, answer
    done = ask(server, "POST", f"{place}/complete")
    assert done.json()["digests"]["sha256"] == sha256(data)
