"""The three ways to send a blob in pieces: of OCI, of the native API, and tus."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
from blake3 import blake3

from tests.server.oci_pushes import digest_of

_NATIVE = "/api/v1/uploads"
_TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


@dataclass(frozen=True)
class Way:
    """`oci`, `native` or `tus`. A client is of whichever replica is to take the request."""

    name: str

    def __str__(self) -> str:
        return self.name

    @property
    def taken(self) -> int:
        """The status for bytes that were taken."""
        return 202 if self.name == "oci" else 204

    def begin(self, client: httpx.Client, size: int) -> str:
        """Where the upload is."""
        if self.name == "oci":
            answer = client.post("/v2/up/load/blobs/uploads/")
        elif self.name == "native":
            answer = client.post(_NATIVE, json={"size": size, "repository": "up/load"})
        else:
            answer = client.post(_NATIVE, headers={"Tus-Resumable": "1.0.0", "Upload-Length": str(size)})
        assert answer.status_code in (201, 202), answer.text
        return str(answer.headers["Location"])

    def fields(self, offset: int, length: int) -> dict[str, str]:
        """The headers of a piece."""
        if self.name == "oci":
            span = f"{offset}-{offset + length - 1}"
            return {"Content-Range": span, "Content-Type": "application/octet-stream"}
        return {"Upload-Offset": str(offset), **(_TUS if self.name == "tus" else {})}

    def send(self, client: httpx.Client, place: str, offset: int, data: bytes) -> httpx.Response:
        return client.patch(place, content=data, headers=self.fields(offset, len(data)))

    def reached(self, client: httpx.Client, place: str) -> int:
        """How much has arrived, which one byte that is told as none is not."""
        if self.name == "oci":
            answer = client.get(place)
            assert answer.status_code == 204, answer.text
            last = int(answer.headers["Range"].partition("-")[2])
            return last + 1 if last else 0
        return int(client.head(place, headers={"Tus-Resumable": "1.0.0"}).headers["Upload-Offset"])

    def complete(self, client: httpx.Client, place: str, data: bytes) -> int:
        """Say that all of `data` was sent, where that is to be said; the status, which is 201."""
        if self.name == "oci":
            return client.put(place, params={"digest": digest_of(data)}).status_code
        return client.post(f"{place}/complete").status_code

    def read(self, client: httpx.Client, data: bytes) -> bytes:
        """The blob, by the digest of `data`."""
        if self.name == "oci":
            answer = client.get(f"/v2/up/load/blobs/{digest_of(data)}")
        else:
            answer = client.get(f"/api/v1/content/blake3:{blake3(data).hexdigest()}")
        assert answer.status_code == 200, answer.text
        return answer.content


WAYS = (Way("oci"), Way("native"), Way("tus"))
