"""One blob into a repository: one PUT when small, else chunked and resumable.

Source: distribution-spec, "Pushing blobs".
"""

from __future__ import annotations

import re

from oci.client.errors import ContentError, ResponseError
from oci.client.journal import Journal, UploadKey
from oci.client.progress import Progress
from oci.client.registry import RegistryClient, with_digest
from oci.client.resumable import Place, ResumableUpload
from oci.client.source import Source
from oci.client.transport import Body, Reply
from registry.contract.digest import Digest
from registry.contract.names import Repository

#: Up to this size a blob goes in one PUT: sending it again costs less than remembering it.
SMALL = 1024 * 1024

_OCTETS = {"Content-Type": "application/octet-stream"}
_RANGE = re.compile(r"(?:bytes[= ])?0-(-?\d{1,19})")


async def push_blob(
    registry: RegistryClient,
    repository: Repository,
    digest: Digest,
    source: Source,
    *,
    journal: Journal,
    progress: Progress,
) -> bool:
    """Make sure that the repository has the blob; False when it had it already. Raises ClientError."""
    if await registry.has_blob(repository, digest):
        progress.advance(source.size)
        return False
    wire = OciWire(registry, repository, digest)
    if source.size <= SMALL:
        data = b"".join([piece async for piece in source.read(0, source.size)])
        await wire.put(data)
        progress.advance(source.size)
        return True
    with journal.entry(UploadKey(registry.transport.base, repository, digest)) as entry:
        backoff = registry.transport.backoff
        await ResumableUpload(wire, source, entry=entry, backoff=backoff, progress=progress).run()
    return True


class OciWire:
    """The steps of a `Wire` in the distribution API."""

    def __init__(self, registry: RegistryClient, repository: Repository, digest: Digest) -> None:
        self._registry = registry
        self._request = registry.transport.request
        self._repository = repository
        self._digest = digest
        self._start_refused = False

    async def put(self, data: bytes) -> None:
        """A whole small blob: POST, then PUT."""
        place = await self.begin()
        location = with_digest(place.location, self._digest)
        await self._request("PUT", location, headers=_OCTETS, body=data, accept=(201, 204))

    async def begin(self) -> Place:
        reply = await self._request(
            "POST", f"/v2/{self._repository}/blobs/uploads/", headers={"Content-Length": "0"}, accept=(202,)
        )
        smallest = reply.headers.get("OCI-Chunk-Min-Length", "")
        return Place(self._location(reply), 0, int(smallest) if re.fullmatch(r"[0-9]{1,12}", smallest) else 0)

    async def status(self, location: str) -> Place:
        reply = await self._request("GET", location, accept=(204, 200, 202))
        match = _RANGE.fullmatch(reply.headers.get("Range", "0-0").strip())
        if match is None:
            raise ContentError(f"{self._registry.transport.host} says nothing usable about an upload's Range")
        offset = max(0, int(match[1]) + 1)
        if match[1] == "0":
            # `0-0` says "nothing" and "one byte" alike: the second only once the first was refused.
            offset = 1 if self._start_refused else 0
            self._start_refused = False
        moved = self._location(reply) if "Location" in reply.headers else location
        return Place(moved, offset)

    async def append(self, location: str, start: int, body: Body) -> str:
        headers = {**_OCTETS, "Content-Range": f"{start}-{start + body.length - 1}"}
        try:
            reply = await self._request(
                "PATCH", location, headers=headers, body=body, accept=(202, 201, 204), repeat=False
            )
        except ResponseError as error:
            self._start_refused = error.status == 416 and start == 0
            raise
        return self._location(reply)

    async def finish(self, location: str) -> None:
        await self._request(
            "PUT",
            with_digest(location, self._digest),
            headers={"Content-Length": "0"},
            accept=(201, 204),
            repeat=False,
        )

    async def cancel(self, location: str) -> None:
        await self._request("DELETE", location, accept=(204, 202, 200), repeat=False)

    async def is_there(self) -> bool:
        return await self._registry.has_blob(self._repository, self._digest)

    def _location(self, reply: Reply) -> str:
        location = reply.headers.get("Location")
        if not location:
            raise ContentError(
                f"{self._registry.transport.host} does not say where the upload is (no Location)"
            )
        return self._registry.transport.resolve(location, reply.url)
