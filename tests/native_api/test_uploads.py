"""Uploads over HTTP: plain, in pieces, broken off, resumed, completed, cancelled."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from blake3 import blake3

from native_api import Limits
from tests.native_api.world import ROOT, World, open_world

UPLOADS = f"{ROOT}/uploads"


async def open_upload(world: World, **body: object) -> str:
    answer = await world.http.post(UPLOADS, json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["offset"] == 0
    assert answer.headers["Upload-Offset"] == "0"
    location: str = answer.headers["Location"]
    assert location == f"{UPLOADS}/{answer.json()['id']}"
    return location


async def test_bytes_come_in_by_content_range_and_leave_by_address(world: World) -> None:
    place = await open_upload(world, size=10)
    first = await world.http.patch(place, content=b"01234", headers={"Content-Range": "bytes 0-4/*"})
    assert (first.status_code, first.headers["Upload-Offset"]) == (204, "5")
    second = await world.http.patch(place, content=b"56789", headers={"Content-Range": "bytes 5-9/10"})
    assert (second.status_code, second.headers["Upload-Offset"]) == (204, "10")
    done = await world.http.post(f"{place}/complete")
    assert done.status_code == 201
    content = done.json()
    assert content["size"] == 10
    assert content["content_address"] == f"blake3:{blake3(b'0123456789').hexdigest()}"
    assert content["digests"] == {
        "blake3": content["content_address"],
        "sha256": f"sha256:{hashlib.sha256(b'0123456789').hexdigest()}",
    }
    assert (await world.http.get(done.headers["Location"])).content == b"0123456789"


async def test_completing_again_answers_the_same_for_a_day(world: World) -> None:
    place = await open_upload(world)
    await world.http.patch(place, content=b"x", headers={"Upload-Offset": "0"})
    first = await world.http.post(f"{place}/complete")
    again = await world.http.post(f"{place}/complete")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    shown = (await world.http.get(place)).json()
    assert shown["content"] == first.json()
    assert shown["offset"] == 1


async def test_head_and_get_say_where_it_stands(world: World) -> None:
    place = await open_upload(world, size=8, repository="team/app")
    await world.http.patch(place, content=b"abc", headers={"Upload-Offset": "0"})
    head, get = await world.http.head(place), await world.http.get(place)
    assert head.status_code == get.status_code == 200
    assert head.headers["Upload-Offset"] == get.headers["Upload-Offset"] == "3"
    assert head.headers["Upload-Length"] == "8"
    assert head.headers["Cache-Control"] == "no-store"
    document = get.json()
    assert (document["offset"], document["size"], document["repository"]) == (3, 8, "team/app")
    assert document["content"] is None


async def test_a_wrong_offset_is_told_the_right_one_and_the_session_lives(world: World) -> None:
    place = await open_upload(world)
    await world.http.patch(place, content=b"abc", headers={"Upload-Offset": "0"})
    for headers in ({"Upload-Offset": "0"}, {"Upload-Offset": "9"}, {"Content-Range": "bytes 1-3/*"}):
        wrong = await world.http.patch(place, content=b"def", headers=headers)
        assert wrong.status_code == 409
        assert wrong.headers["Upload-Offset"] == "3"
        assert (wrong.json()["kind"], wrong.json()["offset"]) == ("offset_mismatch", 3)
    right = await world.http.patch(place, content=b"def", headers={"Upload-Offset": "3"})
    assert (right.status_code, right.headers["Upload-Offset"]) == (204, "6")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Upload-Offset": "-1"},
        {"Upload-Offset": "x"},
        {"Content-Range": "bytes 3-1/*"},
        {"Content-Range": "bytes 0-9/*"},
        {"Content-Range": "bytes 0-2/*", "Upload-Offset": "1"},
        {"Content-Range": "lines 0-2/*"},
    ],
)
async def test_bytes_without_a_clear_place_are_refused_and_change_nothing(
    world: World, headers: dict[str, str]
) -> None:
    place = await open_upload(world)
    refused = await world.http.patch(place, content=b"abc", headers=headers)
    assert (refused.status_code, refused.json()["kind"]) == (400, "bad_request")
    assert (await world.http.head(place)).headers["Upload-Offset"] == "0"


async def test_a_stream_of_unknown_length_is_taken(world: World) -> None:
    place = await open_upload(world)

    async def body() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"z" * 1000

    answer = await world.http.patch(place, content=body(), headers={"Upload-Offset": "0"})
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, "5000")


async def test_another_digest_than_announced_is_422_and_the_upload_goes_on(world: World) -> None:
    place = await open_upload(world)
    await world.http.patch(place, content=b"abc", headers={"Upload-Offset": "0"})
    wrong = await world.http.post(f"{place}/complete", json={"digest": f"blake3:{'0' * 64}"})
    assert (wrong.status_code, wrong.json()["kind"]) == (422, "digest_mismatch")
    await world.http.patch(place, content=b"def", headers={"Upload-Offset": "3"})
    right = f"sha256:{hashlib.sha256(b'abcdef').hexdigest()}"
    assert (await world.http.post(f"{place}/complete", json={"digest": right})).status_code == 201


async def test_a_digest_announced_at_creation_is_held_to(world: World) -> None:
    place = await open_upload(world, digest=f"sha256:{hashlib.sha256(b'right').hexdigest()}")
    await world.http.patch(place, content=b"wrong", headers={"Upload-Offset": "0"})
    assert (await world.http.post(f"{place}/complete")).json()["kind"] == "digest_mismatch"


async def test_sha512_can_be_what_completes(world: World) -> None:
    digest = f"sha512:{hashlib.sha512(b'abc').hexdigest()}"
    place = await open_upload(world, digest=digest)
    await world.http.patch(place, content=b"abc", headers={"Upload-Offset": "0"})
    done = await world.http.post(f"{place}/complete", json={"digest": digest})
    assert done.json()["digests"]["sha512"] == digest
    assert (await world.http.get(f"{ROOT}/content/{digest}")).content == b"abc"


async def test_short_of_the_declared_size_cannot_complete_and_beyond_it_cannot_append(world: World) -> None:
    place = await open_upload(world, size=4)
    await world.http.patch(place, content=b"abc", headers={"Upload-Offset": "0"})
    short = await world.http.post(f"{place}/complete")
    assert (short.status_code, short.json()["kind"], short.json()["offset"]) == (409, "upload_incomplete", 3)
    beyond = await world.http.patch(place, content=b"de", headers={"Upload-Offset": "3"})
    assert (beyond.status_code, beyond.json()["kind"]) == (413, "too_large")
    assert (await world.http.head(place)).headers["Upload-Offset"] == "3"


async def test_a_cancelled_upload_is_gone(world: World) -> None:
    place = await open_upload(world)
    assert (await world.http.delete(place)).status_code == 204
    for answer in (
        await world.http.get(place),
        await world.http.delete(place),
        await world.http.patch(place, content=b"x", headers={"Upload-Offset": "0"}),
        await world.http.post(f"{place}/complete"),
    ):
        assert (answer.status_code, answer.json()["kind"]) == (404, "upload_unknown")


async def test_somebody_elses_upload_is_as_absent(world: World) -> None:
    place = await open_upload(world)
    world.as_other = True
    assert (await world.http.get(place)).status_code == 404


async def test_a_dropped_connection_keeps_what_arrived_and_can_be_resumed(world: World) -> None:
    data = bytes(range(256)) * 4096
    place = await open_upload(world, size=len(data))
    _, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(
        f"PATCH {place} HTTP/1.1\r\nHost: x\r\nUpload-Offset: 0\r\n"
        f"Content-Length: {len(data)}\r\n\r\n".encode()
    )
    writer.write(data[:700_001])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    for _ in range(100):
        held = int((await world.http.head(place)).headers["Upload-Offset"])
        if held == 700_001:
            break
        await asyncio.sleep(0.02)
    assert held == 700_001
    rest = await world.http.patch(place, content=data[held:], headers={"Upload-Offset": str(held)})
    assert rest.status_code == 204
    done = await world.http.post(f"{place}/complete")
    assert done.json()["content_address"] == f"blake3:{blake3(data).hexdigest()}"


async def test_expect_100_continue_is_answered_and_a_refusal_spares_the_body(world: World) -> None:
    place = await open_upload(world)
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    head = (
        f"PATCH {place} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\nUpload-Offset: "
    )
    writer.write(f"{head}0\r\n\r\n".encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
    writer.write(b"abc")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
    writer.write(f"{head}7\r\n\r\n".encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 409")
    writer.close()


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({"size": -1}, ["/size"]),
        ({"size": "5", "digest": "x", "colour": "red"}, ["/size", "/digest", "/colour"]),
        ({"repository": "Not A Name"}, ["/repository"]),
    ],
)
async def test_a_bad_creation_names_every_fault(world: World, body: object, paths: list[str]) -> None:
    answer = await world.http.post(UPLOADS, json=body)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert sorted(error["path"] for error in answer.json()["errors"]) == sorted(paths)


async def test_bodies_that_are_no_json_are_refused(world: World) -> None:
    for content in (b"{", b"\xff", b'{"size": 1, "size": 1}', b'{"size": NaN}', b'"\\ud800"'):
        answer = await world.http.post(UPLOADS, content=content, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["kind"]) == (422, "validation_failed"), content
    form = await world.http.post(UPLOADS, data={"size": "1"})
    assert (form.status_code, form.json()["kind"]) == (415, "unsupported_media_type")
    huge = await world.http.post(UPLOADS, json={"x": "y" * 100_000})
    assert (huge.status_code, huge.json()["kind"]) == (413, "too_large")


async def test_an_upload_beyond_the_largest_size_is_refused_at_once(tmp_path: Path) -> None:
    async with open_world(tmp_path, limits=Limits(upload_size=10)) as world:
        answer = await world.http.post(UPLOADS, json={"size": 11})
        assert (answer.status_code, answer.json()["kind"]) == (413, "too_large")
        assert (await world.http.request("OPTIONS", UPLOADS)).headers["Tus-Max-Size"] == "10"
