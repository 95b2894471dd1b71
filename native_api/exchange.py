"""One request and what its handler needs to answer it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from aiohttp import web

from native_api import render
from native_api.limits import Limits
from native_api.query import Query
from native_api.table.operation import JSON
from registry.contract.digest import Digest
from registry.contract.model import Reading
from registry.contract.store import Session
from registry.http.body import body_stream
from registry.http.conditional import etag, not_modified
from registry.http.send import send_bytes, send_reading

#: What a tag means may change at any moment; an ETag makes asking again cheap.
NO_CACHE = "no-cache"
#: What is named by its digest never changes, and is still only for who may read it.
IMMUTABLE = "private, max-age=31536000, immutable"
#: Stored HTML or SVG is shown without scripts, forms or this server's origin.
SANDBOX = "sandbox; default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class Exchange:
    """`media_type` is what `Accept` chose of what the operation offers, empty where it offers bytes."""

    request: web.BaseRequest
    session: Session
    query: Query
    limits: Limits
    media_type: str

    def document(
        self, document: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> web.StreamResponse:
        """Answer with JSON."""
        lines = {"Content-Type": JSON, "Cache-Control": NO_CACHE, **(headers or {})}
        return send_bytes(self.request, status, render.encode(document), lines)

    def tagged_document(
        self, document: object, digest: Digest, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> web.StreamResponse:
        """Answer with JSON whose ETag is `digest`, or on a read with 304 when the client has it."""
        lines = {"ETag": etag(digest), **(headers or {})}
        if self.request.method in ("GET", "HEAD") and not_modified(self.request, digest):
            return send_bytes(self.request, 304, headers={"Cache-Control": NO_CACHE, **lines})
        return self.document(document, status, lines)

    def empty(self, status: int, headers: Mapping[str, str] | None = None) -> web.StreamResponse:
        """Answer without a body."""
        return send_bytes(self.request, status, headers=headers or {})

    async def reading(self, reading: Reading, headers: Mapping[str, str]) -> web.StreamResponse:
        """Answer with stored bytes or a range of them, which no browser may run as this server's own page."""
        sandboxed = {**headers, "Content-Security-Policy": SANDBOX}
        return await send_reading(self.request, reading, sandboxed, stall_timeout=self.limits.stall_timeout)

    def body(self) -> AsyncIterator[bytes]:
        """The request's body as it arrives."""
        return body_stream(self.request, self.limits.idle_timeout)
