"""Drafts over HTTP: the easy road for curl, and its fences."""

from __future__ import annotations

from typing import Any

import pytest
from blake3 import blake3

from tests.native_api.world import ROOT, World

PACKAGES = f"{ROOT}/packages"
DAY = 24 * 3600 * 1_000_000


async def put(world: World, path: str, data: bytes, **headers: str) -> dict[str, Any]:
    answer = await world.http.put(f"{PACKAGES}/app:v1/files/{path}", content=data, headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"{PACKAGES}/app:v1/draft"
    document: dict[str, Any] = answer.json()
    return document


async def test_files_are_streamed_in_and_become_a_package(world: World) -> None:
    one = await put(world, "a/b.txt", b"hello", **{"Content-Type": "Text/Plain; charset=utf-8"})
    assert one["file"]["relative_path"] == "a/b.txt"
    assert one["file"]["media_type"] == "text/plain"
    assert one["file"]["content_address"] == f"blake3:{blake3(b'hello').hexdigest()}"
    await put(world, "big.bin", b"x" * 300_000)
    assert (await world.http.get(f"{PACKAGES}/app:v1")).status_code == 404
    assert (await world.http.get(PACKAGES)).json()["items"] == []
    draft = (await world.http.get(f"{PACKAGES}/app:v1/draft")).json()
    assert [file["relative_path"] for file in draft["files"]] == ["a/b.txt", "big.bin"]
    made = await world.http.post(
        draft["links"]["finalize"], json={"variant": "x.v1", "metadata": {"n": 1}, "labels": {"k": "v"}}
    )
    assert made.status_code == 201
    package = made.json()
    assert [file["relative_path"] for file in package["files"]] == ["a/b.txt", "big.bin"]
    assert (package["variant"], package["metadata"], package["labels"]) == ("x.v1", {"n": 1}, {"k": "v"})
    assert (await world.http.get(f"{PACKAGES}/app:v1/files/a/b.txt")).content == b"hello"
    assert (await world.http.get(f"{PACKAGES}/app:v1/draft")).status_code == 404


@pytest.mark.parametrize("declared", [{}, {"Content-Type": "application/x-www-form-urlencoded"}])
async def test_what_curl_declares_by_itself_is_no_media_type(world: World, declared: dict[str, str]) -> None:
    put_there = await put(world, "a.bin", b"hello", **declared)
    assert put_there["file"]["media_type"] == "application/octet-stream"


async def test_a_form_is_refused_instead_of_kept_with_its_boundaries(world: World) -> None:
    answer = await world.http.put(f"{PACKAGES}/app:v1/files/a", files={"file": b"hello"})
    assert (answer.status_code, answer.json()["kind"]) == (415, "unsupported_media_type")
    assert "curl -T" in answer.json()["detail"]


async def test_the_same_package_comes_from_either_road(world: World) -> None:
    by_body = await world.put_package("other:v1", {"a": b"1", "b": b"2"}, labels={"k": "v"})
    await put(world, "b", b"2")
    await put(world, "a", b"1")
    made = await world.http.post(f"{PACKAGES}/app:v1/finalize", json={"labels": {"k": "v"}})
    assert made.json()["package_digest"] == by_body["package_digest"]


async def test_finalize_may_have_no_body_and_may_add_files(world: World) -> None:
    await put(world, "a", b"1")
    assert (await world.http.post(f"{PACKAGES}/app:v1/finalize")).status_code == 201
    await world.http.put(f"{PACKAGES}/app:v2/files/a", content=b"1")
    more = {"files": [{"relative_path": "b", "content_address": await world.put_content(b"2")}]}
    made = await world.http.post(f"{PACKAGES}/app:v2/finalize", json=more)
    assert [file["relative_path"] for file in made.json()["files"]] == ["a", "b"]


async def test_a_second_put_replaces_the_file(world: World) -> None:
    await put(world, "a", b"old")
    await put(world, "a", b"new")
    made = (await world.http.post(f"{PACKAGES}/app:v1/finalize")).json()
    assert len(made["files"]) == 1
    assert (await world.http.get(f"{PACKAGES}/app:v1/files/a")).content == b"new"


async def test_a_taken_version_is_409_at_the_first_put(world: World) -> None:
    await world.put_package("app:v1", {"a": b"1"})
    answer = await world.http.put(f"{PACKAGES}/app:v1/files/b", content=b"2")
    assert (answer.status_code, answer.json()["kind"]) == (409, "conflict")


async def test_a_draft_is_its_openers_alone(world: World) -> None:
    await put(world, "a", b"1")
    world.as_other = True
    mine = await world.http.put(f"{PACKAGES}/app:v1/files/b", content=b"2")
    assert (mine.status_code, mine.json()["kind"]) == (409, "conflict")
    for method, path in (("GET", "draft"), ("DELETE", "draft"), ("POST", "finalize")):
        answer = await world.http.request(method, f"{PACKAGES}/app:v1/{path}")
        assert (answer.status_code, answer.json()["kind"]) == (404, "draft_unknown")


async def test_a_draft_expires(world: World) -> None:
    await put(world, "a", b"1")
    world.clock.ahead += DAY + 1_000_000
    assert (await world.http.get(f"{PACKAGES}/app:v1/draft")).status_code == 404
    assert (await world.http.post(f"{PACKAGES}/app:v1/finalize")).status_code == 404
    world.as_other = True
    assert (await world.http.put(f"{PACKAGES}/app:v1/files/b", content=b"2")).status_code == 201


async def test_a_dropped_draft_is_gone(world: World) -> None:
    await put(world, "a", b"1")
    assert (await world.http.delete(f"{PACKAGES}/app:v1/draft")).status_code == 204
    assert (await world.http.get(f"{PACKAGES}/app:v1/draft")).status_code == 404
    assert (await world.http.delete(f"{PACKAGES}/app:v1/draft")).status_code == 404


@pytest.mark.parametrize("path", ["%2e%2e/a", "/a", "a%00b", "a%5cb", "C:x", "a//b", ""])
async def test_paths_that_lead_elsewhere_are_422_and_open_no_draft(world: World, path: str) -> None:
    answer = await world.http.put(f"{PACKAGES}/app:v1/files/{path}", content=b"1")
    assert (answer.status_code, answer.json()["kind"]) == (422, "validation_failed")
    assert (await world.http.get(f"{PACKAGES}/app:v1/draft")).status_code == 404


async def test_a_faulty_finalize_keeps_the_draft(world: World) -> None:
    schema = {"type": "object", "required": ["n"]}
    assert (await world.http.put(f"{ROOT}/schemas/x.v1", json=schema)).status_code == 201
    await put(world, "a", b"1")
    bad = await world.http.post(f"{PACKAGES}/app:v1/finalize", json={"variant": "x.v1"})
    assert bad.status_code == 422
    good = await world.http.post(
        f"{PACKAGES}/app:v1/finalize", json={"variant": "x.v1", "metadata": {"n": 1}}
    )
    assert good.status_code == 201


async def test_a_media_type_that_is_none_is_refused(world: World) -> None:
    answer = await world.http.put(
        f"{PACKAGES}/app:v1/files/a", content=b"1", headers={"Content-Type": "not a type"}
    )
    assert answer.status_code == 422
