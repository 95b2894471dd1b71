"""Search by variant, repository, time, labels and typed metadata."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.native_api.world import ROOT, World


async def found(world: World, **query: Any) -> list[str]:
    answer = await world.http.get(f"{ROOT}/search", params=query)
    assert answer.status_code == 200, answer.text
    return [f"{item['repository']}:{item['version']}" for item in answer.json()["items"]]


@pytest.fixture
async def runs(world: World) -> World:
    await world.put_package(
        "a:1",
        {},
        variant="run.v1",
        labels={"team": "red", "a.b": "dotted"},
        metadata={"score": 10, "ok": True, "tags": ["x", "y"], "deep": {"er": 1.5}, "none": None, "n": "10"},
    )
    await world.put_package(
        "a:2",
        {},
        variant="run.v1",
        labels={"team": "blue"},
        metadata={"score": 10.0, "ok": False, "tags": "x"},
    )
    await world.put_package("b:1", {}, variant="note.v1", metadata={"score": 11, "ok": "true"})
    return world


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["b:1", "a:2", "a:1"]),
        ({"variant": "run.v1"}, ["a:2", "a:1"]),
        ({"variant": "none.v1"}, []),
        ({"repository": "a"}, ["a:2", "a:1"]),
        ({"label.team": "red"}, ["a:1"]),
        ({"label.a.b": "dotted"}, ["a:1"]),
        ({"metadata.score": "10"}, ["a:2", "a:1"]),
        ({"metadata.score": "10.0"}, ["a:2", "a:1"]),
        ({"metadata.score": "1e1"}, ["a:2", "a:1"]),
        ({"metadata.score": "11"}, ["b:1"]),
        ({"metadata.n": "10"}, ["a:1"]),
        ({"metadata.ok": "false"}, ["a:2"]),
        ({"metadata.ok": "true"}, ["b:1", "a:1"]),
        ({"metadata.tags": "x"}, ["a:2", "a:1"]),
        ({"metadata.tags": "y"}, ["a:1"]),
        ({"metadata.deep.er": "1.5"}, ["a:1"]),
        ({"metadata.none": "null"}, ["a:1"]),
        ({"metadata.score": "10", "label.team": "blue", "variant": "run.v1"}, ["a:2"]),
        ({"metadata.score": "10", "label.team": "blue", "variant": "note.v1"}, []),
        ({"metadata.absent": "1"}, []),
    ],
)
async def test_all_conditions_hold_and_the_newest_comes_first(
    runs: World, query: dict[str, str], expected: list[str]
) -> None:
    assert await found(runs, **query) == expected


async def test_two_values_of_one_array_must_both_be_there(runs: World) -> None:
    answer = await runs.http.get(f"{ROOT}/search?metadata.tags=x&metadata.tags=y")
    assert [item["version"] for item in answer.json()["items"]] == ["1"]


async def test_made_after_a_moment(world: World) -> None:
    first = await world.put_package("a:1", {}, labels={"n": "1"})
    await asyncio.sleep(0.01)
    await world.put_package("a:2", {}, labels={"n": "2"})
    assert await found(world, created_after=first["created_at"]) == ["a:2"]
    assert await found(world, created_after="2001-01-01T00:00:00+02:00") == ["a:2", "a:1"]
    assert await found(world, created_after="2901-01-01T00:00:00Z") == []


async def test_pages_cover_everything_once(world: World) -> None:
    for number in range(7):
        await world.put_package(f"r:{number}", {}, labels={"n": str(number), "all": "yes"})
    seen: list[str] = []
    query: dict[str, Any] = {"label.all": "yes", "limit": 3}
    while True:
        page = (await world.http.get(f"{ROOT}/search", params=query)).json()
        seen += [item["version"] for item in page["items"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert seen == ["6", "5", "4", "3", "2", "1", "0"]


async def test_a_deleted_package_is_found_no_more(runs: World) -> None:
    await runs.http.delete(f"{ROOT}/packages/b:1")
    assert await found(runs) == ["a:2", "a:1"]


@pytest.mark.parametrize(
    "query",
    [
        "varient=x",
        "variant=",
        "variant=a%20b",
        "repository=No",
        "created_after=now",
        "metadata.=1",
        "label=1",
        "limit=0",
        "a=1",
    ],
)
async def test_bad_queries_are_400(world: World, query: str) -> None:
    answer = await world.http.get(f"{ROOT}/search?{query}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
