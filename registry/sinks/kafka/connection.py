"""A producer with its topic there, made anew whenever it fails. Everything blocks: it runs in a thread."""

from __future__ import annotations

from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from registry.sinks.kafka.settings import KafkaSettings

_REQUEST_SECONDS = 4.0
#: Longer than a delivery: what is under way then is taken back by the brokers when its producer is gone.
_TRANSACTION_MS = 30_000
#: How long a message may be on its way before it counts as not taken.
_MESSAGE_MS = 5_000


_RECONNECT_MS = 500

#: Told of a broker that is not reached, whatever the reason.
_VAGUE = frozenset({KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN})


class Connection:
    """At most one producer at a time, of one ledger. `said` is what the library told last beside answers."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._said = ""
        self._producer: Producer | None = None

    def open(self, source: str) -> Producer:
        """The producer that is there, or a new one that fences off any other. Raises KafkaException."""
        if self._producer is None:
            self.partitions()
            producer = Producer(
                self._options()
                | {
                    "transactional.id": f"{source} {self._settings.topic}",
                    "transaction.timeout.ms": _TRANSACTION_MS,
                    "message.timeout.ms": _MESSAGE_MS,
                    "linger.ms": 5,
                }
            )
            self._producer = producer
            producer.init_transactions(_REQUEST_SECONDS)
        return self._producer

    def partitions(self) -> int:
        """Of the topic, which is made where there is none and else used as it is. Raises KafkaException."""
        self._said = ""
        name = self._settings.topic
        admin = AdminClient(self._options())
        try:
            found = admin.list_topics(name, timeout=_REQUEST_SECONDS).topics[name]
        finally:
            admin.poll(0)  # hears what there is to be said
        if found.error is None:
            return len(found.partitions)
        if found.error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise KafkaException(found.error)
        topic = NewTopic(name, self._settings.partitions, self._settings.copies)
        try:
            admin.create_topics([topic], request_timeout=_REQUEST_SECONDS)[name].result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
        return self._settings.partitions

    def close(self) -> None:
        """Give the producer up, with all that is under way. Idempotent."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()

    def explain(self, error: KafkaError) -> str:
        """The error in words, without credentials."""
        # Of a broker that cannot be reached, what was told beside says more than that time is up.
        return self._said if self._said and error.code() in _VAGUE else error.str()

    def _note(self, error: KafkaError) -> None:
        self._said = error.str()

    def _options(self) -> dict[str, Any]:
        settings = self._settings
        security = ("sasl_" if settings.user else "") + ("ssl" if settings.tls else "plaintext")
        options: dict[str, Any] = {
            "bootstrap.servers": ",".join(settings.servers),
            "client.id": "artifact-store",
            "security.protocol": security,
            "socket.timeout.ms": int(_REQUEST_SECONDS * 1000),
            "error_cb": self._note,
            "log_level": 0,  # what matters comes as an error
            "reconnect.backoff.ms": _RECONNECT_MS,
        }
        if settings.user:
            options |= {
                "sasl.mechanism": settings.mechanism,
                "sasl.username": settings.user,
                "sasl.password": settings.password,
            }
        for name, path in (
            ("ssl.ca.location", settings.ca),
            ("ssl.certificate.location", settings.cert),
            ("ssl.key.location", settings.key),
        ):
            if path is not None:
                options[name] = str(path)
        return options
