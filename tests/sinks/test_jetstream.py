"""Events in a stream of a real nats-server: once, in order, and again after it was killed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from nats.js.api import StreamConfig

from registry.contract.cloudevents import JSON_EVENT
from registry.contract.delivery import Delivery, Trouble
from registry.contract.errors import StoreError
from registry.sinks.jetstream import JetStreamSettings, JetStreamSink, subject_of
from registry.sinks.opening import nats_servers
from tests.certificates import self_signed
from tests.sinks.nats_accounts import make_operator
from tests.sinks.nats_server import NatsServer, connected, stored
from tests.sinks.samples import SOURCE, envelope, sample, samples


@asynccontextmanager
async def opened(url: str, **more: object) -> AsyncIterator[JetStreamSink]:
    settings = JetStreamSettings(nats_servers(url), stream="events", prefix="store")
    sink = JetStreamSink(replace(settings, **more))  # type: ignore[arg-type]
    try:
        yield sink
    finally:
        await sink.close()


async def messages(broker: NatsServer) -> int:
    async with connected(broker.url) as client:
        return (await client.jetstream().stream_info("events")).state.messages


async def test_events_arrive_in_order_with_their_ids_in_a_stream_made_for_them(broker: NatsServer) -> None:
    events = samples(1, 300)
    async with opened(broker.url) as sink:
        for start in range(0, 300, sink.window):
            window = events[start : start + sink.window]
            assert await sink.deliver(window) == Delivery(len(window))
    found = await stored(broker.url, "events")
    assert [headers["Nats-Msg-Id"] for _, headers, _ in found] == [event.id for event in events]
    subject, headers, body = found[41]
    assert subject == "store.tag.set.team.my%2Eapp"
    assert headers["content-type"] == JSON_EVENT
    document = json.loads(body)
    assert document["source"] == SOURCE
    assert document["data"]["seq"] == 42


async def test_as_cbor_the_body_is_the_ledgers_own_envelope(broker: NatsServer) -> None:
    async with opened(broker.url, cbor=True) as sink:
        assert await sink.deliver([sample(7)]) == Delivery(1)
    ((_, headers, body),) = await stored(broker.url, "events")
    assert body == envelope(7)
    assert headers["content-type"] == "application/cbor"
    assert headers["ce-id"] == sample(7).id
    assert headers["ce-subject"] == "team/my.app:v1"
    assert headers["ce-specversion"] == "1.0"


async def test_what_comes_twice_is_there_once(broker: NatsServer) -> None:
    async with opened(broker.url) as sink:
        assert await sink.deliver(samples(1, 50)) == Delivery(50)
    async with opened(broker.url) as sink:  # after a crash, from an older place
        assert await sink.deliver(samples(21, 80)) == Delivery(60)
    found = await stored(broker.url, "events")
    assert [json.loads(body)["data"]["seq"] for *_, body in found] == list(range(1, 81))


async def test_what_others_publish_shortens_a_window_and_disturbs_no_order(broker: NatsServer) -> None:
    async with connected(broker.url) as client, opened(broker.url) as sink:
        context = client.jetstream()
        await context.add_stream(StreamConfig(name="events", subjects=["store.>", "other"]))
        assert await sink.deliver(samples(1, 5)) == Delivery(5)
        await context.publish("other", b"", headers={"Nats-Msg-Id": "other"})
        # 6 expects 5 to be the last in the stream, which it is not: it goes again at the head of a window.
        assert await sink.deliver(samples(4, 9)) == Delivery(2)
        assert await sink.deliver(samples(6, 9)) == Delivery(4)
    found = [body for subject, _, body in await stored(broker.url, "events") if subject != "other"]
    assert [json.loads(body)["data"]["seq"] for body in found] == list(range(1, 10))


async def test_a_message_that_got_lost_is_not_overtaken(broker: NatsServer) -> None:
    """The server refuses what expects another before it: nothing of a broken window stays."""
    async with opened(broker.url) as sink:
        await sink.deliver(samples(1, 3))
        async with connected(broker.url) as client:
            headers = {"Nats-Msg-Id": sample(5).id, "Nats-Expected-Last-Msg-Id": sample(4).id}
            with pytest.raises(Exception, match="10070"):
                await client.jetstream().publish("store.x", b"", headers=headers)
        assert await sink.deliver(samples(4, 6)) == Delivery(3)


async def test_a_broker_that_is_not_there_takes_nothing_and_is_found_again(broker: NatsServer) -> None:
    async with opened(broker.url) as sink:
        assert await sink.deliver(samples(1, 10)) == Delivery(10)
        broker.kill()
        delivery = await sink.deliver(samples(11, 20))
        assert delivery.taken == 0
        assert delivery.failure is not None
        assert delivery.failure.trouble is Trouble.AWAY
        broker.start()
        assert await sink.deliver(samples(11, 20)) == Delivery(10)
    found = await stored(broker.url, "events")
    assert [json.loads(body)["data"]["seq"] for *_, body in found] == list(range(1, 21))


async def test_no_connection_says_why(broker: NatsServer) -> None:
    broker.kill()
    async with opened(broker.url) as sink:
        delivery = await sink.deliver(samples(1, 1))
    assert delivery.failure is not None
    assert "refused" in delivery.failure.reason.lower()


@pytest.mark.slow
async def test_a_broker_that_hangs_is_given_up_and_gets_everything_later(broker: NatsServer) -> None:
    async with opened(broker.url) as sink:
        assert await sink.deliver(samples(1, 5)) == Delivery(5)
        broker.pause()
        delivery = await sink.deliver(samples(6, 10))
        broker.resume()
        assert delivery.taken == 0
        assert delivery.failure is not None
        assert delivery.failure.trouble is Trouble.AWAY
        # What was in its socket it takes now; what comes again is known by its id.
        assert await sink.deliver(samples(6, 12)) == Delivery(7)
    assert await messages(broker) == 12


async def test_a_stream_that_is_there_is_used_as_it_is(broker: NatsServer) -> None:
    async with connected(broker.url) as client:
        config = StreamConfig(name="events", subjects=["store.tag.>"], max_msgs=1000, description="mine")
        await client.jetstream().add_stream(config)
        async with opened(broker.url) as sink:
            assert await sink.deliver([sample(1)]) == Delivery(1)
        found = (await client.jetstream().stream_info("events")).config
    assert (found.max_msgs, found.description, found.subjects) == (1000, "mine", ["store.tag.>"])


async def test_a_stream_for_other_subjects_is_a_reason_to_wait(broker: NatsServer) -> None:
    async with connected(broker.url) as client:
        await client.jetstream().add_stream(StreamConfig(name="events", subjects=["elsewhere"]))
    async with opened(broker.url) as sink:
        delivery = await sink.deliver([sample(1)])
    assert delivery.failure is not None
    assert delivery.failure.trouble is Trouble.AWAY
    assert "store.>" in delivery.failure.reason


async def test_an_event_too_large_for_the_server_is_refused_and_those_before_it_are_not(
    tmp_path: Path,
) -> None:
    server = NatsServer(tmp_path, "max_payload: 900")
    server.start()
    try:
        long = sample(2, "t" * 120, "r" * 250)
        async with opened(server.url) as sink:
            delivery = await sink.deliver([sample(1), long, sample(3)])
            assert delivery.taken == 1
            assert delivery.failure is not None
            assert delivery.failure.trouble is Trouble.REFUSED
            assert "max_payload" in delivery.failure.reason
            assert await sink.deliver([sample(3)]) == Delivery(1)
    finally:
        server.kill()


async def test_a_full_stream_is_a_reason_to_wait(broker: NatsServer) -> None:
    async with connected(broker.url) as client:
        config = StreamConfig(name="events", subjects=["store.>"], max_msgs=4, discard="new")  # type: ignore[arg-type]
        await client.jetstream().add_stream(config)
        async with opened(broker.url) as sink:
            delivery = await sink.deliver(samples(1, 6))
            assert delivery.taken == 4
            assert delivery.failure is not None
            assert delivery.failure.trouble is Trouble.AWAY
            assert "maximum messages" in delivery.failure.reason
            await client.jetstream().purge_stream("events")
            assert (await sink.deliver(samples(5, 6))).taken == 2


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[NatsServer]:
    """A server that asks who it is."""
    server = NatsServer(tmp_path, "authorization { user: store, password: hunter2 }")
    server.start()
    yield server
    server.kill()


async def test_user_and_password_come_from_the_url(guarded: NatsServer) -> None:
    place = guarded.url.partition("://")[2]
    async with opened(f"nats://store:hunter2@{place}") as sink:
        assert await sink.deliver([sample(1)]) == Delivery(1)
    async with opened(f"nats://store:wrong@{place}") as sink:
        delivery = await sink.deliver([sample(2)])
        assert delivery.failure is not None
        assert delivery.failure.trouble is Trouble.AWAY
        assert "Authorization" in delivery.failure.reason
        assert "wrong" not in delivery.failure.reason


async def test_tls_with_an_authority_of_ones_own_and_a_client_certificate(tmp_path: Path) -> None:
    pem = self_signed(tmp_path / "certificate.pem")
    tls = f'tls {{ cert_file: "{pem}", key_file: "{pem}", ca_file: "{pem}", verify: true }}'
    server = NatsServer(tmp_path, tls)
    server.start()
    url = f"nats+tls://127.0.0.1:{server.port}"
    try:
        async with opened(url, ca=pem, cert=pem, key=pem) as sink:
            assert await sink.deliver([sample(1)]) == Delivery(1)
        for settings in ({}, {"ca": pem}):  # an authority nobody knows; no certificate of the client
            async with opened(url, **settings) as sink:
                delivery = await sink.deliver([sample(2)])
                assert delivery.failure is not None
                assert delivery.failure.trouble is Trouble.AWAY
    finally:
        server.kill()


async def test_a_credentials_file_says_who_it_is(tmp_path: Path) -> None:
    operator, credentials = make_operator(tmp_path)
    server = NatsServer(tmp_path, operator)
    server.start()
    try:
        async with opened(server.url, credentials=credentials) as sink:
            assert await sink.deliver(samples(1, 3)) == Delivery(3)
        for other in (None, tmp_path / "absent.creds"):
            async with opened(server.url, credentials=other) as sink:
                delivery = await sink.deliver([sample(4)])
                assert delivery.failure is not None
                assert delivery.failure.trouble is Trouble.AWAY
    finally:
        server.kill()


async def test_the_second_server_of_a_list_is_tried(broker: NatsServer) -> None:
    async with opened(f"nats://127.0.0.1:9,127.0.0.1:{broker.port}") as sink:
        assert await sink.deliver([sample(1)]) == Delivery(1)


async def test_check_tells_what_is_there_or_what_is_wrong(broker: NatsServer) -> None:
    async with opened(broker.url) as sink:
        await sink.deliver(samples(1, 2))
        assert await sink.check() == f"127.0.0.1:{broker.port} has the stream events with 2 messages"
        broker.kill()
    async with opened(broker.url) as sink:
        with pytest.raises(StoreError, match="NATS"):
            await sink.check()


def test_subjects_can_be_subscribed_to_by_kind_and_by_repository() -> None:
    assert subject_of("a.b", sample(1, repository="x/y.z/w")) == "a.b.tag.set.x.y%2Ez.w"
