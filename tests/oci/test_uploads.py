"""Uploads over the wire: whole, chunked, streamed, resumed, mounted, cancelled, refused."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oci import Limits
from tests.http.serving import Answer, connect
from tests.oci.world import World, b3, error_code, open_world, sha256, sha512

DATA = os.urandom(300_000)


def _range(answer: Answer) -> int:
    """The last byte that the registry says it holds."""
    first, _, last = answer["Range"].partition("-")
    assert first == "0"
    return int(last)


async def test_a_session_begins_empty_with_a_path_as_location(world: World) -> None:
    answer = await world.ask("POST", "a/b/blobs/uploads/")
    assert (answer.status, answer["Content-Length"], answer["Range"]) == (202, "0", "0-0")
    assert answer["Location"] == f"/v2/a/b/blobs/uploads/{answer['Docker-Upload-UUID']}"
    assert "OCI-Chunk-Min-Length" not in answer
    status = await world.ask("GET", answer["Location"].removeprefix("/v2/"))
    assert (status.status, status["Location"], status["Range"]) == (204, answer["Location"], "0-0")


@pytest.mark.parametrize("size", [0, 1, 300_000])
@pytest.mark.parametrize("digest", [sha256, sha512, b3])
async def test_post_then_put(world: World, size: int, digest) -> None:  # type: ignore[no-untyped-def]
    data = DATA[:size]
    place = await world.begin()
    answer = await world.ask("PUT", f"{place}?digest={digest(data)}", body=data)
    assert (answer.status, answer["Content-Length"]) == (201, "0")
    assert answer["Location"] == f"/v2/a/b/blobs/{digest(data)}"
    assert answer["Docker-Content-Digest"] == digest(data)
    assert (await world.client.ask("GET", answer["Location"])).body == data
    assert error_code(await world.ask("GET", place)) == "BLOB_UPLOAD_UNKNOWN"


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "blake3"])
async def test_an_announced_algorithm(world: World, algorithm: str) -> None:
    answer = await world.ask("POST", f"a/b/blobs/uploads/?digest-algorithm={algorithm}")
    assert answer.status == 202
    digest = {"sha256": sha256, "sha512": sha512, "blake3": b3}[algorithm](DATA)
    place = answer["Location"].removeprefix("/v2/")
    assert (await world.ask("PUT", f"{place}?digest={digest}", body=DATA)).status == 201
    refused = await world.ask("POST", "a/b/blobs/uploads/?digest-algorithm=md5")
    assert (refused.status, error_code(refused)) == (400, "DIGEST_INVALID")


async def test_chunks_with_content_range(world: World) -> None:
    place = await world.begin()
    for first, last in ((0, 99_999), (100_000, 100_000), (100_001, 199_999)):
        answer = await world.ask(
            "PATCH", place, f"Content-Range: {first}-{last}", body=DATA[first : last + 1]
        )
        assert (answer.status, _range(answer)) == (202, last)
        assert answer["Location"] == f"/v2/{place}"
        status = await world.ask("GET", place)
        assert (status.status, _range(status)) == (204, last)
    done = await world.ask(
        "PUT", f"{place}?digest={sha256(DATA)}", "Content-Range: 200000-299999", body=DATA[200_000:]
    )
    assert done.status == 201


async def test_a_streamed_body_without_length(world: World) -> None:
    place = await world.begin()
    world.client.send(f"PATCH /v2/{place} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    for start in range(0, len(DATA), 70_000):
        piece = DATA[start : start + 70_000]
        world.client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
    world.client.send(b"0\r\n\r\n")
    answer = await world.client.answer()
    assert (answer.status, _range(answer)) == (202, len(DATA) - 1)
    assert (await world.ask("PUT", f"{place}?digest={sha256(DATA)}")).status == 201


@pytest.mark.parametrize("header", ["Content-Range: 50-59", "Content-Range: 200-209", "Content-Range: 0-9"])
async def test_a_chunk_out_of_order_is_refused_and_the_session_lives(world: World, header: str) -> None:
    place = await world.begin()
    await world.ask("PATCH", place, "Content-Range: 0-99", body=DATA[:100])
    for method, target in (("PATCH", place), ("PUT", f"{place}?digest={sha256(DATA[:200])}")):
        answer = await world.ask(method, target, header, body=DATA[:10])
        assert (answer.status, error_code(answer)) == (416, "BLOB_UPLOAD_INVALID")
        assert (answer["Location"], _range(answer)) == (f"/v2/{place}", 99)
    answer = await world.ask(
        "PUT", f"{place}?digest={sha256(DATA[:200])}", "Content-Range: 100-199", body=DATA[100:200]
    )
    assert answer.status == 201


@pytest.mark.parametrize("header", ["5-0", "x", "0-100", "bytes", ""])
async def test_a_content_range_that_is_none_or_not_the_body_is_refused(world: World, header: str) -> None:
    place = await world.begin()
    answer = await world.ask("PATCH", place, f"Content-Range: {header}", body=DATA[:10])
    assert (answer.status, error_code(answer)) == (400, "BLOB_UPLOAD_INVALID")
    assert (await world.ask("PATCH", place, "Content-Range: 0-9", body=DATA[:10])).status == 202


async def test_another_digest_is_refused_and_nothing_is_stored(world: World) -> None:
    wrong = sha256(b"wrong")
    for target in (f"{await world.begin()}?digest={wrong}", None):
        answer = await (
            world.ask("PUT", target, body=DATA)
            if target
            else world.ask("POST", f"a/b/blobs/uploads/?digest={wrong}", body=DATA)
        )
        assert (answer.status, error_code(answer)) == (400, "DIGEST_INVALID")
        for name in (wrong, sha256(DATA)):
            assert (await world.ask("HEAD", f"a/b/blobs/{name}")).status == 404


@pytest.mark.parametrize("query", ["", "?digest=", "?digest=sha256:0", "?digest=md5:" + "0" * 32])
async def test_completion_needs_a_digest_and_the_session_outlives_a_bad_one(world: World, query: str) -> None:
    place = await world.begin()
    answer = await world.ask("PUT", f"{place}{query}", body=DATA)
    assert (answer.status, error_code(answer)) == (400, "DIGEST_INVALID")
    assert (await world.ask("PUT", f"{place}?digest={sha256(DATA)}", body=DATA)).status == 201


async def test_a_post_with_an_empty_body_is_an_empty_blob(world: World) -> None:
    assert (await world.ask("POST", f"a/b/blobs/uploads/?digest={sha256(b'')}")).status == 201
    answer = await world.ask("POST", f"a/b/blobs/uploads/?digest={sha256(DATA)}", "Content-Length: 0")
    assert (answer.status, error_code(answer)) == (400, "DIGEST_INVALID")


async def test_a_mount_links_what_is_readable_and_else_begins_an_upload(world: World) -> None:
    name = await world.push_blob(DATA, "from/here")
    mounted = await world.ask("POST", f"to/there/blobs/uploads/?mount={name}&from=from/here")
    assert (mounted.status, mounted["Location"]) == (201, f"/v2/to/there/blobs/{name}")
    assert (await world.ask("GET", f"to/there/blobs/{name}")).body == DATA
    assert (await world.ask("POST", f"to/anywhere/blobs/uploads/?mount={name}")).status == 201
    for query in (
        f"mount={sha256(b'absent')}&from=from/here",
        f"mount={name}&from=not/there",
        f"mount={name}&from=BAD",
        "mount=nonsense&from=from/here",
    ):
        answer = await world.ask("POST", f"to/else/blobs/uploads/?{query}")
        assert answer.status == 202
        place = answer["Location"].removeprefix("/v2/")
        assert (await world.ask("PUT", f"{place}?digest={sha256(b'x')}", body=b"x")).status == 201


async def test_a_cancelled_session_is_gone(world: World) -> None:
    place = await world.begin()
    await world.ask("PATCH", place, body=DATA)
    assert (await world.ask("DELETE", place)).status == 204
    for method, target in (("GET", place), ("PATCH", place), ("DELETE", place)):
        assert (await world.ask(method, target)).status == 404
    answer = await world.ask("PUT", f"{place}?digest={sha256(DATA)}")
    assert (answer.status, error_code(answer)) == (404, "BLOB_UPLOAD_UNKNOWN")


async def test_a_session_belongs_to_its_repository(world: World) -> None:
    place = await world.begin()
    other = place.replace("a/b/", "c/d/")
    for method in ("GET", "PATCH", "DELETE"):
        assert (await world.ask(method, other)).status == 404
    assert (await world.ask("GET", f"a/b/blobs/uploads/{uuid.uuid4()}")).status == 404
    assert (await world.ask("GET", place)).status == 204


async def test_two_appends_at_once_are_told_apart(world: World) -> None:
    place = await world.begin()
    async with connect(world.port) as first:
        first.send(f"PATCH /v2/{place} HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n0123456789".encode())
        await asyncio.sleep(0.1)
        answer = await world.ask("PATCH", place, body=b"intruder")
        assert (answer.status, error_code(answer)) == (409, "BLOB_UPLOAD_INVALID")
        first.send(b"abcdefghij")
        assert _range(await first.answer()) == 19
    done = b"0123456789abcdefghij"
    assert (await world.ask("PUT", f"{place}?digest={sha256(done)}")).status == 201


@pytest.mark.parametrize("how", ["close", "reset"])
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(cut=st.integers(0, len(DATA) - 1))
async def test_a_connection_cut_anywhere_can_be_resumed_from_what_arrived(
    world: World, how: str, cut: int
) -> None:
    place = await world.begin()
    async with connect(world.port) as dropped:
        head = f"PATCH /v2/{place} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(DATA)}\r\n\r\n"
        dropped.send(head.encode() + DATA[:cut])
        await dropped.writer.drain()
        if how == "reset":
            sock = dropped.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    for _ in range(100):
        answer = await world.ask("PATCH", place, body=b"")
        if answer.status == 202:
            break
        assert answer.status in (409, 416)  # the broken request still writes
        await asyncio.sleep(0.02)
    held = 0 if _range(answer) == 0 else _range(answer) + 1
    if how == "close":
        assert held == (cut if cut > 1 else 0)
    assert held <= cut
    if held == 0 and cut:  # 0-0 means nothing or one byte; only the right guess is taken
        retry = await world.ask("PATCH", place, f"Content-Range: 0-{len(DATA) - 1}", body=DATA)
        held = 1 if retry.status == 416 else len(DATA)
    answer = await world.ask("PUT", f"{place}?digest={sha256(DATA)}", body=DATA[held:])
    assert answer.status == 201, answer


async def test_a_refused_body_is_not_read_to_its_end(world: World) -> None:
    async with connect(world.port) as client:
        client.send(
            b"PATCH /v2/a/b/blobs/uploads/none HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\nabc"
        )
        answer = await client.answer()
        assert (answer.status, answer["Connection"]) == (404, "close")
        assert await client.ended()


async def test_a_client_that_falls_silent_is_answered_and_its_bytes_are_kept(world: World, tmp_path) -> None:  # type: ignore[no-untyped-def]
    async with open_world(tmp_path / "impatient", Limits(idle_timeout=0.2)) as impatient:
        place = await impatient.begin()
        async with connect(impatient.port) as client:
            client.send(
                f"PATCH /v2/{place} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n0123456789".encode()
            )
            answer = await client.answer()
            assert (answer.status, answer["Connection"]) == (408, "close")
        assert _range(await impatient.ask("GET", place)) == 9


async def test_many_pushes_of_the_same_and_of_different_blobs_at_once(world: World) -> None:
    async def push(number: int) -> int:
        data = DATA[: 1000 + number % 7]
        async with connect(world.port) as client:
            begun = await client.ask("POST", "/v2/a/b/blobs/uploads/")
            answer = await client.ask("PUT", f"{begun['Location']}?digest={sha256(data)}", body=data)
            got = await client.ask("GET", answer["Location"])
            assert got.body == data
            return answer.status

    assert set(await asyncio.gather(*(push(number) for number in range(40)))) == {201}


async def test_an_error_is_an_envelope_with_a_sentence(world: World) -> None:
    answer = await world.ask("GET", "a/b/blobs/uploads/none")
    (entry,) = json.loads(answer.body)["errors"]
    assert entry["code"] == "BLOB_UPLOAD_UNKNOWN"
    assert " " in entry["message"]
