"""A stream of three copies whose leader is killed while events come: once, and in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.sinks.jetstream import JetStreamSettings, JetStreamSink
from tests.sinks.nats_server import NatsServer, connected, free_port
from tests.sinks.samples import samples

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, NatsServer]]:
    """Three servers by name."""
    ports = [free_port() for _ in range(3)]
    routes = ", ".join(f"nats-route://127.0.0.1:{port}" for port in ports)
    servers = {}
    for number, port in enumerate(ports):
        folder = tmp_path / str(number)
        folder.mkdir()
        listen = f'cluster {{ name: test, listen: "127.0.0.1:{port}", routes: [{routes}] }}'
        servers[f"n{number}"] = NatsServer(folder, f"server_name: n{number}\n{listen}")
    for server in servers.values():
        server.start()
    yield servers
    for server in servers.values():
        server.kill()


async def test_a_leader_that_is_killed_loses_and_turns_nothing(cluster: dict[str, NatsServer]) -> None:
    urls = tuple(server.url for server in cluster.values())
    sink = JetStreamSink(JetStreamSettings(urls, stream="events", prefix="store", replicas=3))
    events, taken, killed = samples(1, 3000), 0, 0
    async with asyncio.timeout(90):
        while taken < len(events):
            window = events[taken : taken + sink.window]
            if killed < 2 and taken >= 1000 * (killed + 1):
                leader = await leader_of(urls)
                asyncio.get_running_loop().call_later(0.01 * killed, cluster[leader].kill)
                delivery = await sink.deliver(window)
                killed += 1
                await asyncio.sleep(0.5)
                await asyncio.to_thread(cluster[leader].start)
            else:
                delivery = await sink.deliver(window)
            taken += delivery.taken
            if delivery.failure is not None:
                await asyncio.sleep(0.3)
        await sink.close()
        assert killed == 2
        assert await numbers(urls) == list(range(1, 3001))


async def leader_of(urls: tuple[str, ...]) -> str:
    async with connected(list(urls)) as client:
        while True:
            with contextlib.suppress(Exception):
                info = await client.jetstream().stream_info("events")
                if info.cluster is not None and info.cluster.leader:
                    return info.cluster.leader
            await asyncio.sleep(0.2)


async def numbers(urls: tuple[str, ...]) -> list[int]:
    """The seqs in the stream, in its order; asked again while the cluster finds itself."""
    found: list[int] = []
    async with connected(list(urls)) as client:
        context = client.jetstream()
        while True:
            try:
                state = (await context.stream_info("events")).state
                while len(found) < state.messages:
                    message = await context.get_msg("events", len(found) + 1)
                    found.append(json.loads(message.data or b"")["data"]["seq"])
                return found
            except Exception:
                await asyncio.sleep(0.3)
