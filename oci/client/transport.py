"""Requests to one registry: TLS, authorization, redirects, idle limits. The home of aiohttp's client."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from oci.client.auth import Authorizer, scope_of
from oci.client.backoff import Backoff
from oci.client.credentials import Credentials
from oci.client.errors import ClientError, ContentError, UnreachableError, response_error
from oci.client.reference import is_loopback

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_LARGEST_ERROR = 64 * 1024
_DOCKER_HUB = frozenset({"docker.io", "index.docker.io"})


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """How to reach a registry. `idle` is in seconds, and limits silence, never a whole request.

    `plain_http` None: http for this machine unless `ca` or `verify` speak of TLS, https elsewhere. `proxy`
    gives the proxy for (scheme, host), or None. `credentials` looks up what to answer a challenge with.
    """

    plain_http: bool | None = None
    verify: bool = True
    ca: Path | None = None
    idle: float = 120.0
    connections: int = 16
    backoff: Backoff = field(default_factory=Backoff)
    proxy: Callable[[str, str], str | None] = lambda scheme, host: None
    credentials: Callable[[str], Awaitable[Credentials | None]] | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body: `open` starts it anew for each attempt, `length` is in bytes."""

    open: Callable[[], AsyncIterable[bytes]]
    length: int


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. Header names are matched without regard to case; `url` is where it came from."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class Transport:
    """One registry at `host[:port]`. An async context manager; use it in the loop that made it."""

    def __init__(self, host: str, settings: TransportSettings) -> None:
        self.host = host
        self._settings = settings
        self.backoff = settings.backoff
        plain = settings.plain_http
        if plain is None:
            plain = is_loopback(host) and settings.verify and settings.ca is None
        server = "registry-1.docker.io" if host in _DOCKER_HUB else host
        self.base = f"{'http' if plain else 'https'}://{server}"
        self._origin = _origin(self.base)
        self._session: aiohttp.ClientSession | None = None
        self._answered = False
        self._authorizer = Authorizer(host, self._send_bare, self._credentials, secure=not plain)

    async def __aenter__(self) -> Transport:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._settings.connections, ssl=_tls(self._settings)),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=self._settings.idle),
            headers={"User-Agent": "artifact-store", "Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def resolve(self, location: str, against: str | None = None) -> str:
        """`location` as an absolute URL. A registry that is reached by https stays so."""
        url = urljoin(against or self.base + "/", location)
        parts = urlsplit(url)
        secure = urlsplit(self.base)
        if secure.scheme == "https" and parts.scheme == "http" and parts.hostname == secure.hostname:
            url = f"https://{secure.netloc}" + url[len("http://") + len(parts.netloc) :]
        return url

    async def request(
        self,
        method: str,
        location: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Body | None = None,
        accept: tuple[int, ...] = (200,),
        limit: int = 8 * 1024 * 1024,
        repeat: bool = True,
    ) -> Reply:
        """One request, repeated while that may help (`repeat`). `limit` caps the answer, in bytes.

        Raises ResponseError for a status outside `accept`, UnreachableError, ContentError beyond `limit`.
        """
        failures = 0
        while True:
            try:
                async with self.exchange(
                    method, location, headers=headers, body=body, accept=accept
                ) as response:
                    data = await self._read(response, limit)
                    return Reply(response.status, response.headers, data, str(response.url))
            except ClientError as error:
                if not repeat:
                    raise
                failures += 1
                await self._settings.backoff.wait(failures, error)

    @asynccontextmanager
    async def exchange(
        self,
        method: str,
        location: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Body | None = None,
        accept: tuple[int, ...] = (200,),
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request whose answer is still to be read; errors of the network in the block are translated.

        Answers a challenge once and follows redirects, to other origins without authorization.
        """
        url = self.resolve(location)
        scope = scope_of(method, urlsplit(url).path)
        what = f"{method} {urlsplit(url).path} at {self.host}"
        sent_header = self._authorizer.header(scope)
        challenged = False
        redirects = 0
        with self._translated(what):
            while True:
                if self.base.startswith("https:") and not url.startswith("https:"):
                    raise ContentError(f"{self.host} leads from https to {url}, which is not followed")
                own = _origin(url) == self._origin
                extra = {"Authorization": sent_header} if own and sent_header else {}
                async with self._open(method, url, {**(headers or {}), **extra}, body) as response:
                    target = response.headers.get("Location")
                    if response.status in _REDIRECTS and method in ("GET", "HEAD") and target:
                        redirects += 1
                        url = self._redirected(url, target, redirects)
                        continue
                    if response.status == 401 and own and not challenged:
                        challenged = True
                        await response.read()
                        sent_header = await self._authorizer.answer(
                            scope, sent_header, response.headers.getall("WWW-Authenticate", [])
                        )
                        continue
                    if response.status == 401 and own:
                        raise self._authorizer.refusal()
                    if response.status not in accept:
                        explanation = b"" if method == "HEAD" else await response.content.read(_LARGEST_ERROR)
                        raise response_error(what, response.status, response.headers, explanation)
                    yield response
                    return

    def _redirected(self, url: str, location: str, redirects: int) -> str:
        target = urljoin(url, location)
        if redirects > _MOST_REDIRECTS:
            raise ContentError(f"{self.host} redirects in a circle")
        return target

    @asynccontextmanager
    async def _open(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Body | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("the transport is used outside its context")
        parts = urlsplit(url)
        idle = self._settings.idle
        data: object = body
        sent = dict(headers)
        # A peer that stops reading never shows as a read timeout, so the sending side has a deadline of its
        # own, moved on with each piece that is handed over, and lifted once the answer is there.
        async with asyncio.timeout(None) as deadline:
            if isinstance(body, Body):
                sent["Content-Length"] = str(body.length)
                data = _watched(body, deadline, idle) if body.length else b""
            elif isinstance(body, bytes):
                data = io.BytesIO(body)  # aiohttp then sends it in pieces
            response = await self._session.request(
                method,
                URL(url, encoded=True),
                headers=sent,
                data=data,
                allow_redirects=False,
                proxy=self._settings.proxy(parts.scheme, parts.hostname or ""),
            )
            deadline.reschedule(None)
        self._answered = True
        async with response:
            yield response

    async def _read(self, response: aiohttp.ClientResponse, limit: int) -> bytes:
        data = bytearray()
        async for piece in response.content.iter_any():
            data += piece
            if len(data) > limit:
                raise ContentError(f"{self.host} answers with more than {limit} bytes")
        return bytes(data)

    async def _send_bare(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        with self._translated(f"{method} {urlsplit(url)._replace(query='').geturl()}"):
            async with self._open(method, url, headers, body) as response:
                return response.status, response.headers, await self._read(response, 1024 * 1024)

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """Turns what aiohttp and asyncio raise into UnreachableError, with a sentence.

        A registry that never answered is not worth waiting for; one that has may just be starting again.
        """
        try:
            yield
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
            hint = "name its authority with --ca, or use --plain-http if it speaks no TLS"
            raise UnreachableError(f"{what}: no trust in it ({error}); {hint}", transient=False) from None
        except aiohttp.ClientConnectorError as error:
            reason = f"{what}: cannot connect: {_reason(error.os_error)}"
            hint = "" if self._answered else "; is a registry running there?"
            raise UnreachableError(reason + hint, transient=self._answered) from None
        except TimeoutError:
            raise UnreachableError(f"{what}: no sign of life for too long") from None
        except (aiohttp.ClientError, OSError) as error:
            text = str(error) or type(error).__name__
            # A listener that wants TLS hangs up on http without a word.
            plain = self.base.startswith("http:") and not self._answered
            hint = "; if it speaks TLS, name its authority with --ca" if plain else ""
            raise UnreachableError(f"{what}: the connection broke off: {text}{hint}") from None

    async def _credentials(self) -> Credentials | None:
        look_up = self._settings.credentials
        return None if look_up is None else await look_up(self.host)


async def _watched(body: Body, deadline: asyncio.Timeout, idle: float) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    deadline.reschedule(loop.time() + idle)
    async for piece in body.open():
        yield piece
        deadline.reschedule(loop.time() + idle)


def _reason(error: OSError) -> str:
    """The system's word for it; asyncio puts the call and the address into its own."""
    if isinstance(error, socket.gaierror) or not error.errno or error.errno < 0:
        return error.strerror or str(error)
    return os.strerror(error.errno)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _tls(settings: TransportSettings) -> ssl.SSLContext | bool:
    if not settings.verify:
        return False
    if settings.ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(settings.ca))
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or error.strerror or error
        raise UnreachableError(f"cannot read {settings.ca}: {reason}", transient=False) from None
