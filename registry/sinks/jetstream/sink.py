"""Events to NATS JetStream: acknowledged publishes, a bounded window of them under way, in order.

The message id is the event's, so that the stream drops what comes twice within its window for duplicates.
Inside a window each message expects the one before it to be the stream's last (`Nats-Expected-Last-Msg-Id`):
when one is lost, those after it are refused instead of overtaking it. Where others publish into the stream
too, a window may therefore end early, and the rest goes again. A connection that fails is given up with all
that was under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from nats.aio.client import Client
from nats.js import api

from registry.contract.cloudevents import JSON_EVENT, CloudEvent, binary, structured
from registry.contract.delivery import Delivery, Failure, Trouble
from registry.contract.errors import ErrorKind, StoreError
from registry.sinks.jetstream.acknowledgements import Acknowledgements, Answer
from registry.sinks.jetstream.connection import Connection, JetStreamSettings

_WINDOW = 128
_ACK_SECONDS = 8.0

#: Codes of JetStream's errors (nats-server, errors.json).
_WRONG_LAST_MSG_ID = 10070
_MESSAGE_TOO_LARGE = 10054


class JetStreamSink:
    """Implements `registry.contract.delivery.Sink`."""

    def __init__(self, settings: JetStreamSettings) -> None:
        self._settings = settings
        self._connection = Connection(settings)

    @property
    def window(self) -> int:
        return _WINDOW

    async def deliver(self, events: Sequence[CloudEvent]) -> Delivery:
        try:
            client, acknowledgements = await self._connection.open()
        except Exception as error:
            await self.close()
            return Delivery(0, _away(f"cannot connect: {self._connection.explain(error)}"))
        delivery = await self._publish(client, acknowledgements, events)
        if delivery.failure is not None and delivery.failure.trouble is Trouble.AWAY:
            await self.close()
        return delivery

    async def _publish(
        self, client: Client, acknowledgements: Acknowledgements, events: Sequence[CloudEvent]
    ) -> Delivery:
        """Send the window, await its acknowledgements, and tell how many of the first are there."""
        futures: list[asyncio.Future[Answer]] = []
        failure: Failure | None = None
        previous: str | None = None
        for event in events:
            headers, body = self._message(event, previous)
            if _size(headers, body) > client.max_payload:
                limit = f"the server's max_payload, {client.max_payload} bytes"
                failure = Failure(Trouble.REFUSED, f"the event is larger than {limit}")
                break
            reply, future = acknowledgements.expect()
            try:
                await client.publish(subject_of(self._settings.prefix, event), body, reply, dict(headers))
            except Exception as error:
                failure = _away(f"cannot publish: {self._connection.explain(error)}")
                break
            futures.append(future)
            previous = event.id
        await acknowledgements.settle(futures, _ACK_SECONDS)
        for taken, future in enumerate(futures):
            if future.cancelled():
                gone = "the connection broke" if client.is_closed else f"none within {_ACK_SECONDS:g} seconds"
                return Delivery(taken, _away(f"no acknowledgement: {gone}"))
            answer = future.result()
            if answer.code == _WRONG_LAST_MSG_ID:
                # Somebody else's message came between; this one goes again, at the head of a window.
                return Delivery(taken)
            if answer.error is not None:
                return Delivery(taken, self._judge(answer))
        return Delivery(len(futures), failure)

    def _message(self, event: CloudEvent, previous: str | None) -> tuple[Mapping[str, str], bytes]:
        """Headers and body; `previous` is the id of the message before in the window."""
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

    def _judge(self, answer: Answer) -> Failure:
        if answer.code == _MESSAGE_TOO_LARGE:
            return Failure(Trouble.REFUSED, "the event is larger than the stream takes")
        where = f" (subjects {self._settings.prefix}.>)" if answer.code == 0 else f" ({answer.code})"
        return _away(f"the stream {self._settings.stream} did not take it: {answer.error}{where}")

    async def check(self) -> str:
        try:
            client, _ = await self._connection.open()
            info = await self._connection.context(client).stream_info(self._settings.stream)
        except Exception as error:
            await self.close()
            raise StoreError(ErrorKind.UNAVAILABLE, f"NATS: {self._connection.explain(error)}") from None
        server = client.connected_url.netloc.rpartition("@")[2] if client.connected_url else "NATS"
        return f"{server} has the stream {self._settings.stream} with {info.state.messages} messages"

    async def close(self) -> None:
        await self._connection.close()


def subject_of(prefix: str, event: CloudEvent) -> str:
    """`prefix.tag.set.team.app`: a repository's slashes part tokens, its dots are written `%2E`."""
    tokens = [prefix, event.event.kind]
    if event.event.scope is not None:
        tokens.append(event.event.scope.replace(".", "%2E").replace("/", "."))
    return ".".join(tokens)


def _away(reason: str) -> Failure:
    return Failure(Trouble.AWAY, reason)


def _size(headers: Mapping[str, str], body: bytes) -> int:
    """What the server counts: the body, and the header block with its first line."""
    return len(body) + sum(len(name) + len(value) + 4 for name, value in headers.items()) + 14
