"""Manifests and tags over the wire: exact bytes and headers, several tags, conditions, deletion, refusals."""

from __future__ import annotations

import json

import pytest

from oci import Limits
from registry.contract.manifest import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.documents import EMPTY, descriptor, index, manifest
from tests.oci.world import World, b3, error_code, open_world, sha256, sha512

LAYER = b"layer"


async def test_the_bytes_that_were_pushed_come_back_exactly(world: World) -> None:
    data = b"  " + manifest() + b"\n"
    pushed = await world.push(data, "v1")
    assert (pushed["Location"], pushed["Content-Length"]) == (f"/v2/a/b/manifests/{sha256(data)}", "0")
    assert pushed["Docker-Content-Digest"] == sha256(data)
    assert "OCI-Subject" not in pushed and "OCI-Tag" not in pushed
    for reference in ("v1", sha256(data)):
        got = await world.ask("GET", f"a/b/manifests/{reference}", "Accept: text/html")
        head = await world.ask("HEAD", f"a/b/manifests/{reference}")
        assert (got.status, got.body) == (200, data)
        for answer in (got, head):
            assert answer["Content-Type"] == OCI_MANIFEST
            assert answer["Content-Length"] == str(len(data))
            assert answer["Docker-Content-Digest"] == sha256(data)
            assert answer["ETag"] == f'"{sha256(data)}"'


@pytest.mark.parametrize("digest", [sha256, sha512, b3])
async def test_a_push_by_digest_answers_in_its_algorithm(world: World, digest) -> None:  # type: ignore[no-untyped-def]
    data = manifest()
    pushed = await world.push(data, digest(data))
    assert pushed["Docker-Content-Digest"] == digest(data)
    got = await world.ask("GET", pushed["Location"].removeprefix("/v2/"))
    assert (got.body, got["Docker-Content-Digest"]) == (data, digest(data))
    for other in (sha256(data), b3(data)):
        assert (await world.ask("GET", f"a/b/manifests/{other}"))["Docker-Content-Digest"] == other


async def test_several_tags_at_once(world: World) -> None:
    data, tags = manifest(), [f"t{number}" for number in range(12)]
    await world.push_blob(EMPTY)
    query = "&".join(f"tag={tag}" for tag in tags)
    target = f"a/b/manifests/{sha256(data)}?{query}"
    answer = await world.ask("PUT", target, f"Content-Type: {OCI_MANIFEST}", body=data)
    assert (answer.status, answer.all("OCI-Tag")) == (201, tags)
    for tag in tags:
        assert (await world.ask("GET", f"a/b/manifests/{tag}")).body == data


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, DOCKER_MANIFEST])
async def test_parameters_of_the_content_type_are_dropped(world: World, media_type: str) -> None:
    data = manifest(mediaType=media_type)
    await world.push(data, "v1", media_type=f"{media_type}; charset=utf-8")
    assert (await world.ask("GET", "a/b/manifests/v1"))["Content-Type"] == media_type


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_LIST])
async def test_an_index_over_manifests(world: World, media_type: str) -> None:
    child = manifest()
    await world.push(child)
    data = index(child, mediaType=media_type)
    await world.push(data, "v1", media_type=media_type)
    got = await world.ask("GET", "a/b/manifests/v1")
    assert (got.body, got["Content-Type"]) == (data, media_type)


async def test_a_manifest_of_4_mib_and_one_above_the_limit(world: World, tmp_path) -> None:  # type: ignore[no-untyped-def]
    padding = "x" * (4 * 1024 * 1024 - len(manifest(annotations={"a": ""})))
    data = manifest(annotations={"a": padding})
    assert len(data) == 4 * 1024 * 1024
    await world.push(data, "large")
    assert (await world.ask("GET", "a/b/manifests/large")).body == data
    async with open_world(tmp_path / "small", Limits(manifest_bytes=1000)) as small:
        await small.push_blob(EMPTY)
        answer = await small.ask("PUT", "a/b/manifests/v1", f"Content-Type: {OCI_MANIFEST}", body=data[:1001])
        assert (answer.status, error_code(answer)) == (413, "SIZE_INVALID")


async def test_a_subject_is_confirmed_though_it_is_absent(world: World) -> None:
    subject = manifest(LAYER)
    data = manifest(subject=descriptor(subject, OCI_MANIFEST))
    assert (await world.push(data))["OCI-Subject"] == sha256(subject)


async def _put(world: World, data: bytes, reference: str = "v1", media_type: str = OCI_MANIFEST):  # type: ignore[no-untyped-def]
    return await world.ask("PUT", f"a/b/manifests/{reference}", f"Content-Type: {media_type}", body=data)


@pytest.mark.parametrize(
    ("data", "reference", "media_type", "status", "code"),
    [
        (b"not json", "v1", OCI_MANIFEST, 400, "MANIFEST_INVALID"),
        (b"", "v1", OCI_MANIFEST, 400, "MANIFEST_INVALID"),
        (manifest(LAYER), "v1", OCI_MANIFEST, 400, "MANIFEST_BLOB_UNKNOWN"),
        (index(manifest(LAYER)), "v1", OCI_INDEX, 400, "MANIFEST_BLOB_UNKNOWN"),
        (manifest(), "v1", OCI_INDEX, 400, "MANIFEST_INVALID"),
        (manifest(manifests=[]), "v1", OCI_MANIFEST, 400, "MANIFEST_INVALID"),
        (manifest(), sha256(b"other"), OCI_MANIFEST, 400, "DIGEST_INVALID"),
        (manifest(), "sha256:0", OCI_MANIFEST, 400, "DIGEST_INVALID"),
        (manifest(), ".bad", OCI_MANIFEST, 400, "MANIFEST_INVALID"),
        (manifest(), f"{sha256(manifest())}?tag=.bad", OCI_MANIFEST, 400, "MANIFEST_INVALID"),
    ],
)
async def test_what_is_refused_changes_nothing(
    world: World, data: bytes, reference: str, media_type: str, status: int, code: str
) -> None:
    await world.push_blob(EMPTY)
    answer = await _put(world, data, reference, media_type)
    assert (answer.status, error_code(answer)) == (status, code)
    assert (await world.ask("GET", "a/b/manifests/v1")).status == 404
    assert (await world.ask("GET", f"a/b/manifests/{sha256(data)}")).status == 404


@pytest.mark.parametrize("reference", ["absent", ".INVALID_MANIFEST_NAME", sha256(b"absent")])
async def test_what_is_absent_is_404(world: World, reference: str) -> None:
    await world.push(manifest(), "v1")
    for repository in ("a/b", "never/pushed"):
        for method in ("GET", "DELETE"):
            answer = await world.ask(method, f"{repository}/manifests/{reference}")
            assert (answer.status, error_code(answer)) == (404, "MANIFEST_UNKNOWN")
        head = await world.ask("HEAD", f"{repository}/manifests/{reference}")
        assert (head.status, head.body) == (404, b"")


async def test_conditional_reads(world: World) -> None:
    data = manifest()
    await world.push(data, "v1")
    for condition in (f'"{sha256(data)}"', sha256(data), "*"):
        for method in ("GET", "HEAD"):
            answer = await world.ask(method, "a/b/manifests/v1", f"If-None-Match: {condition}")
            assert (answer.status, answer["ETag"]) == (304, f'"{sha256(data)}"')
    await world.push(manifest(annotations={"a": "b"}), "v1")
    changed = await world.ask("GET", "a/b/manifests/v1", f'If-None-Match: "{sha256(data)}"')
    assert changed.status == 200


async def test_conditional_writes(world: World) -> None:
    first, second = manifest(), manifest(annotations={"a": "b"})
    await world.push_blob(EMPTY)

    async def put(data: bytes, *headers: str) -> int:
        content_type = f"Content-Type: {OCI_MANIFEST}"
        return (await world.ask("PUT", "a/b/manifests/v1", content_type, *headers, body=data)).status

    assert await put(first, f'If-Match: "{sha256(second)}"') == 412
    assert await put(first, "If-None-Match: *") == 201
    assert await put(second, "If-None-Match: *") == 412
    assert await put(second, f'If-Match: "{sha256(second)}"') == 412
    assert await put(second, 'If-Match: "nonsense"') == 412
    assert await put(second, f'If-Match: "{sha256(second)}", "{sha256(first)}"') == 201
    assert await put(first, "If-Match: *") == 400
    assert (await world.ask("GET", "a/b/manifests/v1")).body == second


async def test_deleting_a_tag_leaves_the_manifest_and_deleting_the_digest_takes_its_tags(
    world: World,
) -> None:
    data = manifest()
    await world.push(data, "one")
    await world.push(data, "two")
    assert (await world.ask("DELETE", "a/b/manifests/one")).status == 202
    assert (await world.ask("GET", "a/b/manifests/one")).status == 404
    assert (await world.ask("GET", f"a/b/manifests/{sha256(data)}")).status == 200
    assert (await world.ask("DELETE", f"a/b/manifests/{sha256(data)}")).status == 202
    for reference in ("two", sha256(data)):
        assert (await world.ask("GET", f"a/b/manifests/{reference}")).status == 404
    assert json.loads((await world.ask("GET", "a/b/tags/list")).body)["tags"] == []


async def test_a_manifest_that_an_index_lists_is_not_deleted(world: World) -> None:
    child = manifest()
    await world.push(child)
    parent = index(child)
    await world.push(parent, "v1", media_type=OCI_INDEX)
    answer = await world.ask("DELETE", f"a/b/manifests/{sha256(child)}")
    assert (answer.status, error_code(answer)) == (405, "UNSUPPORTED")
    assert sha256(parent).encode() in answer.body
    assert (await world.ask("DELETE", f"a/b/manifests/{sha256(parent)}")).status == 202
    assert (await world.ask("DELETE", f"a/b/manifests/{sha256(child)}")).status == 202
