"""Events to an HTTP endpoint, one POST each: CloudEvents in structured mode, signed (Standard Webhooks).

Only what the operator has set is ever connected to: redirects are not followed, proxies of the environment
are not used, cookies are not kept, and nothing of an answer but its status and Retry-After is looked at.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from registry.contract.cloudevents import JSON_EVENT, CloudEvent, structured
from registry.contract.delivery import Delivery, Failure, Trouble
from registry.contract.errors import ErrorKind, StoreError
from registry.sinks.signing import signed_headers

_WINDOW = 64
#: Events are given one after the other for so long; then the place is saved.
_BUDGET = 5.0
_AGENT = "artifact-store"

#: Answers that tell of the endpoint, not of the event: request timeout, too early, too many requests, and a
#: proxy that does not reach what is behind it.
_AWAY = frozenset({408, 425, 429, 502, 503, 504})
_GONE = 410


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """One endpoint. `secrets` are signed with in turn; times in seconds."""

    url: str
    secrets: tuple[bytes, ...] = field(repr=False)
    #: From the first byte sent to the last of the answer's head.
    timeout: float = 10.0
    #: Trusted besides the system's authorities.
    ca: Path | None = None


class WebhookSink:
    """Implements `registry.contract.delivery.Sink`."""

    def __init__(self, settings: WebhookSettings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    @property
    def window(self) -> int:
        return _WINDOW

    async def deliver(self, events: Sequence[CloudEvent]) -> Delivery:
        until = time.monotonic() + _BUDGET
        for taken, event in enumerate(events):
            if taken and time.monotonic() >= until:
                return Delivery(taken)
            failure = await self._post(event)
            if failure is not None:
                return Delivery(taken, failure)
        return Delivery(len(events))

    async def _post(self, event: CloudEvent) -> Failure | None:
        body = structured(event)
        headers = {
            "Content-Type": JSON_EVENT,
            "User-Agent": _AGENT,
            **signed_headers(self._settings.secrets, event.id, int(self._clock()), body),
        }
        try:
            async with self._open().post(
                self._settings.url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                return _judge(answer, self._clock())
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
            return Failure(Trouble.AWAY, f"cannot connect: {_name(error)}")
        except TimeoutError:
            return Failure(Trouble.REFUSED, f"no answer within {self._settings.timeout:g} seconds")
        except aiohttp.ClientError as error:
            return Failure(Trouble.REFUSED, f"the connection broke before an answer: {_name(error)}")

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            context = ssl.create_default_context()
            if self._settings.ca is not None:
                context.load_verify_locations(self._settings.ca)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context, limit=1),
                timeout=aiohttp.ClientTimeout(
                    total=self._settings.timeout, sock_connect=self._settings.timeout / 2
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session

    async def check(self) -> str:
        """That somebody listens there, and has a certificate where it should. No event is made up for it."""
        parts = urlsplit(self._settings.url)
        tls = None
        if parts.scheme == "https":
            tls = ssl.create_default_context()
            if self._settings.ca is not None:
                tls.load_verify_locations(self._settings.ca)
        port = parts.port or (443 if tls else 80)
        try:
            async with asyncio.timeout(self._settings.timeout):
                _, writer = await asyncio.open_connection(parts.hostname, port, ssl=tls)
        except (OSError, TimeoutError) as error:
            raise StoreError(
                ErrorKind.UNAVAILABLE, f"{parts.hostname}:{port} cannot be connected to: {_name(error)}"
            ) from None
        writer.close()
        return f"{parts.hostname}:{port} takes connections" + (
            " and has a trusted certificate" if tls else ""
        )

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def _judge(answer: aiohttp.ClientResponse, now: float) -> Failure | None:
    status = answer.status
    if 200 <= status < 300:
        return None
    reason = f"the endpoint answered {status}"
    if status == _GONE:
        return Failure(Trouble.GONE, f"{reason}: it wants no more events")
    if 300 <= status < 400:
        return Failure(Trouble.REFUSED, f"{reason}: redirects are not followed, set the URL it leads to")
    trouble = Trouble.AWAY if status in _AWAY else Trouble.REFUSED
    return Failure(trouble, reason, _retry_after(answer.headers.get("Retry-After"), now))


def _retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait (RFC 9110 section 10.2.3); None where nothing, or nothing sensible, is said."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _name(error: BaseException) -> str:
    """What went wrong, without the address that the system puts into it."""
    inner = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {inner.verify_message}"
    if isinstance(inner, ssl.SSLError):
        return f"TLS: {inner.reason or 'it failed'}"
    if isinstance(inner, OSError) and inner.errno:
        return os.strerror(inner.errno)
    return type(inner).__name__
