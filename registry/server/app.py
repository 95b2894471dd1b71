"""One request's way through the server: counted, identified, authenticated, handed to its face."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

from registry.contract.model import Principal
from registry.contract.store import Session
from registry.http.response import HEAD_LINES
from registry.server.auth import Authenticator
from registry.server.board import Row
from registry.server.logs import Access, request_id
from registry.server.operations import Operations, not_found
from registry.server.routes import OPERATIONS, is_native, is_oci, route_of

#: Ids that clients may bring along: they end up in logs and in our answer.
_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

#: Seconds that access lines are gathered before they are written together.
_GATHER = 0.2

_SERVER = "Server: artifact-store"

#: nginx's number for a client that left before its answer; never sent.
_CLIENT_LEFT = 499


class Face(Protocol):
    """`oci.Face` and `native_api.Face`: one HTTP dialect of the store."""

    async def handle(self, request: web.BaseRequest, session: Session) -> web.StreamResponse: ...


class ServerRequest(web.BaseRequest):
    """A request whose responses carry the server's own header lines, however they are sent."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        # aiohttp calls this for responses that build their head from `headers`.
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("X-Request-Id", request_id.get())
        response.headers.setdefault("Server", "artifact-store")


class App:
    """Dispatch and bookkeeping. `sessions` gives a principal its session, `access` writes access lines."""

    def __init__(
        self,
        *,
        oci: Face,
        native: Face,
        operations: Operations,
        authenticator: Authenticator,
        sessions: Callable[[Principal], Session],
        row: Row,
        access: Callable[[list[Access]], None] | None,
        behind_proxy: bool,
    ) -> None:
        self._oci = oci
        self._native = native
        self._operations = operations
        self._authenticator = authenticator
        self._sessions = sessions
        self._row = row
        self._access = access
        self._behind_proxy = behind_proxy
        self._loop = asyncio.get_running_loop()
        self._gathered: list[Access] = []
        # Unique over workers and restarts, and short: the log's reader finds a request by it.
        self._id_prefix = secrets.token_hex(4)
        self._id_number = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request. aiohttp's low-level server calls this."""
        begun = time.perf_counter()
        path = request.rel_url.raw_path
        identity = self._identify(request)
        request[HEAD_LINES] = (
            f"X-Content-Type-Options: nosniff\r\nX-Request-Id: {identity}\r\n{_SERVER}\r\n".encode()
        )
        self._row.add("in_flight", 1)
        status, bytes_out = _CLIENT_LEFT, 0
        try:
            response = await self._dispatch(request, path)
            status = response.status
            bytes_out = _length(request, response)
            return response
        finally:
            self._row.add("in_flight", -1)
            seconds = time.perf_counter() - begun
            bytes_in = getattr(request.content, "total_bytes", 0)
            self._row.request(
                route_of(path),
                request.method,
                status,
                seconds=seconds,
                bytes_in=bytes_in,
                bytes_out=bytes_out,
            )
            if self._access is not None:
                self._gather(
                    Access(
                        time=time.time(),
                        request_id=identity,
                        remote=self._remote(request),
                        method=request.method,
                        target=request.raw_path,
                        status=status,
                        bytes_in=bytes_in,
                        bytes_out=bytes_out,
                        seconds=seconds,
                        agent=request.headers.get("User-Agent", ""),
                    )
                )

    def flush(self) -> None:
        """Hand over the access lines gathered so far."""
        if self._access is not None and self._gathered:
            gathered, self._gathered = self._gathered, []
            self._access(gathered)

    def _dispatch(self, request: web.BaseRequest, path: str) -> Awaitable[web.StreamResponse]:
        if is_oci(path):
            return self._face(self._oci, request)
        if is_native(path):
            return self._face(self._native, request)
        if path in OPERATIONS:
            return self._operations.handle(request, path)
        return _nothing(request)

    async def _face(self, face: Face, request: web.BaseRequest) -> web.StreamResponse:
        principal = await self._authenticator.authenticate(request)
        return await face.handle(request, self._sessions(principal))

    def _identify(self, request: web.BaseRequest) -> str:
        given = request.headers.get("X-Request-Id")
        if given is not None and _SANE_ID.fullmatch(given):
            identity = given
        else:
            self._id_number += 1
            identity = f"{self._id_prefix}-{self._id_number:x}"
        request_id.set(identity)
        return identity

    def _remote(self, request: web.BaseRequest) -> str:
        if self._behind_proxy:
            # The last entry is the one our proxy wrote; those before it are the client's word.
            forwarded = request.headers.get("X-Forwarded-For")
            if forwarded:
                return forwarded.rpartition(",")[2].strip()[:64]
        return request.remote or "-"

    def _gather(self, entry: Access) -> None:
        if not self._gathered:
            self._loop.call_later(_GATHER, self.flush)
        self._gathered.append(entry)


async def _nothing(request: web.BaseRequest) -> web.StreamResponse:
    return not_found(request)


def _length(request: web.BaseRequest, response: web.StreamResponse) -> int:
    """Bytes of the answer: those sent by now, or those that will follow when the handler has returned."""
    if response.body_length:
        return response.body_length
    return 0 if request.method == "HEAD" else response.content_length or 0
