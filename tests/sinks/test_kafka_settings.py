"""URLs of Kafka topics: what they say, and what is said of those that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.contract.errors import ErrorKind, StoreError
from registry.sinks.kafka import KafkaSettings


def test_a_short_url_has_the_defaults() -> None:
    assert KafkaSettings.of("kafka://broker/events") == KafkaSettings(("broker:9092",), "events")


def test_a_url_can_say_everything() -> None:
    url = (
        "kafka+tls://me:s%40cret@one:9093,[::1]:9094,two/store.events"
        "?format=cbor&partitions=6&copies=3&sasl=scram-sha-512&ca=/etc/ca.pem&cert=/etc/c.pem&key=/etc/k.pem"
    )
    assert KafkaSettings.of(url) == KafkaSettings(
        ("one:9093", "[::1]:9094", "two:9092"),
        "store.events",
        tls=True,
        user="me",
        password="s@cret",
        mechanism="SCRAM-SHA-512",
        cbor=True,
        partitions=6,
        copies=3,
        ca=Path("/etc/ca.pem"),
        cert=Path("/etc/c.pem"),
        key=Path("/etc/k.pem"),
    )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("kafka:///events", "names no broker"),
        ("kafka://me:secret@/events", "names no broker"),
        ("kafka://broker", "needs a topic"),
        ("kafka://broker/..", "needs a topic"),
        ("kafka://broker/a/b", "needs a topic"),
        (f"kafka://broker/{'x' * 250}", "needs a topic"),
        ("kafka://broker:port/events", "port"),
        ("kafka://broker/events?format=xml", "format that is not json or cbor"),
        ("kafka://broker/events?partitions=0", "partitions that is not a number from 1"),
        ("kafka://broker/events?copies=-1", "copies that is not a number from 1"),
        ("kafka://me:secret@broker/events?sasl=gssapi", "sasl that is not plain"),
        ("kafka://broker/events?ack=all", "nobody knows: ack"),
    ],
)
def test_what_is_wrong_with_a_url_is_said_without_its_secret(url: str, said: str) -> None:
    with pytest.raises(StoreError, match=said) as caught:
        KafkaSettings.of(url)
    assert caught.value.kind is ErrorKind.BAD_REQUEST
    assert "secret" not in caught.value.message


def test_the_password_is_not_in_the_representation() -> None:
    assert "secret" not in repr(KafkaSettings.of("kafka://me:secret@broker/events"))
