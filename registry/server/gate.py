"""Which connections are being answered, so that a server can stop without breaking what is under way.

aiohttp's own shutdown drops the rest of a body that is still arriving. This one lets every request finish,
body and all, and closes a connection when it has nothing more to say.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

#: After the time to drain, what is left is cancelled and gets so many seconds to clean up.
_CANCEL_SECONDS = 2.0


class Gate:
    """Wraps the handler and counts. `drain` is called once, after the listening sockets are closed.

    `wind_down` may come long before: a proxy then learns with each answer that it shall not come back on that
    connection, before one that it holds for idle is closed under its next request.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._busy: set[asyncio.BaseProtocol] = set()
        self._endless: set[asyncio.Task[web.StreamResponse]] = set()
        self._closing = False
        self._draining = False
        self._quiet = asyncio.Event()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; while winding down, the last one of its connection."""
        protocol = request.protocol
        self._busy.add(protocol)
        try:
            if "text/event-stream" in request.headers.get("Accept", ""):
                response = await self._follow(request)
            else:
                response = await self._handler(request)
            if self._closing and not response.prepared:
                response.force_close()
            return response
        finally:
            self._busy.discard(protocol)
            if self._closing:
                protocol.close()
                self._check()

    def wind_down(self) -> None:
        """From now on each answer ends its connection."""
        self._closing = True

    async def drain(self, server: web.Server, seconds: float) -> None:
        """Close idle connections now and the others when they are answered, after `seconds` at the latest."""
        self.wind_down()
        self._draining = True
        for stream in self._endless:
            stream.cancel()  # a follower comes back with Last-Event-ID
        for connection in server.connections:
            if connection not in self._busy:
                connection.force_close()
        self._check()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._quiet.wait(), seconds)
        await server.shutdown(_CANCEL_SECONDS)

    async def _follow(self, request: web.BaseRequest) -> web.StreamResponse:
        """An event stream has no end of its own, so nobody waits for it."""
        stream = asyncio.ensure_future(self._handler(request))
        self._endless.add(stream)
        try:
            return await stream
        finally:
            self._endless.discard(stream)
            stream.cancel()

    def _check(self) -> None:
        if self._draining and not self._busy:
            self._quiet.set()
