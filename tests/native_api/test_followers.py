"""Followers over HTTP: how they fare, dead letters, and each thing an operator can do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from registry.control import Care
from registry.control.followers import Follower
from tests.control.followers.shelf import REFUSED, Shelf
from tests.native_api.world import ROOT, World, open_world

FOLLOWERS = f"{ROOT}/followers"


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
async def world(tmp_path: Path, shelf: Shelf) -> AsyncIterator[World]:
    """The face over a store that follows itself."""
    follower = Follower("shelf", lambda: shelf, target="shelf://here", kinds=("schema.*",), attempts=1)
    care = Care(collect_every=None, scrub_rate=None)
    async with open_world(tmp_path, followers=(follower,), care=care) as opened:
        yield opened


async def happen(world: World, variant: str) -> None:
    assert (await world.http.put(f"{ROOT}/schemas/{variant}", json={})).status_code == 201


async def eventually(world: World, key: str, value: object) -> dict[str, object]:
    """The follower, when it has come to that."""
    async with asyncio.timeout(10):
        while True:
            found = await world.http.get(f"{FOLLOWERS}/shelf")
            if found.status_code == 200 and found.json()[key] == value:
                document: dict[str, object] = found.json()
                return document
            await asyncio.sleep(0.02)


async def test_a_follower_tells_how_it_fares(world: World) -> None:
    await happen(world, "a.v1")
    found = await eventually(world, "delivered", 1)
    assert found["target"] == "shelf://here"
    assert (found["state"], found["configured"], found["reason"]) == ("delivering", True, None)
    listed = (await world.http.get(FOLLOWERS)).json()
    assert [one["name"] for one in listed["items"]] == ["shelf"]
    assert listed["next"] is None


async def test_dead_letters_are_listed_and_redelivered(world: World, shelf: Shelf) -> None:
    shelf.refuse = lambda _event: REFUSED
    await happen(world, "a.v1")
    await eventually(world, "dead_letters", 1)
    page = (await world.http.get(f"{FOLLOWERS}/shelf/dead-letters")).json()
    (letter,) = page["items"]
    assert (letter["kind"], letter["reason"], letter["queued"]) == (
        "schema.registered",
        REFUSED.reason,
        False,
    )
    shelf.refuse = lambda _event: None
    asked = await world.http.post(f"{FOLLOWERS}/shelf/redeliver", json={"seqs": [letter["seq"]]})
    assert (asked.status_code, asked.json()["queued"]) == (202, 1)
    await world.http.post(f"{FOLLOWERS}/shelf/resume")  # it waits after the failure
    await eventually(world, "dead_letters", 0)
    assert shelf.seqs() == [letter["seq"]]
    assert (await world.http.post(f"{FOLLOWERS}/shelf/redeliver")).json()["queued"] == 0


async def test_seek_stop_and_resume(world: World, shelf: Shelf) -> None:
    await happen(world, "a.v1")
    await eventually(world, "delivered", 1)
    assert (await world.http.post(f"{FOLLOWERS}/shelf/stop")).json()["state"] == "stopped"
    sought = await world.http.post(f"{FOLLOWERS}/shelf/seek", json={"after": 0})
    assert sought.json()["cursor"] == 0
    assert (await world.http.post(f"{FOLLOWERS}/shelf/resume")).json()["state"] == "delivering"
    await eventually(world, "delivered", 2)
    assert len(set(shelf.seqs())) == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        ("GET", "/nobody", None, 404, "follower_unknown"),
        ("GET", "/Nobody", None, 404, "follower_unknown"),
        ("GET", "/nobody/dead-letters", None, 404, "follower_unknown"),
        ("POST", "/nobody/redeliver", None, 404, "follower_unknown"),
        ("POST", "/nobody/skip", None, 404, "follower_unknown"),
        ("POST", "/nobody/seek", {"after": 0}, 404, "follower_unknown"),
        ("DELETE", "/nobody", None, 404, "follower_unknown"),
        ("POST", "/shelf/skip", None, 409, "conflict"),
        ("POST", "/shelf/seek", {"after": 10**6}, 409, "conflict"),
        ("POST", "/shelf/seek", {}, 422, "validation_failed"),
        ("POST", "/shelf/seek", {"after": -1}, 422, "validation_failed"),
        ("POST", "/shelf/redeliver", {"seqs": []}, 422, "validation_failed"),
        ("POST", "/shelf/redeliver", {"seqs": [7]}, 409, "conflict"),
        ("DELETE", "/shelf", None, 409, "conflict"),
        ("GET", "/shelf/no-such-part", None, 404, "route_unknown"),
    ],
)
async def test_what_cannot_be_done_is_refused(
    world: World, method: str, path: str, body: object, status: int, kind: str
) -> None:
    await eventually(world, "delivered", 0)
    answered: httpx.Response = await world.http.request(method, FOLLOWERS + path, json=body)
    assert (answered.status_code, answered.json()["kind"]) == (status, kind)
