"""Events to a Kafka topic: a window is one transaction, keyed by repository, each message named by its event.

A transaction is visible to consumers (`isolation.level=read_committed`) as a whole or not at all, so that no
event overtakes one that failed. The transactional id is the ledger's and the topic's: a process that slept
through its lease is fenced off by the brokers when its successor begins. What was committed just before a
crash comes again under the same ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from registry.contract.cloudevents import JSON_EVENT, CloudEvent, attributes, structured
from registry.contract.delivery import Delivery, Failure, Trouble
from registry.contract.errors import ErrorKind, StoreError
from registry.sinks.kafka.connection import Connection
from registry.sinks.kafka.settings import KafkaSettings

_WINDOW = 256
_FLUSH_SECONDS = 6.0
_COMMIT_SECONDS = 3.0

_TOO_LARGE = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})


_Headers = list[tuple[str, str | bytes | None]]


class KafkaSink:
    """Implements `registry.contract.delivery.Sink`."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._connection = Connection(settings)

    @property
    def window(self) -> int:
        return _WINDOW

    async def deliver(self, events: Sequence[CloudEvent]) -> Delivery:
        return await asyncio.to_thread(self._deliver, events)

    def _deliver(self, events: Sequence[CloudEvent]) -> Delivery:
        try:
            self._transact(self._connection.open(events[0].source), events)
        except KafkaException as exception:
            error: KafkaError = exception.args[0]
            reason = self._connection.explain(error)
            self._connection.close()
            if error.code() not in _TOO_LARGE:
                return Delivery(0, Failure(Trouble.AWAY, reason))
        else:
            return Delivery(len(events))
        if len(events) > 1:  # which one it was, the brokers do not say
            return self._deliver(events[:1])
        limit = f"the topic {self._settings.topic} takes (max.message.bytes)"
        return Delivery(0, Failure(Trouble.REFUSED, f"the event is larger than {limit}"))

    def _transact(self, producer: Producer, events: Sequence[CloudEvent]) -> None:
        """Commit the events, or none of them. Raises KafkaException with what failed first."""
        failed: list[KafkaError] = []

        def told(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failed.append(error)

        producer.begin_transaction()
        for event in events:
            headers, body = self._message(event)
            key = None if event.event.scope is None else event.event.scope.encode()
            producer.produce(self._settings.topic, body, key, headers=headers, on_delivery=told)
        producer.flush(_FLUSH_SECONDS)  # which hears what became of each
        if failed:
            raise KafkaException(failed[0])
        producer.commit_transaction(_COMMIT_SECONDS)

    def _message(self, event: CloudEvent) -> tuple[_Headers, bytes]:
        """Headers and value: JSON in structured mode, or CBOR in binary mode (CloudEvents' Kafka binding)."""
        if not self._settings.cbor:
            return [("content-type", JSON_EVENT.encode())], structured(event)
        ours: _Headers = [(f"ce_{name}", value.encode()) for name, value in attributes(event).items()]
        return [*ours, ("content-type", b"application/cbor")], event.event.envelope

    async def check(self) -> str:
        try:
            partitions = await asyncio.to_thread(self._connection.partitions)
        except KafkaException as exception:
            reason = self._connection.explain(exception.args[0])
            raise StoreError(ErrorKind.UNAVAILABLE, f"Kafka: {reason}") from None
        where = ",".join(self._settings.servers)
        return f"{where} has the topic {self._settings.topic}; its partitions: {partitions}"

    async def close(self) -> None:
        await asyncio.to_thread(self._connection.close)
