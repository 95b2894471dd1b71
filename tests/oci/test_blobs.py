"""Blobs over the wire: every algorithm, ranges, conditions, deletion, absence."""

from __future__ import annotations

import os

import pytest

from tests.documents import manifest
from tests.oci.world import World, b3, error_code, sha256, sha512

DATA = os.urandom(200_000)


async def test_the_root_says_that_this_is_a_registry(world: World) -> None:
    for target in ("", "?x=1"):
        answer = await world.ask("GET", target)
        assert (answer.status, answer.body, answer["Content-Type"]) == (200, b"{}", "application/json")
    assert (await world.client.ask("GET", "/v2")).status == 200


@pytest.mark.parametrize("size", [0, 5, 65536, 65537, 200_000])
@pytest.mark.parametrize("digest", [sha256, sha512, b3])
async def test_a_blob_comes_back_under_the_digest_it_was_pushed_by(world: World, size: int, digest) -> None:  # type: ignore[no-untyped-def]
    data = DATA[:size]
    name = await world.push_blob(data, digest=digest(data))
    got = await world.ask("GET", f"a/b/blobs/{name}")
    head = await world.ask("HEAD", f"a/b/blobs/{name}")
    assert (got.status, got.body) == (200, data)
    for answer in (got, head):
        assert answer["Docker-Content-Digest"] == name
        assert answer["Content-Type"] == "application/octet-stream"
        assert answer["Content-Length"] == str(size)
        assert answer["Accept-Ranges"] == "bytes"
        assert answer["ETag"] == f'"{name}"'


async def test_every_known_digest_names_the_blob(world: World) -> None:
    await world.push_blob(DATA)
    for name in (sha256(DATA), b3(DATA)):
        answer = await world.ask("HEAD", f"a/b/blobs/{name}")
        assert (answer.status, answer["Docker-Content-Digest"]) == (200, name)
    assert (await world.ask("HEAD", f"a/b/blobs/{sha512(DATA)}")).status == 404


@pytest.mark.parametrize("size", [1000, 200_000])
@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=10-19", slice(10, 20)),
        ("bytes=900-", slice(900, None)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=900-99999999", slice(900, None)),
    ],
)
async def test_single_ranges(world: World, size: int, header: str, expected: slice) -> None:
    data = DATA[:size]
    name = await world.push_blob(data)
    answer = await world.ask("GET", f"a/b/blobs/{name}", f"Range: {header}")
    assert (answer.status, answer.body) == (206, data[expected])
    first = expected.indices(size)[0]
    assert answer["Content-Range"] == f"bytes {first}-{first + len(answer.body) - 1}/{size}"


async def test_ranges_that_cannot_be(world: World) -> None:
    name = await world.push_blob(DATA)
    answer = await world.ask("GET", f"a/b/blobs/{name}", f"Range: bytes={len(DATA)}-")
    assert answer.status == 416
    assert answer["Content-Range"] == f"bytes */{len(DATA)}"
    error_code(answer)
    for header in ("bytes=5-2", "bytes=0-1,3-4", "nonsense"):
        assert (await world.ask("GET", f"a/b/blobs/{name}", f"Range: {header}")).body == DATA


async def test_what_has_not_changed_is_not_sent(world: World) -> None:
    name = await world.push_blob(DATA)
    answer = await world.ask("GET", f"a/b/blobs/{name}", f'If-None-Match: "{name}"')
    assert (answer.status, answer["Docker-Content-Digest"]) == (304, name)


async def test_a_blob_is_visible_only_where_it_was_pushed(world: World) -> None:
    name = await world.push_blob(DATA)
    for method in ("GET", "HEAD", "DELETE"):
        answer = await world.ask(method, f"other/blobs/{name}")
        assert answer.status == 404
        if method == "HEAD":
            assert answer.body == b""
        else:
            assert error_code(answer) == "BLOB_UNKNOWN"


async def test_a_deleted_blob_is_gone_at_once(world: World) -> None:
    name = await world.push_blob(DATA)
    assert (await world.ask("DELETE", f"a/b/blobs/{name}")).status == 202
    assert (await world.ask("GET", f"a/b/blobs/{name}")).status == 404
    assert (await world.ask("DELETE", f"a/b/blobs/{name}")).status == 404
    assert (await world.ask("GET", f"a/b/blobs/{name}", "Range: bytes=0-1")).status == 404


async def test_a_blob_in_use_is_not_deleted_and_its_users_are_named(world: World) -> None:
    name = await world.push_blob(DATA)
    user = manifest(DATA)
    await world.push(user, "v1")
    answer = await world.ask("DELETE", f"a/b/blobs/{name}")
    assert (answer.status, error_code(answer)) == (405, "UNSUPPORTED")
    assert sha256(user).encode() in answer.body
    assert "DELETE" not in answer["Allow"]
    assert (await world.ask("HEAD", f"a/b/blobs/{name}")).status == 200


async def test_a_manifest_reads_as_a_blob_but_a_blob_never_as_a_manifest(world: World) -> None:
    blob, data = await world.push_blob(DATA), manifest()
    await world.push(data, "v1")
    assert (await world.ask("GET", f"a/b/blobs/{sha256(data)}")).body == data
    assert error_code(await world.ask("GET", f"a/b/manifests/{blob}")) == "MANIFEST_UNKNOWN"


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "A/blobs/" + sha256(b""), 400, "NAME_INVALID"),
        ("GET", "a/blobs/sha256:0", 400, "DIGEST_INVALID"),
        ("GET", "a/blobs/md5:" + "0" * 32, 400, "DIGEST_INVALID"),
        ("POST", "a/blobs/" + sha256(b""), 405, "UNSUPPORTED"),
        ("GET", "a/unknown/x", 404, "UNSUPPORTED"),
    ],
)
async def test_refusals(world: World, method: str, target: str, status: int, code: str) -> None:
    answer = await world.ask(method, target)
    assert (answer.status, error_code(answer)) == (status, code)


async def test_requests_in_a_pipeline_are_answered_in_order(world: World) -> None:
    names = [await world.push_blob(DATA[:size]) for size in (10, 200_000, 20, 100_000, 30)]
    for name in names:
        world.client.send(f"GET /v2/a/b/blobs/{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert [sha256((await world.client.answer()).body) for _ in names] == names
