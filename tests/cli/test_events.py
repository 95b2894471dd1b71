"""What happened, and what happens while one watches."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

from registry.contract.names import Repository
from tests.cli.conftest import Runner


async def test_events_are_printed_in_order_once_each(
    cli: Runner, server: str, repository: Repository, folder: Path
) -> None:
    await cli("push", f"{server}/{repository}:v1", folder)
    lines = (await cli("events", server, "--json")).out.splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert str(repository) in {event["scope"] for event in events}
    later = await cli("events", server, "--after", events[-2]["seq"])
    assert later.out.startswith(f"{events[-1]['seq']}  {events[-1]['time']}  {events[-1]['kind']}")


async def test_following_shows_what_is_pushed_meanwhile(
    cli: Runner, server: str, repository: Repository, folder: Path
) -> None:
    watching = await cli.start("events", server, "--follow", "--json")
    await cli("push", f"{server}/{repository}:v1", folder / "a.txt")
    assert watching.stdout is not None
    seen: list[int] = []
    async with asyncio.timeout(30):
        while True:
            event = json.loads(await watching.stdout.readline())
            seen.append(event["seq"])
            if event["scope"] == repository and event["kind"].startswith("tag"):
                break
    watching.send_signal(signal.SIGINT)
    assert (await cli.end(watching)).code == 130
    assert seen == list(range(1, len(seen) + 1))


async def test_a_registry_without_events_is_an_error(cli: Runner, peer: str) -> None:
    ended = await cli("events", peer)
    assert ended.code == 1
    assert "404" in ended.err
