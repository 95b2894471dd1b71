"""Images and packages that clients push to delete them again, and what deletion promises across crashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from tests.faults.wire import Listener, ask

_IMAGE = "application/vnd.oci.image.manifest.v1+json"
#: Method, target, body and headers of a request.
Request = tuple[str, str, bytes, dict[str, str]]


class Life(Enum):
    """How far it is."""

    COMING = "its push was not answered: all of it is there, or its manifest is not"
    SURE = "its push was answered: all of it is there"
    GOING = "its deletion was not answered: all of it is there, or its manifest is not"
    GONE = "its deletion was answered: its manifest is not there, and its bytes are collected"


@dataclass
class Doomed:
    """One of them. `target` is where its manifest or package is deleted, `shows` where each way reads it."""

    repository: str
    reference: str
    files: Sequence[bytes]
    target: str
    manifest: bytes | None
    life: Life = Life.COMING

    @classmethod
    def image(cls, repository: str, reference: str, files: Sequence[bytes]) -> Doomed:
        described = [
            {"mediaType": "application/x", "digest": _sha256(data), "size": len(data)} for data in files
        ]
        document = {
            "schemaVersion": 2,
            "mediaType": _IMAGE,
            "config": described[0],
            "layers": described[1:],
            "annotations": {"doomed": reference},
        }
        body = json.dumps(document).encode()
        target = f"/v2/{repository}/manifests/{_sha256(body)}"
        return cls(repository, reference, files, target, body)

    @classmethod
    def package(cls, repository: str, reference: str, files: Sequence[bytes]) -> Doomed:
        return cls(repository, reference, files, f"/api/v1/packages/{repository}:{reference}", None)

    def pushes(self) -> Iterator[Request]:
        """The requests that make it, each answered 201."""
        if self.manifest is None:
            for number, data in enumerate(self.files):
                yield "PUT", f"{self.target}/files/f/{number}", data, {}
            yield "POST", f"{self.target}/finalize", b"", {}
            return
        for data in self.files:
            yield "POST", f"/v2/{self.repository}/blobs/uploads/?digest={_sha256(data)}", data, {}
        by_tag = f"/v2/{self.repository}/manifests/{self.reference}"
        yield "PUT", by_tag, self.manifest, {"Content_Type": _IMAGE}

    def ways(self) -> list[str]:
        """Every target under which it reads as a whole."""
        return [self.target, f"/v2/{self.repository}/manifests/{self.reference}"]

    def contents(self) -> list[tuple[str, bytes]]:
        """Targets and bytes of its files."""
        return [(f"/v2/{self.repository}/blobs/{_sha256(data)}", data) for data in self.files]


def verify_doomed(server: Listener, all_doomed: Sequence[Doomed]) -> None:
    """What is sure is there, what is gone stays away, and nothing is there in part."""
    for doomed in all_doomed:
        statuses = {ask(server, "GET", way).status for way in doomed.ways()}
        if statuses == {200}:
            assert doomed.life is not Life.GONE, f"{doomed.target} is back again"
            for target, data in doomed.contents():
                answer = ask(server, "GET", target)
                assert (answer.status, answer.body == data) == (200, True), (target, answer.status)
            doomed.life = Life.SURE
        else:
            assert statuses == {404}, (doomed.target, doomed.life, statuses)
            assert doomed.life is not Life.SURE, f"{doomed.target} is lost"
            doomed.life = Life.GONE


def verify_collected(server: Listener, all_doomed: Sequence[Doomed]) -> int:
    """After a collection that waited for nothing: what is gone left no bytes. How many were looked for."""
    targets = [target for doomed in all_doomed if doomed.life is Life.GONE for target, _ in doomed.contents()]
    left = [target for target in targets if ask(server, "HEAD", target).status != 404]
    assert left == [], f"{len(left)} of {len(targets)} contents of what was deleted are still there"
    return len(targets)


def _sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
