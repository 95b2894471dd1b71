"""A registry that asks who is there: a token service, and a gate in front of another registry."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import aiohttp
from aiohttp import web
from yarl import URL

USER, PASSWORD, REFRESH = "robot", "s3:cret", "refresh-me"
_HOP = {"transfer-encoding", "connection", "content-length", "host"}


@dataclass
class Gate:
    """Asks by `scheme` ("Basic" or "Bearer"). Keeps the scopes of tokens and what a redirect's target saw."""

    upstream: str
    scheme: str
    scopes: list[str] = field(default_factory=list)
    forms: list[str] = field(default_factory=list)
    seen_elsewhere: list[str | None] = field(default_factory=list)
    address: str = ""
    elsewhere: str = ""

    async def __aenter__(self) -> Gate:
        self._session = aiohttp.ClientSession(auto_decompress=False)
        self._runners = [web.ServerRunner(web.Server(handler)) for handler in (self._gate, self._elsewhere)]
        addresses = []
        for runner in self._runners:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            addresses.append(f"127.0.0.1:{runner.addresses[0][1]}")
        self.address, self.elsewhere = addresses
        return self

    async def __aexit__(self, *_: object) -> None:
        for runner in self._runners:
            await runner.cleanup()
        await self._session.close()

    async def _gate(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/token":
            return await self._token(request)
        given = request.headers.get("Authorization")
        if self.scheme == "Basic":
            if given != _basic(USER, PASSWORD):
                return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="gate"'})
        elif given != "Bearer token-for-" + self._scope(request).replace(" ", ""):
            challenge = (
                f'Bearer realm="http://{self.address}/token",service="gate",scope="{self._scope(request)}"'
            )
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        if request.method == "GET" and "/blobs/sha256:" in request.path:
            return web.Response(status=307, headers={"Location": f"http://{self.elsewhere}{request.path}"})
        return await self._forward(request)

    async def _elsewhere(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen_elsewhere.append(request.headers.get("Authorization"))
        return await self._forward(request)

    async def _token(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "POST":
            form = parse_qs((await request.read()).decode())
            self.forms.append(form["grant_type"][0])
            allowed, scope = form["refresh_token"] == [REFRESH], form["scope"][0]
        else:
            allowed = request.headers.get("Authorization") == _basic(USER, PASSWORD)
            scope = request.query["scope"]
        if not allowed:
            return web.json_response({"errors": [{"code": "DENIED", "message": "who?"}]}, status=401)
        self.scopes.append(scope)
        return web.json_response({"token": "token-for-" + scope})

    def _scope(self, request: web.BaseRequest) -> str:
        repository = request.path.removeprefix("/v2/").partition("/blobs")[0].partition("/manifests")[0]
        actions = "pull" if request.method in ("GET", "HEAD") else "pull,push"
        return f"repository:{repository}:{actions}"

    async def _forward(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _HOP}
        headers.pop("Authorization", None)
        async with self._session.request(
            request.method,
            URL(f"http://{self.upstream}{request.raw_path}", encoded=True),
            headers=headers,
            data=io.BytesIO(await request.content.read()),
            allow_redirects=False,
        ) as answer:
            kept = {key: value for key, value in answer.headers.items() if key.lower() not in _HOP}
            if request.method == "HEAD" and "Content-Length" in answer.headers:
                kept["Content-Length"] = answer.headers["Content-Length"]
            kept["Location"] = kept.get("Location", "").replace(f"http://{self.upstream}", "")
            return web.Response(status=answer.status, headers=kept, body=await answer.read())


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
