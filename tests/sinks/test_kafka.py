"""Events into a Kafka topic of a real broker: whole windows, in order, fenced, with reasons when not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from registry.contract.cloudevents import JSON_EVENT
from registry.contract.delivery import Delivery, Trouble
from registry.contract.errors import StoreError
from registry.sinks.kafka import KafkaSink, open_sink
from tests.certificates import self_signed
from tests.sinks.kafka_broker import KafkaBroker
from tests.sinks.samples import SOURCE, envelope, sample, samples

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker that runs. Each test has a topic of its own."""
    folder = tmp_path_factory.mktemp("kafka")
    broker = KafkaBroker(folder, self_signed(folder / "both.pem"))
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    name: str = request.node.name
    return name[:200]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[KafkaSink]:
    sink = open_sink(url)
    try:
        yield sink
    finally:
        await sink.close()


async def test_events_arrive_once_and_in_order_in_a_topic_made_for_them(
    kafka: KafkaBroker, topic: str
) -> None:
    events = samples(1, 600)
    async with opened(f"{kafka.url}/{topic}") as sink:
        for start in range(0, 600, sink.window):
            window = events[start : start + sink.window]
            assert await sink.deliver(window) == Delivery(len(window))
    found = kafka.stored(topic)
    documents = [json.loads(message.value() or b"") for message in found]
    assert [document["id"] for document in documents] == [event.id for event in events]
    assert documents[41]["source"] == SOURCE
    assert documents[41]["data"]["seq"] == 42
    assert found[41].key() == b"team/my.app"
    assert dict(found[41].headers() or []) == {"content-type": JSON_EVENT.encode()}


async def test_a_repositorys_events_keep_their_order_in_a_topic_of_many_partitions(
    kafka: KafkaBroker, topic: str
) -> None:
    events = [sample(seq, repository=f"team/app{seq % 7}") for seq in range(1, 200)]
    async with opened(f"{kafka.url}/{topic}?partitions=4") as sink:
        assert await sink.deliver(events) == Delivery(199)
    assert kafka.partitions(topic) == 4
    seqs: dict[bytes, list[int]] = {}
    for message in kafka.stored(topic):
        seqs.setdefault(message.key() or b"", []).append(json.loads(message.value() or b"")["data"]["seq"])
    assert len(seqs) == 7
    assert all(found == sorted(found) for found in seqs.values())
    assert sorted(seq for found in seqs.values() for seq in found) == list(range(1, 200))


async def test_as_cbor_the_value_is_the_ledgers_own_envelope(kafka: KafkaBroker, topic: str) -> None:
    async with opened(f"{kafka.url}/{topic}?format=cbor") as sink:
        assert await sink.deliver([sample(7)]) == Delivery(1)
    (message,) = kafka.stored(topic)
    assert message.value() == envelope(7)
    headers = dict(message.headers() or [])
    assert headers["content-type"] == b"application/cbor"
    assert headers["ce_id"] == sample(7).id.encode()
    assert headers["ce_subject"] == b"team/my.app:v1"
    assert headers["ce_specversion"] == b"1.0"


async def test_who_slept_through_its_lease_is_fenced_off_and_begins_anew(
    kafka: KafkaBroker, topic: str
) -> None:
    async with opened(f"{kafka.url}/{topic}") as sleeper, opened(f"{kafka.url}/{topic}") as successor:
        assert await sleeper.deliver(samples(1, 10)) == Delivery(10)
        assert await successor.deliver(samples(11, 20)) == Delivery(10)
        delivery = await sleeper.deliver(samples(11, 20))
        assert delivery.taken == 0
        assert delivery.failure is not None
        assert delivery.failure.trouble is Trouble.AWAY
        assert "fenced" in delivery.failure.reason
    found = [json.loads(message.value() or b"")["data"]["seq"] for message in kafka.stored(topic)]
    assert found == list(range(1, 21))


async def test_an_event_too_large_for_the_topic_is_refused_and_those_before_it_are_not(
    kafka: KafkaBroker, topic: str
) -> None:
    kafka.make(topic, 1, max_message_bytes="900")
    events = [sample(1), sample(2), sample(3, "t" * 120, "r" * 250), sample(4)]
    async with opened(f"{kafka.url}/{topic}") as sink:
        assert await sink.deliver(events) == Delivery(1)
        assert await sink.deliver(events[1:]) == Delivery(1)
        delivery = await sink.deliver(events[2:3])
        assert delivery.taken == 0
        assert delivery.failure is not None
        assert delivery.failure.trouble is Trouble.REFUSED
        assert "max.message.bytes" in delivery.failure.reason
        assert await sink.deliver(events[3:]) == Delivery(1)
    found = [json.loads(message.value() or b"")["data"]["seq"] for message in kafka.stored(topic)]
    assert found == [1, 2, 4]


async def test_a_broker_that_is_gone_takes_nothing_and_is_found_again(kafka: KafkaBroker, topic: str) -> None:
    async with opened(f"{kafka.url}/{topic}") as sink:
        assert await sink.deliver(samples(1, 10)) == Delivery(10)
        kafka.kill()
        delivery = await sink.deliver(samples(11, 20))
        assert delivery.taken == 0
        assert delivery.failure is not None
        assert delivery.failure.trouble is Trouble.AWAY
        kafka.start()
        assert await sink.deliver(samples(11, 20)) == Delivery(10)
    found = [json.loads(message.value() or b"")["data"]["seq"] for message in kafka.stored(topic)]
    # What was given up may have been taken all the same; then it is there twice, under the same id.
    assert sorted(set(found)) == list(range(1, 21))
    assert found[:10] == list(range(1, 11))


async def test_no_broker_says_why(tmp_path: Path) -> None:
    async with opened("kafka://127.0.0.1:9/events") as sink:
        delivery = await sink.deliver(samples(1, 1))
    assert delivery.failure is not None
    assert "refused" in delivery.failure.reason


async def test_a_user_with_a_password_through_tls(kafka: KafkaBroker, topic: str) -> None:
    async with opened(f"{kafka.guarded_url}/{topic}?ca={kafka.ca}") as sink:
        assert await sink.deliver([sample(1)]) == Delivery(1)
    wrong = kafka.guarded_url.replace("hunter2", "wrong-word")
    for url in (f"{wrong}/{topic}?ca={kafka.ca}", f"{kafka.guarded_url}/{topic}"):
        async with opened(url) as sink:
            delivery = await sink.deliver([sample(2)])
            assert delivery.failure is not None
            assert delivery.failure.trouble is Trouble.AWAY
            assert "wrong-word" not in delivery.failure.reason
    assert len(kafka.stored(topic)) == 1


async def test_check_tells_what_is_there_or_what_is_wrong(kafka: KafkaBroker, topic: str) -> None:
    kafka.make(topic, 3)
    async with opened(f"{kafka.url}/{topic}") as sink:
        assert await sink.check() == f"127.0.0.1:{kafka.port} has the topic {topic}; its partitions: 3"
    async with opened(f"kafka://127.0.0.1:9/{topic}") as sink:
        with pytest.raises(StoreError, match=r"Kafka: .*refused"):
            await sink.check()
