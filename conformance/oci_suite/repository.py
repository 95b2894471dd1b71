"""A repository of the registry under test: its endpoints, and the setting up that most checks begin with."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from .digests import digest_of
from .exchange import Exchange
from .expect import status
from .manifest import ACCEPT, DOCKER, Manifest
from .rule import Skip
from .session import OCTETS, Session
from .wire import Wire, with_query


@dataclass(frozen=True)
class Repository:
    """A repository name behind a wire. Methods named by a verb of the wire return whatever comes."""

    wire: Wire
    name: str

    def path(self, rest: str) -> str:
        """The path of something in this repository."""
        return f"/v2/{self.name}/{rest}"

    def blob(self, digest: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Exchange:
        """end-2 (GET, HEAD) and end-10 (DELETE)."""
        return self.wire.send(method, self.path(f"blobs/{digest}"), headers=headers)

    def manifest(
        self, reference: str, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> Exchange:
        """end-3 (GET, HEAD) and end-9 (DELETE)."""
        accept = {"Accept": ACCEPT} if headers is None else headers
        return self.wire.send(method, self.path(f"manifests/{reference}"), headers=accept)

    def put_manifest(self, reference: str, media_type: str, body: bytes, query: str = "") -> Exchange:
        """end-7."""
        target = self.path(f"manifests/{reference}{query}")
        return self.wire.send("PUT", target, headers={"Content-Type": media_type}, body=body)

    def post_upload(self, query: str = "", body: bytes | None = None) -> Exchange:
        """end-4a, end-4b, end-4c and end-11."""
        headers = {"Content-Length": "0"} if body is None else OCTETS
        return self.wire.send("POST", self.path(f"blobs/uploads/{query}"), headers=headers, body=body or b"")

    def tags(self, query: str = "") -> Exchange:
        """end-8."""
        return self.wire.send("GET", self.path(f"tags/list{query}"))

    def referrers(self, digest: str, artifact_type: str | None = None) -> Exchange:
        """end-12."""
        query = "" if artifact_type is None else f"?artifactType={quote(artifact_type, safe='')}"
        return self.wire.send("GET", self.path(f"referrers/{digest}{query}"))

    def begin(self, query: str = "") -> Session:
        """An upload session."""
        return Session(self.wire, self.post_upload(query))

    def single_post(self, data: bytes, digest: str) -> Exchange:
        """A blob in one POST; where the registry begins a session instead, the PUT that it asks for."""
        answer = self.post_upload(with_query("", "digest", digest), data)
        return Session(self.wire, answer).close(digest, data) if answer.status == 202 else answer

    def push_blob(self, data: bytes, algorithm: str = "sha256") -> str:
        """Set up: a blob that is there; its digest."""
        digest = digest_of(data, algorithm)
        status(self.begin().close(digest, data), 201, why="a blob is pushed by POST and PUT")
        return digest

    def push_content(self, manifest: Manifest) -> None:
        """Set up: all that a manifest refers to, but its subject."""
        for data in manifest.blobs:
            self.push_blob(data, manifest.algorithm)
        for child in manifest.children:
            self.push(child)

    def push(self, manifest: Manifest, reference: str | None = None) -> Exchange:
        """Set up: a manifest with all its content, by tag, or by its digest."""
        self.push_content(manifest)
        return status(self.offer(manifest, reference), 201, why="a manifest is pushed")

    def offer(self, manifest: Manifest, reference: str | None = None, query: str = "") -> Exchange:
        """A manifest whose content is there; Skip for a Docker manifest where the registry takes none."""
        answer = self.put_manifest(reference or manifest.digest, manifest.media_type, manifest.body, query)
        if manifest.media_type in DOCKER and answer.status in (400, 415):
            raise Skip("the registry takes no Docker manifests, as it may; push/manifests/docker tells")
        return answer
