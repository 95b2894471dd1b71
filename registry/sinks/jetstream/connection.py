"""A connection to NATS with the stream there, made anew whenever it fails."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NotFoundError

from registry.sinks.jetstream.acknowledgements import Acknowledgements

#: For the connection, for one of JetStream's requests, and for all that opening takes.
_CONNECT_SECONDS = 5.0
_REQUEST_SECONDS = 3.0
_OPEN_SECONDS = 10.0
_CLOSE_SECONDS = 1.0
_PING_SECONDS = 20
#: Seconds between two servers of the list.
_NEXT_SERVER = 0.1

#: Another process was quicker (nats-server, errors.json).
_STREAM_NAME_IN_USE = 10058


@dataclass(frozen=True, slots=True)
class JetStreamSettings:
    """One stream. `servers` are URLs of the schemes `nats` and `tls`; times in seconds."""

    servers: tuple[str, ...]
    stream: str
    #: What subjects begin with: `prefix.kind.kind.repository…`.
    prefix: str
    #: The ledger's CBOR in binary mode instead of JSON in structured mode.
    cbor: bool = False
    #: A `.creds` file.
    credentials: Path | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    #: How a stream is made where there is none.
    replicas: int = 1
    duplicates: float = 600.0


class Connection:
    """At most one at a time. `said` is what the client told last beside its exceptions.

    The client's own reconnecting is off: it would send what it had buffered and forget what it had sent.
    """

    def __init__(self, settings: JetStreamSettings) -> None:
        self._settings = settings
        self._said = ""
        self._open: tuple[Client, Acknowledgements] | None = None

    async def open(self) -> tuple[Client, Acknowledgements]:
        """The connection that is there, or a new one. Raises whatever keeps it from being made."""
        if self._open is not None and self._open[0].is_connected:
            return self._open
        await self.close()
        self._said = ""
        client = Client()
        self._open = client, Acknowledgements(client)
        async with asyncio.timeout(_OPEN_SECONDS):
            async with asyncio.timeout(_CONNECT_SECONDS):
                await client.connect(**self._options())
            await self._open[1].listen()
            await self._ensure_stream(self.context(client))
        return self._open

    def context(self, client: Client) -> JetStreamContext:
        """JetStream's own requests."""
        return client.jetstream(timeout=_REQUEST_SECONDS)

    async def close(self) -> None:
        """Give the connection up, with all that is under way. Idempotent."""
        opened, self._open = self._open, None
        if opened is not None:
            # After a handshake that failed the client waits for its transport's end, which never comes.
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await opened[0].close()

    def explain(self, error: BaseException) -> str:
        """The error in words, without credentials."""
        # What the client tells beside its exceptions says more than "no servers available".
        return self._said or _say(error)

    async def _note(self, error: Exception) -> None:
        self._said = _say(error)

    async def _ensure_stream(self, context: JetStreamContext) -> None:
        """Make the stream where there is none; one that is there is used as it is."""
        settings = self._settings
        try:
            await context.stream_info(settings.stream)
        except NotFoundError:
            config = api.StreamConfig(
                name=settings.stream,
                description="Events of an artifact-store",
                subjects=[f"{settings.prefix}.>"],
                storage=api.StorageType.FILE,
                num_replicas=settings.replicas,
                duplicate_window=settings.duplicates,
            )
            try:
                await context.add_stream(config)
            except APIError as error:
                if error.err_code != _STREAM_NAME_IN_USE:
                    raise
        except nats.errors.TimeoutError:
            # An account that may publish and no more gets no answer here; the publishes will tell.
            return

    def _options(self) -> dict[str, Any]:
        settings = self._settings
        tls = None
        if settings.ca is not None or settings.cert is not None or settings.servers[0].startswith("tls:"):
            tls = ssl.create_default_context(cafile=settings.ca)
            if settings.cert is not None:
                tls.load_cert_chain(settings.cert, settings.key)
        return {
            "servers": list(settings.servers),
            "name": "artifact-store",
            "error_cb": self._note,
            "allow_reconnect": False,
            "connect_timeout": _CONNECT_SECONDS / 2,
            "max_reconnect_attempts": 1,
            "reconnect_time_wait": _NEXT_SERVER,
            "ping_interval": _PING_SECONDS,
            "tls": tls,
            "user_credentials": None if settings.credentials is None else str(settings.credentials),
        }


def _say(error: BaseException) -> str:
    if isinstance(error, APIError):
        return f"{error.description} ({error.err_code})"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or 'it failed'}"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error).removeprefix("nats: ") or type(error).__name__
