"""What a handler works with: the HTTP request, the caller's session, the limits; and how it answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from registry.contract.model import Reading
from registry.contract.store import Session
from registry.http.body import body_stream, read_capped
from registry.http.response import Headers, header_lines
from registry.http.send import send_bytes, send_reading

#: In every answer under /v2/: Docker's clients look for it.
API_VERSION = ("Docker-Distribution-Api-Version", "registry/2.0")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may ask for and how long it may take."""

    #: Bytes of a manifest. A registry has to take 4 MiB (distribution-spec, "Pushing Manifests").
    manifest_bytes: int = 4 * 1024 * 1024
    #: Bytes of a page of referrers, which is an image index and so bound by the same.
    index_bytes: int = 4 * 1024 * 1024
    #: Entries of a page of tags or repositories, asked for or not.
    page: int = 1000
    #: Referrers of a page. Larger, because some clients (go-containerregistry) never ask for a second page.
    referrers: int = 4000
    #: Seconds without a byte after which an upload request is given up.
    idle_timeout: float = 60.0
    #: Seconds without progress after which a download is cut off.
    stall_timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class Call:
    """One request on its way through a handler."""

    http: web.BaseRequest
    session: Session
    limits: Limits

    def header(self, name: str) -> str | None:
        return self.http.headers.get(name)

    def body(self) -> AsyncIterator[bytes]:
        """The body as it arrives."""
        return body_stream(self.http, self.limits.idle_timeout)

    async def manifest_body(self) -> bytes:
        """The body whole. Raises TOO_LARGE."""
        return await read_capped(self.http, self.limits.manifest_bytes, self.limits.idle_timeout)

    def answer(self, status: int, headers: Headers = (), body: bytes = b"") -> web.StreamResponse:
        """An answer with exactly these headers, the API version and what HTTP needs."""
        return send_bytes(self.http, status, body, (API_VERSION, *header_lines(headers)))

    def json(
        self,
        document: Mapping[str, Any],
        headers: Headers = (),
        content_type: str = "application/json",
    ) -> web.StreamResponse:
        """200 with a JSON document, its type exact."""
        body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        return self.answer(200, (("Content-Type", content_type), *header_lines(headers)), body)

    async def reading(self, reading: Reading, headers: Headers) -> web.StreamResponse:
        """The bytes, whole or in part."""
        return await send_reading(
            self.http, reading, (API_VERSION, *header_lines(headers)), stall_timeout=self.limits.stall_timeout
        )
