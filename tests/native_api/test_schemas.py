"""Schemas of variants, and what they do to packages."""

from __future__ import annotations

import json

from registry.contract.jsonvalue import JsonValue
from tests.native_api.world import ROOT, World

SCHEMAS = f"{ROOT}/schemas"
RUN = "guide-board.run.v1"
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "score": {"type": "number", "minimum": 0},
        "steps": {"type": "array", "items": {"type": "object", "required": ["name"]}},
    },
    "required": ["score"],
}


async def test_a_schema_is_registered_versioned_and_read_back(world: World) -> None:
    first = await world.http.put(f"{SCHEMAS}/{RUN}", json=SCHEMA)
    assert (first.status_code, first.headers["Location"]) == (201, f"{SCHEMAS}/{RUN}")
    assert (first.json()["version"], first.json()["schema"]) == (1, SCHEMA)
    same = await world.http.put(f"{SCHEMAS}/{RUN}", json=dict(reversed(SCHEMA.items())))
    assert (same.status_code, same.json()["version"]) == (200, 1)
    second = await world.http.put(
        f"{SCHEMAS}/{RUN}", json=True, headers={"Content-Type": "application/schema+json"}
    )
    assert (second.status_code, second.json()["version"]) == (201, 2)
    assert (await world.http.get(f"{SCHEMAS}/{RUN}")).json()["schema"] is True
    old = await world.http.get(f"{SCHEMAS}/{RUN}", params={"version": 1})
    assert old.json()["schema"] == SCHEMA
    tagged = await world.http.get(
        f"{SCHEMAS}/{RUN}", params={"version": 1}, headers={"If-None-Match": old.headers["ETag"]}
    )
    assert tagged.status_code == 304
    absent = await world.http.get(f"{SCHEMAS}/{RUN}", params={"version": 3})
    assert (absent.status_code, absent.json()["kind"]) == (404, "schema_unknown")


async def test_every_fault_of_metadata_is_named_and_nothing_is_stored(world: World) -> None:
    await world.http.put(f"{SCHEMAS}/{RUN}", json=SCHEMA)
    body = {"variant": RUN, "files": [], "metadata": {"score": -1, "steps": [{"name": "a"}, {}, 5]}}
    answer = await world.http.put(f"{ROOT}/packages/app:v1", json=body)
    assert (answer.status_code, answer.json()["kind"]) == (422, "validation_failed")
    paths = sorted(error["path"] for error in answer.json()["errors"])
    assert paths == ["/metadata/score", "/metadata/steps/1", "/metadata/steps/2"]
    assert (await world.http.get(f"{ROOT}/packages/app:v1")).status_code == 404
    assert (await world.http.get(f"{ROOT}/packages/app")).status_code == 404


async def test_a_package_records_the_version_it_was_checked_against(world: World) -> None:
    before = await world.put_package("app:v0", {}, variant=RUN, metadata={"any": 1})
    assert before["schema_version"] is None
    await world.http.put(f"{SCHEMAS}/{RUN}", json=SCHEMA)
    checked = await world.put_package("app:v1", {}, variant=RUN, metadata={"score": 1})
    assert checked["schema_version"] == 1
    await world.http.put(f"{SCHEMAS}/{RUN}", json={"type": "object"})
    assert (await world.put_package("app:v2", {}, variant=RUN, metadata={"x": 1}))["schema_version"] == 2
    assert (await world.http.get(f"{ROOT}/packages/app:v1")).json()["schema_version"] == 1
    assert (await world.http.delete(f"{SCHEMAS}/{RUN}")).status_code == 204
    assert (await world.http.get(f"{SCHEMAS}/{RUN}")).status_code == 404
    assert (await world.http.delete(f"{SCHEMAS}/{RUN}")).status_code == 404
    assert (await world.put_package("app:v3", {}, variant=RUN, metadata={"y": 1}))["schema_version"] is None
    assert (await world.http.get(f"{SCHEMAS}/{RUN}", params={"version": 1})).json()["schema"] == SCHEMA


async def test_what_is_no_schema_is_refused(world: World) -> None:
    documents: tuple[JsonValue, ...] = (
        {"type": "nonsense"},
        {"$ref": "https://example.org/other.json"},
        {"$schema": "http://json-schema.org/draft-07/schema#"},
        [],
        "text",
    )
    for document in documents:
        answer = await world.http.put(f"{SCHEMAS}/{RUN}", json=document)
        assert (answer.status_code, answer.json()["kind"]) == (422, "validation_failed"), document
    empty = await world.http.put(f"{SCHEMAS}/{RUN}", headers={"Content-Type": "application/json"})
    assert empty.status_code == 422
    big = json.dumps({"description": "x" * (1 << 20)})
    large = await world.http.put(
        f"{SCHEMAS}/{RUN}", content=big, headers={"Content-Type": "application/json"}
    )
    assert (large.status_code, large.json()["kind"]) == (413, "too_large")


async def test_a_schema_with_numbers_beyond_integers_is_read_back(world: World) -> None:
    schema = {"maximum": 1e20, "minimum": -0.5}
    assert (await world.http.put(f"{SCHEMAS}/{RUN}", json=schema)).status_code == 201
    assert (await world.http.get(f"{SCHEMAS}/{RUN}")).json()["schema"] == schema
    assert len((await world.http.get(SCHEMAS)).json()["items"]) == 1


async def test_schemas_are_listed_by_variant_in_pages(world: World) -> None:
    for variant in ("b.v1", "a.v1", "c+x&y.v1"):
        assert (await world.http.put(f"{SCHEMAS}/{variant}", json={})).status_code == 201
    first = (await world.http.get(SCHEMAS, params={"limit": 2})).json()
    second = (await world.http.get(SCHEMAS, params={"limit": 2, "after": first["next"]})).json()
    items = first["items"] + second["items"]
    assert [item["variant"] for item in items] == ["a.v1", "b.v1", "c+x&y.v1"]
    assert second["next"] is None
    for item in items:
        assert (await world.http.get(item["links"]["self"])).json() == item
        assert (await world.http.get(item["links"]["this_version"])).json() == item


async def test_variants_are_checked(world: World) -> None:
    for variant in ("artifact-store.x", "a b", "-x"):
        assert (await world.http.put(f"{SCHEMAS}/{variant}", json={})).status_code == 400
