"""Events to NATS JetStream: acknowledged publishes, a bounded window of them under way, in order.

The message id is the event's, so that the stream drops what comes twice within its window for duplicates.
Inside a window each message expects the one before it to be the stream's last (`Nats-Expected-Last-Msg-Id`):
when one is lost, those after it are refused instead of overtaking it. Where others publish into the stream
too, a window therefore ends early, and the rest goes again. A connection that fails is given up with all that
was under way: the client's own reconnecting would send what it had buffered, and lose what it had not.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError

from registry.contract.cloudevents import JSON_EVENT, CloudEvent, binary, structured
from registry.contract.delivery import Delivery, Failure, Trouble
from registry.contract.errors import ErrorKind, StoreError

_WINDOW = 128
_CONNECT_SECONDS = 5.0
_ACK_SECONDS = 8.0
#: How often it is looked whether the connection lives, while acknowledgements are awaited.
_LOOK = 0.25

#: Codes of JetStream's API errors (nats-server, errors.json).
_WRONG_LAST_MSG_ID = 10070
_MESSAGE_TOO_LARGE = 10054
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


class JetStreamSink:
    """Implements `registry.contract.delivery.Sink`."""

    def __init__(self, settings: JetStreamSettings) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._stream: JetStreamContext | None = None
        self._said = ""

    @property
    def window(self) -> int:
        return _WINDOW

    async def deliver(self, events: Sequence[CloudEvent]) -> Delivery:
        try:
            client, stream = await self._open()
        except Exception as error:
            await self.close()
            return Delivery(0, Failure(Trouble.AWAY, f"cannot connect: {self._explain(error)}"))
        delivery = await self._publish(client, stream, events)
        if delivery.failure is not None and delivery.failure.trouble is Trouble.AWAY:
            await self.close()
        return delivery

    async def _publish(
        self, client: Client, stream: JetStreamContext, events: Sequence[CloudEvent]
    ) -> Delivery:
        """Send the window, await its acknowledgements, and tell how many of the first are there."""
        futures: list[asyncio.Future[api.PubAck]] = []
        failure: Failure | None = None
        previous: str | None = None
        for event in events:
            headers, body = self._message(event, previous)
            if (
                len(body) + sum(len(name) + len(value) + 4 for name, value in headers.items())
                > client.max_payload
            ):
                failure = Failure(
                    Trouble.REFUSED, f"larger than the server's max_payload, {client.max_payload}"
                )
                break
            subject = subject_of(self._settings.prefix, event)
            try:
                futures.append(await stream.publish_async(subject, body, headers=dict(headers)))
            except Exception as error:
                failure = Failure(Trouble.AWAY, f"cannot publish: {self._explain(error)}")
                break
            previous = event.id
        await _settle(client, futures)
        for taken, future in enumerate(futures):
            if not future.done() or future.cancelled():
                gone = "the connection broke" if client.is_closed else f"none within {_ACK_SECONDS:g} seconds"
                return Delivery(taken, Failure(Trouble.AWAY, f"no acknowledgement: {gone}"))
            refusal = future.exception()
            if isinstance(refusal, APIError) and refusal.err_code == _WRONG_LAST_MSG_ID:
                # Somebody else's message came between; this one goes again, at the head of a window.
                return Delivery(taken)
            if refusal is not None:
                return Delivery(taken, self._judge(refusal))
        return Delivery(len(futures), failure)

    def _message(self, event: CloudEvent, previous: str | None) -> tuple[Mapping[str, str], bytes]:
        if self._settings.cbor:
            headers, body = binary(event)
        else:
            headers, body = {"content-type": JSON_EVENT}, structured(event)
        expected = {} if previous is None else {api.Header.EXPECTED_LAST_MSG_ID.value: previous}
        ours = {
            api.Header.MSG_ID.value: event.id,
            api.Header.EXPECTED_STREAM.value: self._settings.stream,
        }
        return {**headers, **ours, **expected}, body

    def _judge(self, error: BaseException) -> Failure:
        if isinstance(error, APIError) and error.err_code == _MESSAGE_TOO_LARGE:
            return Failure(Trouble.REFUSED, "larger than the stream takes")
        if isinstance(error, NoStreamResponseError):
            text = f"no stream takes the subjects {self._settings.prefix}.>"
            return Failure(Trouble.AWAY, text)
        return Failure(Trouble.AWAY, f"the server refused: {self._explain(error)}")

    async def _open(self) -> tuple[Client, JetStreamContext]:
        """The connection, made when there is none, with the stream there."""
        if self._client is not None and self._stream is not None and self._client.is_connected:
            return self._client, self._stream
        await self.close()
        self._said = ""
        self._client = client = Client()
        async with asyncio.timeout(_CONNECT_SECONDS):
            await client.connect(**self._options())
        stream = client.jetstream(timeout=_CONNECT_SECONDS)
        await self._ensure_stream(stream)
        self._stream = stream
        return client, stream

    async def _ensure_stream(self, stream: JetStreamContext) -> None:
        """Make the stream where there is none; one that is there is used as it is."""
        settings = self._settings
        try:
            await stream.stream_info(settings.stream)
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
                await stream.add_stream(config)
            except APIError as error:
                if error.err_code != _STREAM_NAME_IN_USE:  # another process was quicker
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
            "reconnect_time_wait": _LOOK,
            "ping_interval": 20,
            "tls": tls,
            "user_credentials": None if settings.credentials is None else str(settings.credentials),
        }

    async def _note(self, error: Exception) -> None:
        """What the client tells beside its exceptions says more than "no servers available"."""
        self._said = _say(error)

    def _explain(self, error: BaseException) -> str:
        return self._said or _say(error)

    async def check(self) -> str:
        try:
            client, stream = await self._open()
            info = await stream.stream_info(self._settings.stream)
        except Exception as error:
            await self.close()
            raise StoreError(ErrorKind.UNAVAILABLE, f"NATS: {self._explain(error)}") from None
        server = client.connected_url.netloc.rpartition("@")[2] if client.connected_url else "NATS"
        return f"{server} has the stream {self._settings.stream} with {info.state.messages} messages"

    async def close(self) -> None:
        client, self._client, self._stream = self._client, None, None
        if client is not None:
            with contextlib.suppress(Exception):
                await client.close()


def subject_of(prefix: str, event: CloudEvent) -> str:
    """`prefix.tag.set.team.app`: a repository's slashes part tokens, its dots are written `%2E`."""
    tokens = [prefix, event.event.kind]
    if event.event.scope is not None:
        tokens.append(event.event.scope.replace(".", "%2E").replace("/", "."))
    return ".".join(tokens)


async def _settle(client: Client, futures: Sequence[asyncio.Future[api.PubAck]]) -> None:
    """Wait until all are acknowledged or refused, the connection is gone, or it takes too long."""
    until = time.monotonic() + _ACK_SECONDS
    pending = set(futures)
    while pending and not client.is_closed and time.monotonic() < until:
        _, pending = await asyncio.wait(pending, timeout=_LOOK)
    for future in pending:
        future.cancel()
    await asyncio.gather(*futures, return_exceptions=True)


def _say(error: BaseException) -> str:
    """The error in words, without addresses or credentials."""
    if isinstance(error, APIError):
        return f"{error.description} ({error.err_code})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).removeprefix("nats: ") or type(error).__name__
