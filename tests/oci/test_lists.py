"""Tags, catalog and referrers over the wire: order, pages, filters, exact types."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from oci import Limits
from registry.contract.manifest import OCI_INDEX, OCI_MANIFEST
from tests.documents import EMPTY, descriptor, manifest
from tests.http.serving import Answer
from tests.oci.world import World, error_code, open_world, sha256

TAGS = ["0", "A", "B-1", "Z", "_x", "a", "a.b", "b", "latest", "z"]


async def _tagged(world: World, repository: str = "a/b") -> None:
    data = manifest()
    await world.push_blob(EMPTY, repository)
    query = "&".join(f"tag={tag}" for tag in reversed(TAGS))
    target = f"{repository}/manifests/{sha256(data)}?{query}"
    assert (await world.ask("PUT", target, f"Content-Type: {OCI_MANIFEST}", body=data)).status == 201


def _next(answer: Answer) -> str | None:
    """The target of `Link: rel="next"`, which has to be a path."""
    link = answer.get("Link")
    if link is None:
        return None
    target, _, relation = link.partition(">; ")
    assert relation == 'rel="next"'
    assert urlsplit(target[1:]).netloc == ""
    assert target.startswith("</v2/")
    return target.removeprefix("</v2/")


async def _pages(world: World, target: str | None, key: str) -> list[list[Any]]:
    pages = []
    while target is not None:
        answer = await world.ask("GET", target)
        assert answer.status == 200
        pages.append(json.loads(answer.body)[key])
        target = _next(answer)
    return pages


async def test_all_tags_in_byte_order(world: World) -> None:
    await _tagged(world)
    answer = await world.ask("GET", "a/b/tags/list")
    assert answer["Content-Type"] == "application/json"
    assert json.loads(answer.body) == {"name": "a/b", "tags": TAGS}
    assert "Link" not in answer
    head = await world.ask("HEAD", "a/b/tags/list")
    assert head["Content-Length"] == answer["Content-Length"]


@pytest.mark.parametrize("size", [1, 3, 9, 10, 11])
async def test_pages_of_tags_join_to_all_of_them(world: World, size: int) -> None:
    await _tagged(world)
    pages = await _pages(world, f"a/b/tags/list?n={size}", "tags")
    assert [tag for page in pages for tag in page] == TAGS
    assert all(len(page) == size for page in pages[:-1])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("n=0", []),
        ("last=a", ["a.b", "b", "latest", "z"]),
        ("last=a&n=2", ["a.b", "b"]),
        ("last=a.a", ["a.b", "b", "latest", "z"]),
        ("last=zz", []),
        ("last=%00", TAGS),
        ("last=%ff", []),
        ("n=999999999", TAGS),
    ],
)
async def test_last_is_exclusive_and_need_not_exist(world: World, query: str, expected: list[str]) -> None:
    await _tagged(world)
    answer = await world.ask("GET", f"a/b/tags/list?{query}")
    assert json.loads(answer.body)["tags"] == expected
    if "n=0" in query:
        assert "Link" not in answer


async def test_a_repository_that_was_never_pushed_to_has_no_tags(world: World) -> None:
    for query in ("", "?n=0"):
        answer = await world.ask("GET", f"never/pushed/tags/list{query}")
        assert (answer.status, error_code(answer)) == (404, "NAME_UNKNOWN")
    answer = await world.ask("GET", "a/b/tags/list?n=x")
    assert (answer.status, error_code(answer)) == (400, "UNSUPPORTED")


async def test_the_catalog_in_pages(world: World) -> None:
    names = ["a", "a/b", "b", "b-c/d"]
    for name in names:
        await world.push_blob(b"x", name)
    answer = await world.ask("GET", "_catalog")
    assert json.loads(answer.body) == {"repositories": names}
    assert await _pages(world, "_catalog?n=3", "repositories") == [names[:3], names[3:]]
    assert json.loads((await world.ask("GET", "_catalog?last=a")).body)["repositories"] == names[1:]
    assert json.loads((await world.ask("GET", "_catalog?n=0")).body)["repositories"] == []


async def _refer(world: World, subject: bytes, count: int, **more: Any) -> list[str]:
    names = []
    for number in range(count):
        data = manifest(
            subject=descriptor(subject, OCI_MANIFEST),
            artifactType=f"application/vnd.test.{number % 2}+json",
            annotations={"number": str(number), **more},
        )
        await world.push(data)
        names.append(sha256(data))
    return names


async def test_referrers_are_an_index_and_empty_for_what_is_not_there(world: World) -> None:
    for repository in ("a/b", "never/pushed"):
        answer = await world.ask("GET", f"{repository}/referrers/{sha256(b'absent')}")
        assert (answer.status, answer["Content-Type"]) == (200, OCI_INDEX)
        assert json.loads(answer.body) == {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    answer = await world.ask("GET", "a/b/referrers/sha256:0")
    assert (answer.status, error_code(answer)) == (400, "DIGEST_INVALID")


async def test_referrers_and_their_filter(world: World) -> None:
    subject = manifest()
    names = await _refer(world, subject, 3)
    answer = await world.ask("GET", f"a/b/referrers/{sha256(subject)}")
    assert "OCI-Filters-Applied" not in answer
    found = json.loads(answer.body)["manifests"]
    assert [entry["digest"] for entry in found] == names
    assert found[0]["artifactType"] == "application/vnd.test.0+json"
    assert found[0]["annotations"] == {"number": "0"}
    assert (found[0]["mediaType"], found[0]["size"]) == (OCI_MANIFEST, int(await _size(world, names[0])))
    for spelling in ("application/vnd.test.1+json", "application%2Fvnd.test.1%2Bjson"):
        filtered = await world.ask("GET", f"a/b/referrers/{sha256(subject)}?artifactType={spelling}")
        assert filtered["OCI-Filters-Applied"] == "artifactType"
        assert [entry["digest"] for entry in json.loads(filtered.body)["manifests"]] == names[1:2]


async def _size(world: World, digest: str) -> str:
    return (await world.ask("HEAD", f"a/b/manifests/{digest}"))["Content-Length"]


async def test_referrers_in_pages_keep_the_filter(world: World) -> None:
    subject = manifest()
    names = await _refer(world, subject, 7)
    base = f"a/b/referrers/{sha256(subject)}"
    pages = await _pages(world, f"{base}?n=3", "manifests")
    assert [[entry["digest"] for entry in page] for page in pages] == [names[:3], names[3:6], names[6:]]
    filtered = await _pages(world, f"{base}?n=2&artifactType=application/vnd.test.0%2Bjson", "manifests")
    assert [entry["digest"] for page in filtered for entry in page] == names[::2]
    assert len(filtered) == 2


async def test_a_page_of_referrers_is_split_before_it_grows_too_large(tmp_path) -> None:  # type: ignore[no-untyped-def]
    async with open_world(tmp_path, Limits(index_bytes=3000)) as world:
        subject = manifest()
        names = await _refer(world, subject, 9, note="x" * 500)
        target: str | None = f"a/b/referrers/{sha256(subject)}"
        found = []
        while target is not None:
            answer = await world.ask("GET", target)
            assert len(answer.body) <= 3000
            found += [entry["digest"] for entry in json.loads(answer.body)["manifests"]]
            target = _next(answer)
        assert found == names
