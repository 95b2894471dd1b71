"""The ledger over HTTP: pages, and the live stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from native_api import Limits
from tests.native_api.world import ROOT, World, open_world

EVENTS = f"{ROOT}/events"
STREAM = {"Accept": "text/event-stream"}


@asynccontextmanager
async def following(world: World, query: str = "", **headers: str) -> AsyncIterator[AsyncIterator[str]]:
    """The lines of a stream."""
    async with world.http.stream("GET", f"{EVENTS}{query}", headers={**STREAM, **headers}) as answer:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "text/event-stream"
        yield answer.aiter_lines()


async def frames(lines: AsyncIterator[str], count: int) -> list[dict[str, str]]:
    """The next frames that hold an event."""
    found: list[dict[str, str]] = []
    frame: dict[str, str] = {}
    async with asyncio.timeout(5):
        async for line in lines:
            name, _, value = line.partition(": ")
            if line and name:
                frame[name] = value
            elif not line:
                if "id" in frame:
                    found.append(frame)
                    if len(found) == count:
                        return found
                frame = {}
    return found


async def page(world: World, **query: Any) -> dict[str, Any]:
    answer = await world.http.get(EVENTS, params=query)
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    return document


async def test_pages_tell_what_happened_in_order(world: World) -> None:
    package = await world.put_package("team/app:v1", {"a": b"1"})
    whole = await page(world, limit=1000)
    assert [event["seq"] for event in whole["items"]] == list(range(1, len(whole["items"]) + 1))
    assert whole["next"] is None
    kinds = [event["kind"] for event in whole["items"]]
    assert "manifest.stored" in kinds
    assert kinds[-1] == "tag.set"
    last = whole["items"][-1]
    assert (last["scope"], last["subject"]) == ("team/app", "v1")
    assert last["actor"] == world.session.principal.id
    assert last["time"] == package["created_at"]
    seen: list[int] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        part = await page(world, **query)
        seen += [event["seq"] for event in part["items"]]
        if part["next"] is None:
            break
        query["after"] = part["next"]
    assert seen == [event["seq"] for event in whole["items"]]
    assert await page(world, after=last["seq"]) == {"items": [], "next": None}


async def test_a_stream_tells_what_was_and_what_comes(world: World) -> None:
    await world.put_content(b"first")
    before = (await page(world))["items"]
    async with following(world) as lines:
        told = await frames(lines, len(before))
        assert [json.loads(frame["data"]) for frame in told] == before
        assert [(frame["id"], frame["event"]) for frame in told] == [
            (str(event["seq"]), event["kind"]) for event in before
        ]
        await world.put_content(b"second")
        (live,) = await frames(lines, 1)
        assert int(live["id"]) == before[-1]["seq"] + 1


async def test_a_stream_goes_on_where_its_reader_was(world: World) -> None:
    await world.put_package("app:v1", {"a": b"1"})
    last = (await page(world))["items"][-1]["seq"]
    async with following(world, "?after=1", **{"Last-Event-ID": str(last - 1)}) as lines:
        (frame,) = await frames(lines, 1)
        assert frame["id"] == str(last)
    async with following(world, f"?after={last - 1}") as lines:
        (frame,) = await frames(lines, 1)
        assert frame["id"] == str(last)


async def test_a_bad_place_is_refused(world: World) -> None:
    for headers, query in (({"Last-Event-ID": "x"}, ""), ({}, "?after=-1"), ({}, "?after=x")):
        answer = await world.http.get(f"{EVENTS}{query}", headers={**STREAM, **headers})
        assert (answer.status_code, answer.json()["kind"]) == (400, "bad_request")


async def test_other_types_are_not_acceptable(world: World) -> None:
    answer = await world.http.get(EVENTS, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.json()["kind"]) == (406, "not_acceptable")


async def test_silence_is_filled_and_a_reader_that_left_is_noticed(tmp_path: Path) -> None:
    async with open_world(tmp_path, limits=Limits(heartbeat=0.05)) as world:
        quiet = len(asyncio.all_tasks())
        async with following(world) as lines:
            async with asyncio.timeout(5):
                beats = 0
                async for line in lines:
                    beats += line.startswith(":")
                    if beats == 3:
                        break
            assert len(asyncio.all_tasks()) > quiet
        async with asyncio.timeout(5):
            while len(asyncio.all_tasks()) > quiet:
                await asyncio.sleep(0.05)


async def test_many_readers_follow_at_once(world: World) -> None:
    async def follow() -> str:
        async with httpx.AsyncClient(base_url=world.url) as client:
            async with client.stream("GET", EVENTS, headers=STREAM) as answer:
                (frame,) = await frames(answer.aiter_lines(), 1)
                return frame["id"]

    readers = [asyncio.create_task(follow()) for _ in range(20)]
    await asyncio.sleep(0.1)
    await world.put_content(b"x")
    assert await asyncio.gather(*readers) == ["1"] * 20
