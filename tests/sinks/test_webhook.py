"""Events to an endpoint: signed so that another implementation verifies them, and nowhere else than there."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from registry.contract.cloudevents import JSON_EVENT
from registry.contract.delivery import Delivery, Trouble
from registry.contract.errors import StoreError
from registry.sinks.signing import SecretError, parse_secrets, signed_headers
from registry.sinks.webhook import WebhookSettings, WebhookSink
from tests.certificates import self_signed
from tests.sinks.nats_server import free_port
from tests.sinks.receiver import SECRET, Behaviour, Receiver, answer, close, hang, receiving, take
from tests.sinks.samples import sample, samples

OTHER = "whsec_" + base64.b64encode(b"another secret of 32 bytes......").decode()


@asynccontextmanager
async def opened(url: str, **more: object) -> AsyncIterator[WebhookSink]:
    settings = WebhookSettings(url, parse_secrets(SECRET), timeout=0.5)
    sink = WebhookSink(replace(settings, **more))  # type: ignore[arg-type]
    try:
        yield sink
    finally:
        await sink.close()


async def test_events_arrive_one_by_one_in_order(receiver: Receiver) -> None:
    async with opened(receiver.url) as sink:
        assert await sink.deliver(samples(1, 20)) == Delivery(20)
    assert receiver.seqs() == list(range(1, 21))
    post = receiver.posts[0]
    assert post.path == "/hook?x=1"
    assert post.headers["Content-Type"] == JSON_EVENT
    assert post.headers["webhook-id"] == post.event["id"] == sample(1).id


async def test_another_implementation_verifies_the_signature(receiver: Receiver) -> None:
    async with opened(receiver.url) as sink:
        await sink.deliver([sample(1)])
    post = receiver.posts[0]
    assert Webhook(SECRET).verify(post.body, post.headers) == post.event
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(post.body.replace(b"v1", b"v2"), post.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(post.body, post.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(post.body, {**post.headers, "webhook-id": "other"})


async def test_while_a_secret_is_replaced_both_verify(receiver: Receiver) -> None:
    async with opened(receiver.url, secrets=parse_secrets(f"{OTHER}\n{SECRET}\n")) as sink:
        await sink.deliver([sample(1)])
    post = receiver.posts[0]
    for secret in (SECRET, OTHER):
        assert Webhook(secret).verify(post.body, post.headers)


async def test_each_attempt_is_signed_with_its_own_time(receiver: Receiver) -> None:
    now = [time.time() - 3600]
    sink = WebhookSink(WebhookSettings(receiver.url, parse_secrets(SECRET)), clock=lambda: now[0])
    await sink.deliver([sample(1)])
    now[0] += 3600
    await sink.deliver([sample(1)])
    await sink.close()
    first, second = receiver.posts
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(SECRET).verify(first.body, first.headers)
    assert Webhook(SECRET).verify(second.body, second.headers)


def test_a_known_signature() -> None:
    """The example of the specification's reference libraries."""
    secrets = parse_secrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed_headers(secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("text", ["", "hunter2", "whsec_", "whsec_aHVudGVyMg==", "whsec_%%%", SECRET[6:]])
def test_a_weak_or_broken_secret_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(SecretError) as caught:
        parse_secrets(text)
    assert not text or text == "whsec_" or text not in str(caught.value)


@pytest.mark.parametrize(
    ("behaviour", "trouble", "reason"),
    [
        (answer(500), Trouble.REFUSED, "answered 500"),
        (answer(404), Trouble.REFUSED, "answered 404"),
        (answer(410), Trouble.GONE, "answered 410"),
        (answer(429), Trouble.AWAY, "answered 429"),
        (answer(503), Trouble.AWAY, "answered 503"),
        (answer(302, Location="/elsewhere"), Trouble.REFUSED, "redirects are not followed"),
        (answer(308, Location="/elsewhere"), Trouble.REFUSED, "redirects are not followed"),
        (hang, Trouble.REFUSED, "no answer within 0.5 seconds"),
        (close, Trouble.REFUSED, "broke before an answer"),
    ],
)
async def test_what_is_not_taken_is_told_by_its_kind_and_ends_the_window(
    receiver: Receiver, behaviour: Behaviour, trouble: Trouble, reason: str
) -> None:
    async with opened(receiver.url) as sink:
        assert await sink.deliver(samples(1, 2)) == Delivery(2)
        receiver.behaviour = behaviour
        delivery = await sink.deliver(samples(3, 5))
        assert delivery.taken == 0
        assert delivery.failure is not None
        assert delivery.failure.trouble is trouble
        assert reason in delivery.failure.reason
        assert {post.path for post in receiver.posts} == {"/hook?x=1"}
        assert {post.event["data"]["seq"] for post in receiver.posts} == {1, 2, 3}
        receiver.behaviour = take
        assert await sink.deliver(samples(3, 5)) == Delivery(3)


async def test_nobody_there_is_away(receiver: Receiver) -> None:
    async with opened(f"http://127.0.0.1:{free_port()}/") as sink:
        delivery = await sink.deliver(samples(1, 2))
    assert delivery.failure is not None
    assert delivery.failure.trouble is Trouble.AWAY
    assert delivery.failure.reason == "cannot connect: Connection refused"


async def test_an_endpoint_that_restarts_between_two_events_misses_none() -> None:
    async with receiving() as first:
        port = int(first.url.partition("127.0.0.1:")[2].partition("/")[0])
        async with opened(first.url) as sink:
            assert await sink.deliver([sample(1)]) == Delivery(1)
    async with opened(first.url) as sink:
        assert (await sink.deliver([sample(2)])).taken == 0
        async with receiving(port) as second:
            assert await sink.deliver([sample(2)]) == Delivery(1)
    assert second.seqs() == [2]


@pytest.mark.parametrize(
    "value", ["120", format_datetime(datetime.fromtimestamp(1_700_000_120, UTC), usegmt=True)]
)
async def test_what_it_asks_to_wait_is_told(receiver: Receiver, value: str) -> None:
    receiver.behaviour = answer(429, **{"Retry-After": value})
    sink = WebhookSink(WebhookSettings(receiver.url, parse_secrets(SECRET)), clock=lambda: 1_700_000_000)
    delivery = await sink.deliver([sample(1)])
    await sink.close()
    assert delivery.failure is not None
    assert delivery.failure.retry_after == 120


async def test_a_slow_endpoint_gets_part_of_a_window_at_a_time(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.sinks.webhook._BUDGET", 0.0)
    async with opened(receiver.url) as sink:
        assert await sink.deliver(samples(1, 3)) == Delivery(1)


async def test_proxies_of_the_environment_are_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    async with opened(receiver.url) as sink:
        assert await sink.deliver([sample(1)]) == Delivery(1)


async def test_check_connects_and_sends_nothing(receiver: Receiver) -> None:
    async with opened(receiver.url) as sink:
        assert "takes connections" in await sink.check()
    async with opened(f"http://127.0.0.1:{free_port()}/") as sink:
        with pytest.raises(StoreError, match="cannot be connected to: Connection refused"):
            await sink.check()
    assert receiver.posts == []


async def test_a_certificate_must_be_trusted(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path / "certificate.pem")
    async with receiving(certificate=certificate) as receiver:
        async with opened(receiver.url) as sink:
            delivery = await sink.deliver([sample(1)])
            assert delivery.failure is not None
            assert delivery.failure.trouble is Trouble.AWAY
            assert "its certificate is not trusted" in delivery.failure.reason
            with pytest.raises(StoreError, match="its certificate is not trusted"):
                await sink.check()
        async with opened(receiver.url, ca=certificate) as sink:
            assert await sink.deliver([sample(1)]) == Delivery(1)
            assert "has a trusted certificate" in await sink.check()
    assert receiver.seqs() == [1]
