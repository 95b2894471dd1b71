"""The event stream of the real program: brokers, receivers and the program itself killed; several workers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from tests.server.program import Running, run, serving
from tests.sinks.nats_server import NatsServer, stored
from tests.sinks.receiver import SECRET, Receiver, answer, receiving, take


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[NatsServer]:
    folder = tmp_path / "nats"
    folder.mkdir()
    server = NatsServer(folder)
    server.start()
    yield server
    server.kill()


async def happen(server: Running, count: int, name: str, at_once: int = 8) -> None:
    """So many schemas registered, each of them an event."""
    numbers = iter(range(count))
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as client:

        async def work() -> None:
            for number in numbers:
                answered = await client.put(f"/api/v1/schemas/{name}.{number}", json={"type": "object"})
                assert answered.status_code == 201

        await asyncio.gather(*(work() for _ in range(at_once)))


async def fares(server: Running, name: str) -> dict[str, object]:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as client:
        found: dict[str, object] = (await client.get(f"/api/v1/followers/{name}")).json()
        return found


async def until(condition: Callable[[], Awaitable[object]], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        await asyncio.sleep(0.1)


async def settled(server: Running, name: str) -> None:
    """Until the follower is behind by nothing."""

    async def even() -> bool:
        return (await fares(server, name)).get("lag_events") == 0

    await until(even)


def seqs(found: list[tuple[str, dict[str, str], bytes]]) -> list[int]:
    return [json.loads(body)["data"]["seq"] for *_, body in found]


async def test_a_broker_killed_and_started_again_under_load_gets_every_event_once_in_order(
    tmp_path: Path, broker: NatsServer
) -> None:
    with serving(tmp_path, "--events", broker.url) as server:
        load = asyncio.create_task(happen(server, 800, "load"))
        for _ in range(3):
            await asyncio.sleep(1)
            broker.kill()
            await asyncio.sleep(0.5)
            broker.start()
        await load
        await settled(server, "events")
        status = await fares(server, "events")
        assert server.metric("ledger_head") == status["delivered"] == status["cursor"]
        assert server.metric("follower_failures_total", follower="events") > 0
        assert server.metric("follower_dead_letters", follower="events") == 0
        found = await stored(broker.url, "artifact-store")
        assert seqs(found) == list(range(1, int(server.metric("ledger_head")) + 1))


async def test_a_broker_that_is_away_is_caught_up_with(tmp_path: Path, broker: NatsServer) -> None:
    broker.kill()
    with serving(tmp_path, "--events", broker.url) as server:
        await happen(server, 600, "away")
        status = await fares(server, "events")
        assert status["state"] == "retrying"
        assert "Connection refused" in str(status["reason"])
        assert server.metric("follower_lag_events", follower="events") >= 600
        assert server.metric("follower_lag_seconds", follower="events") > 0
        assert server.metric("follower_retrying", follower="events") == 1
        broker.start()
        assert (
            run("followers", "resume", "events", "--registry", server.url.partition("//")[2]).returncode == 0
        )
        await settled(server, "events")
        assert seqs(await stored(broker.url, "artifact-store")) == list(
            range(1, int(server.metric("ledger_head")) + 1)
        )


async def test_events_of_workers_go_out_once_and_in_order(tmp_path: Path) -> None:
    async with receiving() as receiver:
        write_hook(tmp_path, receiver, "start = 'beginning'")
        with serving(tmp_path, "--workers", "2") as server:
            for turn in range(3):
                await happen(server, 40, f"turn{turn}")
                await asyncio.sleep(0.3)
            await settled(server, "127.0.0.1")
        assert receiver.seqs() == list(range(1, len(receiver.taken) + 1))
        assert len(receiver.taken) == len(receiver.posts) >= 120


async def test_when_the_worker_that_delivers_dies_another_goes_on(tmp_path: Path) -> None:
    """Duplicates are those that were delivered since the place was saved last; they have their old ids."""
    async with receiving() as receiver:
        write_hook(tmp_path, receiver, "start = 'beginning'")
        with serving(tmp_path, "--workers", "2") as server:
            load = asyncio.create_task(happen(server, 400, "load"))
            await until(lambda: _count(receiver, 50))
            server.process.kill()
            load.cancel()
            await asyncio.gather(load, return_exceptions=True)
        with serving(tmp_path, "--workers", "2") as server:
            await happen(server, 5, "later")
            await settled(server, "127.0.0.1")
            head = int(server.metric("ledger_head"))
        assert list(dict.fromkeys(receiver.seqs())) == list(range(1, head + 1))
        ids = {post.headers["webhook-id"] for post in receiver.taken}
        assert len(ids) == head


async def _count(receiver: Receiver, least: int) -> bool:
    return len(receiver.taken) >= least


async def test_a_webhook_that_refuses_then_takes_what_is_redelivered(tmp_path: Path) -> None:
    async with receiving() as receiver:
        write_hook(tmp_path, receiver, "attempts = 1\nkinds = ['schema.*']\nname = 'hook'")
        with serving(tmp_path) as server:
            await happen(server, 1, "first")
            await until(lambda: _count(receiver, 1))
            receiver.behaviour = answer(500)
            await happen(server, 1, "second")
            host = server.url.partition("//")[2]
            until_dead = lambda: _equals(server, "dead_letters", 1)  # noqa: E731
            await until(until_dead)
            receiver.behaviour = take
            shown = await asyncio.to_thread(run, "followers", "letters", "hook", "--registry", host)
            assert "schema.registered" in shown.stdout
            assert "the endpoint answered 500" in shown.stdout
            done = await asyncio.to_thread(
                run, "followers", "redeliver", "hook", "--registry", host, "--json"
            )
            assert json.loads(done.stdout)["queued"] == 1
            await until(lambda: _count(receiver, 2))
            await until(lambda: _equals(server, "dead_letters", 0))
            assert server.metric("follower_dead_letters", follower="hook") == 0
            assert server.metric("follower_delivered_total", follower="hook") == 2
        for post in receiver.taken:
            assert Webhook(SECRET).verify(post.body, post.headers)["type"].endswith(".schema.registered")


async def _equals(server: Running, key: str, value: object) -> bool:
    return (await fares(server, "hook"))[key] == value


def test_a_stream_that_cannot_be_meant_keeps_the_program_from_starting(tmp_path: Path) -> None:
    for url, sentence in (
        ("amqp://host/topic", "nothing here delivers to amqp://"),
        ("https://host/hook", "events.secret_file is missing"),
        ("nats://", "names no server"),
        ("kafka://broker", "needs a topic"),
    ):
        done = run("serve", "--data", str(tmp_path / "data"), "--events", url)
        assert done.returncode == 2
        assert sentence in done.stderr
    assert not (tmp_path / "data").exists()


def test_doctor_tells_of_receivers_and_sends_them_nothing(tmp_path: Path, broker: NatsServer) -> None:
    def events_of(*arguments: str) -> dict[str, str]:
        done = run("doctor", "--data", str(tmp_path / "data"), "--json", *arguments)
        (found,) = [item for item in json.loads(done.stdout)["findings"] if item["name"] == "events"]
        return dict(found)

    assert events_of()["state"] == "ok"
    assert "has the stream" in events_of("--events", broker.url)["text"]
    broker.kill()
    away = events_of("--events", broker.url)
    assert (away["state"], "Connection refused" in away["text"]) == ("notice", True)


def write_hook(folder: Path, receiver: Receiver, more: str = "") -> None:
    """The receiver in the data folder's file."""
    data = folder / "data"
    data.mkdir(exist_ok=True, mode=0o700)
    text = f"[[webhook]]\nurl = '{receiver.url}'\nsecret = '{SECRET}'\n{more}\n"
    (data / "artifact-store.toml").write_text(text)
