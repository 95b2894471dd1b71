"""An endpoint for webhooks that does what a test says, and writes down what came."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

Behaviour = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Post:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


async def take(_request: web.Request, _body: bytes) -> web.StreamResponse:
    return web.Response(status=204)


def answer(status: int, **headers: str) -> Behaviour:
    """Answer so."""

    async def behave(_request: web.Request, _body: bytes) -> web.StreamResponse:
        return web.Response(status=status, headers=headers)

    return behave


async def hang(_request: web.Request, _body: bytes) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


async def close(request: web.Request, _body: bytes) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@dataclass
class Receiver:
    """`posts` is everything that came, `taken` what was answered with success."""

    url: str
    behaviour: Behaviour = take
    posts: list[Post] = field(default_factory=list)
    taken: list[Post] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        post = Post(request.path_qs, dict(request.headers), await request.read())
        self.posts.append(post)
        answer = await self.behaviour(request, post.body)
        if 200 <= answer.status < 300:
            self.taken.append(post)
        return answer

    def seqs(self) -> list[int]:
        """What was taken, in its order."""
        return [post.event["data"]["seq"] for post in self.taken]


@asynccontextmanager
async def receiving(port: int = 0, certificate: Path | None = None) -> AsyncIterator[Receiver]:
    """An endpoint on loopback, with TLS where it has a certificate."""
    app = web.Application()
    receiver = Receiver("")
    app.router.add_route("*", "/{tail:.*}", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    tls = None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls)
    await site.start()
    receiver.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}/hook?x=1"
    try:
        yield receiver
    finally:
        await runner.cleanup()
