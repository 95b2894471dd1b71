"""Packages over HTTP: made, repeated, refused, promoted, read, listed, deleted."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any
from urllib.parse import quote

import pytest
from blake3 import blake3

from registry.contract import cbor
from tests.native_api.world import ROOT, World

PACKAGES = f"{ROOT}/packages"


async def file_entry(world: World, path: str, data: bytes, **more: str) -> dict[str, Any]:
    return {"relative_path": path, "content_address": await world.put_content(data), **more}


async def test_a_package_is_made_of_stored_content(world: World) -> None:
    files = [
        await file_entry(world, "report/index.html", b"<html>", media_type="text/html"),
        await file_entry(world, "data.bin", b"\0\1"),
    ]
    body = {"metadata": {"score": 1.5}, "labels": {"team": "a"}, "files": files}
    made = await world.http.put(f"{PACKAGES}/team/sub/app:v1", json=body)
    assert made.status_code == 201
    assert made.headers["Location"] == f"{PACKAGES}/team/sub/app:v1"
    package = made.json()
    assert made.headers["ETag"] == f'"{package["manifest_digest"]}"'
    assert (package["repository"], package["version"], package["versions"]) == ("team/sub/app", "v1", ["v1"])
    assert package["metadata"] == {"score": 1.5}
    assert package["labels"] == {"team": "a"}
    assert [entry["relative_path"] for entry in package["files"]] == ["data.bin", "report/index.html"]
    assert [entry["media_type"] for entry in package["files"]] == ["application/octet-stream", "text/html"]
    assert [entry["size"] for entry in package["files"]] == [2, 6]
    assert {entry["content_address"] for entry in package["files"]} == {f["content_address"] for f in files}
    assert package["links"]["oci"] == "/v2/team/sub/app/manifests/v1"
    assert (await world.http.get(f"{PACKAGES}/team/sub/app:v1")).json() == package
    for entry in package["files"]:
        assert (await world.http.get(entry["links"]["self"])).status_code == 200
        assert (await world.http.get(f"{ROOT}/content/{entry['content_address']}")).status_code == 200


async def test_the_package_digest_is_the_blake3_of_the_canonical_manifest(world: World) -> None:
    package = await world.put_package("app:v1", {"a": b"1"}, variant="x.v1", metadata={"n": 3.0})
    raw = await world.http.get(package["links"]["manifest"])
    assert raw.headers["Content-Type"] == "application/cbor"
    assert package["package_digest"] == f"blake3:{blake3(raw.content).hexdigest()}"
    document = cbor.decode(raw.content)
    assert document["metadata"] == {"n": 3}
    assert cbor.encode(document) == raw.content
    by_version = await world.http.get(f"{PACKAGES}/app:v1/manifest.cbor")
    assert by_version.content == raw.content


async def test_it_is_an_oci_manifest_at_once(world: World) -> None:
    package = await world.put_package("app:v1", {"dir/a.txt": b"1"}, variant="x.v1", labels={"k": "v"})
    reading = await world.http.get(f"{ROOT}/content/{package['manifest_digest']}")
    manifest = reading.json()
    assert package["manifest_digest"] == f"sha256:{hashlib.sha256(reading.content).hexdigest()}"
    assert manifest["artifactType"] == package["artifact_type"] == "application/vnd.x.v1"
    assert manifest["layers"][0]["annotations"]["org.opencontainers.image.title"] == "dir/a.txt"
    assert manifest["annotations"]["k"] == "v"


async def test_the_same_body_again_is_200_and_another_is_409(world: World) -> None:
    files = [await file_entry(world, "a", b"1"), await file_entry(world, "b", b"2")]
    first = await world.http.put(f"{PACKAGES}/app:v1", json={"files": files})
    again = await world.http.put(f"{PACKAGES}/app:v1", json={"files": files[::-1], "labels": {}})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    other = await world.http.put(f"{PACKAGES}/app:v1", json={"files": files[:1]})
    assert (other.status_code, other.json()["kind"]) == (409, "conflict")
    assert (await world.http.get(f"{PACKAGES}/app:v1")).json() == first.json()


async def test_conditions_on_put(world: World) -> None:
    free = {"If-None-Match": "*"}
    body = {"files": [await file_entry(world, "a", b"1")]}
    made = await world.http.put(f"{PACKAGES}/app:v1", json=body, headers=free)
    assert made.status_code == 201
    again = await world.http.put(f"{PACKAGES}/app:v1", json=body, headers=free)
    assert (again.status_code, again.json()["kind"]) == (412, "precondition_failed")
    other = await world.http.put(f"{PACKAGES}/app:v1", json={"files": []}, headers=free)
    assert (other.status_code, other.json()["kind"]) == (412, "precondition_failed")
    stale = await world.http.put(
        f"{PACKAGES}/app:v1", json=body, headers={"If-Match": f'"sha256:{"0" * 64}"'}
    )
    assert stale.status_code == 412
    current = await world.http.put(
        f"{PACKAGES}/app:v1", json=body, headers={"If-Match": made.headers["ETag"]}
    )
    assert current.status_code == 200
    promoted = await world.http.put(
        f"{PACKAGES}/app:v1", json={"from": f"app@{made.json()['manifest_digest']}"}, headers=free
    )
    assert promoted.status_code == 412
    absent = await world.http.put(
        f"{PACKAGES}/app:v2",
        json={"from": f"app@{made.json()['manifest_digest']}"},
        headers={"If-Match": made.headers["ETag"]},
    )
    assert absent.status_code == 412


async def test_etag_and_if_none_match_on_get(world: World) -> None:
    package = await world.put_package("app:v1", {"a": b"1"})
    first = await world.http.get(f"{PACKAGES}/app:v1")
    assert first.headers["ETag"] == f'"{package["manifest_digest"]}"'
    same = await world.http.get(f"{PACKAGES}/app:v1", headers={"If-None-Match": first.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    other = await world.http.get(f"{PACKAGES}/app:v1", headers={"If-None-Match": '"x"'})
    assert other.status_code == 200


async def test_head_is_get_without_the_body(world: World) -> None:
    package = await world.put_package("app:v1", {"a": b"12345"})
    for path in (
        f"{PACKAGES}/app:v1",
        f"{PACKAGES}/app",
        PACKAGES,
        f"{PACKAGES}/app:v1/files/a",
        f"{PACKAGES}/app:v1/manifest.cbor",
        f"{PACKAGES}/app:v1/referrers",
        f"{PACKAGES}/app:v1/archive.tar",
        f"{PACKAGES}/app:v1/archive.zip",
        package["links"]["immutable"],
        f"{ROOT}/",
        f"{ROOT}/openapi.json",
        f"{ROOT}/usage",
        f"{ROOT}/search",
        f"{ROOT}/events",
        f"{ROOT}/schemas",
    ):
        get, head = await world.http.get(path), await world.http.head(path)
        assert head.status_code == get.status_code == 200, path
        assert head.content == b""
        for name in ("content-type", "etag", "content-length"):
            assert head.headers.get(name) == get.headers.get(name), (path, name)


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        ({"files": [{"relative_path": "../a", "content_address": "CONTENT"}]}, ["/files/0/relative_path"]),
        (
            {"files": [{"relative_path": "a", "content_address": f"blake3:{'0' * 64}"}]},
            ["/files/0/content_address"],
        ),
        (
            {
                "files": [
                    {"relative_path": "a", "content_address": "CONTENT"},
                    {"relative_path": "a", "content_address": "CONTENT"},
                    {"relative_path": "b", "content_address": "CONTENT", "media_type": "no type"},
                ]
            },
            ["/files/2/media_type"],
        ),
        (
            {
                "files": [
                    {"relative_path": "a", "content_address": "CONTENT"},
                    {"relative_path": "a/b", "content_address": "CONTENT"},
                ]
            },
            ["/files/1/relative_path"],
        ),
        ({"files": [], "labels": {"dev.artifact-store.x": "1"}}, ["/labels/dev.artifact-store.x"]),
        ({"files": [], "variant": "artifact-store.x", "metadata": 3}, ["/variant", "/metadata"]),
        ({"files": [], "subject": f"sha256:{'0' * 64}", "x": 1}, ["/x"]),
    ],
)
async def test_bad_packages_name_every_fault_and_change_nothing(
    world: World, change: dict[str, Any], paths: list[str]
) -> None:
    address = await world.put_content(b"there")
    body = json.loads(json.dumps(change).replace("CONTENT", address))
    answer = await world.http.put(f"{PACKAGES}/app:v1", json=body)
    assert (answer.status_code, answer.json()["kind"]) == (422, "validation_failed")
    assert [error["path"] for error in answer.json()["errors"]] == paths
    assert (await world.http.get(f"{PACKAGES}/app:v1")).status_code == 404


async def test_numbers_beyond_json_are_422_with_their_place(world: World) -> None:
    content = b'{"files": [], "metadata": {"a": [1, 9007199254740993], "b": 1e999}}'
    answer = await world.http.put(
        f"{PACKAGES}/app:v1", content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == ["/metadata/a/1", "/metadata/b"]


async def test_content_of_others_reads_as_absent(world: World) -> None:
    address = await world.put_content(b"mine alone")
    world.as_other = True
    body = {"files": [{"relative_path": "a", "content_address": address}]}
    answer = await world.http.put(f"{PACKAGES}/app:v1", json=body)
    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == ["/files/0/content_address"]
    assert (await world.http.get(f"{ROOT}/content/{address}")).status_code == 404


async def test_promotion_gives_a_version_without_moving_bytes(world: World) -> None:
    package = await world.put_package("dev/app:v1", {"a": b"1"}, variant="x.v1", metadata={"n": 1})
    source = f"dev/app@{package['manifest_digest']}"
    made = await world.http.put(f"{PACKAGES}/prod/app:stable", json={"from": source})
    assert made.status_code == 201
    promoted = made.json()
    for name in ("manifest_digest", "package_digest", "variant", "metadata"):
        assert promoted[name] == package[name]
    assert (await world.http.get(f"{PACKAGES}/prod/app:stable/files/a")).content == b"1"
    again = await world.http.put(f"{PACKAGES}/prod/app:stable", json={"from": source})
    assert again.status_code == 200
    other = await world.put_package("dev/app:v2", {"a": b"2"})
    taken = await world.http.put(
        f"{PACKAGES}/prod/app:stable", json={"from": f"dev/app@{other['manifest_digest']}"}
    )
    assert (taken.status_code, taken.json()["kind"]) == (409, "conflict")
    absent = await world.http.put(f"{PACKAGES}/prod/app:x", json={"from": f"dev/app@sha256:{'0' * 64}"})
    assert (absent.status_code, absent.json()["kind"]) == (404, "package_unknown")


async def test_a_subject_makes_a_referrer(world: World) -> None:
    package = await world.put_package("app:v1", {"a": b"1"})
    note = await world.put_package(
        "app:note", {"note.txt": b"!"}, variant="note.v1", subject=package["manifest_digest"]
    )
    assert note["subject"] == package["manifest_digest"]
    for path in (f"{PACKAGES}/app:v1/referrers", package["links"]["referrers"]):
        (item,) = (await world.http.get(path)).json()["items"]
        assert item["digest"] == note["manifest_digest"]
        assert item["artifact_type"] == "application/vnd.note.v1"
        assert (await world.http.get(item["links"]["self"])).json()["variant"] == "note.v1"


async def test_files_are_read_by_version_and_digest_in_ranges(world: World) -> None:
    package = await world.put_package("app:v1", {"dir/a b.txt": b"0123456789"})
    for base in (f"{PACKAGES}/app:v1", package["links"]["immutable"]):
        whole = await world.http.get(f"{base}/files/dir/a%20b.txt")
        assert (whole.status_code, whole.content) == (200, b"0123456789")
        part = await world.http.get(f"{base}/files/dir%2Fa%20b.txt", headers={"Range": "bytes=2-4"})
        assert (part.status_code, part.content) == (206, b"234")
        assert part.headers["Content-Range"] == "bytes 2-4/10"
        last = await world.http.get(f"{base}/files/dir/a%20b.txt", headers={"Range": "bytes=-3"})
        assert last.content == b"789"
        outside = await world.http.get(f"{base}/files/dir/a%20b.txt", headers={"Range": "bytes=10-"})
        assert (outside.status_code, outside.headers["Content-Range"]) == (416, "bytes */10")
        assert outside.json()["kind"] == "range_unsatisfiable"
    assert whole.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    ["ü/漢字.txt", "100%.txt", "a?b#c&d=e", "%2e%2e/x", "...", "dir/ spaced name ", "ab:c@d", "e\u0301"],
)
async def test_any_allowed_path_comes_back_by_its_link(world: World, path: str) -> None:
    package = await world.put_package("app:v1", {path: path.encode()})
    (entry,) = package["files"]
    assert entry["relative_path"] == path
    for link in (entry["links"]["self"], f"{PACKAGES}/app:v1/files/{quote(path, safe='')}"):
        assert (await world.http.get(link)).content == path.encode()


@pytest.mark.parametrize(
    "path", ["a/../b", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "%00", "/a", "a%5cb", "b", ""]
)
async def test_other_paths_are_files_that_are_not_there(world: World, path: str) -> None:
    await world.put_package("app:v1", {"a": b"1"})
    status = await raw_get(world, f"{PACKAGES}/app:v1/files/{path}")
    assert status == 404


async def raw_get(world: World, target: str) -> int:
    """The status of a GET whose target is sent exactly as given: clients would tidy it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n")
    writer.close()
    return int(head.split()[1])


async def test_lists_are_pages_by_key(world: World) -> None:
    for reference in ("b:2", "b:1", "a/x:1", "c:1"):
        await world.put_package(reference, {"f": reference.encode()})
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    while True:
        page = (await world.http.get(PACKAGES, params=query)).json()
        assert len(page["items"]) <= 3
        seen += [f"{item['repository']}:{item['version']}" for item in page["items"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert seen == ["a/x:1", "b:1", "b:2", "c:1"]
    versions = (await world.http.get(f"{PACKAGES}/b")).json()
    assert [item["version"] for item in versions["items"]] == ["1", "2"]
    assert versions["next"] is None
    for item in versions["items"]:
        assert (await world.http.get(item["links"]["self"])).status_code == 200
    unknown = await world.http.get(f"{PACKAGES}/nowhere")
    assert (unknown.status_code, unknown.json()["kind"]) == (404, "repository_unknown")


async def test_a_deleted_version_is_gone_and_its_bytes_stay_while_another_has_them(world: World) -> None:
    package = await world.put_package("app:v1", {"a": b"1"})
    source = {"from": f"app@{package['manifest_digest']}"}
    assert (await world.http.put(f"{PACKAGES}/app:v2", json=source)).status_code == 201
    assert (await world.http.delete(f"{PACKAGES}/app:v1")).status_code == 202
    assert (await world.http.get(f"{PACKAGES}/app:v1")).status_code == 404
    assert (await world.http.get(f"{PACKAGES}/app:v2")).json()["versions"] == ["v2"]
    assert (await world.http.delete(f"{PACKAGES}/app:v2")).status_code == 202
    gone = await world.http.get(package["links"]["immutable"])
    assert (gone.status_code, gone.json()["kind"]) == (404, "package_unknown")
    assert (await world.http.delete(f"{PACKAGES}/app:v2")).status_code == 404


async def test_a_version_that_a_live_index_lists_cannot_be_deleted_with_its_manifest(world: World) -> None:
    package = await world.put_package("app:v1", {"a": b"1"})
    manifest = await world.http.get(f"{ROOT}/content/{package['manifest_digest']}")
    descriptor = {
        "mediaType": package["media_type"],
        "digest": package["manifest_digest"],
        "size": len(manifest.content),
    }
    await world.push_manifest("app", "index", {"manifests": [descriptor]})
    assert (await world.http.delete(f"{PACKAGES}/app:v1")).status_code == 202
    assert (await world.http.get(package["links"]["immutable"])).status_code == 200


async def test_a_digest_is_for_reading_only(world: World) -> None:
    package = await world.put_package("app:v1", {"a": b"1"})
    for method in ("PUT", "DELETE", "POST", "PATCH"):
        answer = await world.http.request(method, package["links"]["immutable"])
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")
        assert answer.json()["kind"] == "method_not_allowed"


async def test_a_package_of_no_files(world: World) -> None:
    package = await world.put_package("app:v1", {}, metadata={"only": "this"})
    assert package["files"] == []
    assert (await world.http.get(f"{PACKAGES}/app:v1")).json()["metadata"] == {"only": "this"}
