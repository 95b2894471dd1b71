"""One ledger for all replicas: gapless in the order of commits, and nobody who follows it misses an entry."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.ports import free_ports
from tests.replicas.cluster import Cluster
from tests.replicas.connection import Connection, connected, request
from tests.replicas.replica import Replica
from tests.replicas.staleness import Race
from tests.server.program import until
from tests.sinks.nats_server import NatsServer, stored

LOOK_UPS = 1500


def head_of(client: httpx.Client) -> int:
    """The seq of the last entry."""
    seq = 0
    while True:
        page = client.get("/api/v1/events", params={"after": seq, "limit": 1000}).json()
        if not page["items"]:
            return seq
        seq = page["items"][-1]["seq"]


async def follow(url: str, after: int, over: asyncio.Event) -> list[int]:
    """The seq of every entry, asked for page by page as fast as can be until it is over, and once more."""
    found: list[int] = []
    async with connected(url) as connection:
        while True:
            last = over.is_set()
            page = await entries(connection, found[-1] if found else after)
            found += page
            if last and not page:
                return found


async def entries(connection: Connection, after: int) -> list[int]:
    (answer,) = await connection.ask(request("GET", f"/api/v1/events?after={after}&limit=100"))
    assert answer.status == 200
    return [item["seq"] for item in json.loads(answer.body)["items"]]


async def test_who_follows_meets_every_entry_in_order_while_all_replicas_write(three: Cluster) -> None:
    urls = [replica.url for replica in three.replicas]
    with three.client() as client:
        before = head_of(client)
        over = asyncio.Event()
        followers = [asyncio.create_task(follow(url, before, over)) for url in (*urls, three.url)]
        races = [Race(f"ledger/{uuid.uuid4().hex}").run(urls, urls, LOOK_UPS // 3) for _ in range(3)]
        found = await asyncio.gather(*races)
        over.set()
        followed = await asyncio.gather(*followers)
        after = head_of(client)
    changes = sum(each.changes for each in found)
    assert after - before >= changes
    assert followed == [list(range(before + 1, after + 1))] * len(followed)


@pytest.fixture
def broker(tmp_path: Path, three: Cluster) -> Iterator[NatsServer]:
    """A broker that all replicas send their events to, and no more afterwards."""
    server = NatsServer(tmp_path)
    server.start()
    name = "ARTIFACT_STORE_EVENTS_URL"
    try:
        for replica in three.replicas:
            replica.settings[name] = server.url
            replica.stop()
        three.heal()
        yield server
    finally:
        for replica in three.replicas:
            del replica.settings[name]
            if replica.running:
                replica.stop()
        server.kill()


def follower_at(replica: Replica) -> dict[str, int]:
    with replica.client() as client:
        (found,) = client.get("/api/v1/followers").json()["items"]
        return dict(found)


async def test_events_go_on_in_order_when_the_replica_that_sends_them_ends(
    three: Cluster, broker: NatsServer
) -> None:
    async def change() -> None:
        urls = [replica.url for replica in three.replicas if replica.running]
        await Race(f"events/{uuid.uuid4().hex}").run(urls, urls, 60)

    for replica in three.replicas[:2]:  # whoever of them sends dies
        await change()
        replica.kill()
        # Its successor would wait for half a minute until the dead one's lease is over.
        three.postgres.execute("UPDATE work_leases SET expires_at = 0 WHERE work LIKE 'follower%'", "store")
    await change()
    left = three.replicas[2]  # asked itself: the proxy may take a while to see who is there
    until(lambda: follower_at(left)["lag_events"] == 0, 60)
    with left.client() as client:
        head = head_of(client)
    sent = [json.loads(body)["data"]["seq"] for *_, body in await stored(broker.url, "artifact-store")]
    assert sent == list(range(1, head + 1))


def test_replicas_that_start_at_once_on_nothing_make_one_store(three: Cluster, tmp_path: Path) -> None:
    three.postgres.execute("CREATE DATABASE at_once")
    bucket = three.bucket
    settings = {
        **three.replicas[0].settings,
        "ARTIFACT_STORE_DATABASE_URL": three.postgres.url("at_once"),
        "ARTIFACT_STORE_STORAGE_URL": f"s3://{bucket.bucket}/at-once/?endpoint={bucket.endpoint}",
    }
    ports = free_ports(3)
    made = [Replica(tmp_path / f"fresh{number}", port, settings) for number, port in enumerate(ports)]
    try:
        for replica in made:
            replica.spawn()
        for replica in made:
            replica.await_ready()
        for replica in made:
            with replica.client() as client:
                assert client.post("/v2/demo/blobs/uploads/").status_code == 202
        people = three.postgres.execute("SELECT count(*) FROM principals", "at_once")
        assert people == "1"
    finally:
        for replica in made:
            replica.close()
