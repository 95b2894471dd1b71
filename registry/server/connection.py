"""One client's connection, and what it is told when it does not speak HTTP."""

from __future__ import annotations

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

#: Letters of the parser's complaint that are passed on. The rest is the client's own bytes.
_COMPLAINT = 120


class Connection(web.RequestHandler):
    """aiohttp's, but for the answer to a malformed request: one line, not the request sent back."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if isinstance(exc, HttpProcessingError) and message:
            complaint = message.splitlines()[0].rstrip(":")[:_COMPLAINT]
            message = f"this is not a request that HTTP knows: {complaint}\n"
        answer = super().handle_error(request, status, exc, message)
        answer.headers["Server"] = "artifact-store"
        return answer


class ConnectionServer(web.Server):
    """Makes a `Connection` for each client."""

    def __call__(self) -> Connection:
        return Connection(self, loop=self._loop, **self._kwargs)
