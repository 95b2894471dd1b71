"""Content by address: bytes, ranges, conditions, locations, restore."""

from __future__ import annotations

import hashlib

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN, RetrievalTier
from registry.contract.digest import Digest
from registry.control.store import PrincipalSession
from tests.control.tiers.saying import say_tier
from tests.native_api.world import ROOT, World

DATA = bytes(range(256)) * 1000


async def test_bytes_come_by_each_of_their_digests(world: World) -> None:
    address = await world.put_content(DATA)
    for digest in (address, f"sha256:{hashlib.sha256(DATA).hexdigest()}"):
        answer = await world.http.get(f"{ROOT}/content/{digest}")
        assert (answer.status_code, answer.content) == (200, DATA)
        assert answer.headers["ETag"] == f'"{digest}"'
        assert "immutable" in answer.headers["Cache-Control"]
        head = await world.http.head(f"{ROOT}/content/{digest}")
        assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(DATA)))


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [("bytes=0-0", 0, 1), ("bytes=1000-", 1000, None), ("bytes=-7", -7, None), ("bytes=5-99999999", 5, None)],
)
async def test_ranges(world: World, header: str, start: int, stop: int | None) -> None:
    address = await world.put_content(DATA)
    answer = await world.http.get(f"{ROOT}/content/{address}", headers={"Range": header})
    assert (answer.status_code, answer.content) == (206, DATA[start:stop])


async def test_a_range_outside_is_416_and_says_the_size(world: World) -> None:
    address = await world.put_content(DATA)
    answer = await world.http.get(f"{ROOT}/content/{address}", headers={"Range": "bytes=256000-"})
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */256000")
    assert (answer.json()["kind"], answer.json()["size"]) == ("range_unsatisfiable", 256_000)


async def test_what_the_client_has_is_304(world: World) -> None:
    address = await world.put_content(DATA)
    answer = await world.http.get(f"{ROOT}/content/{address}", headers={"If-None-Match": f'"{address}"'})
    assert (answer.status_code, answer.content) == (304, b"")


async def test_absent_content_is_404_everywhere(world: World) -> None:
    address = f"blake3:{'0' * 64}"
    for method, part in (("GET", ""), ("HEAD", ""), ("GET", "/locations"), ("POST", "/restore")):
        answer = await world.http.request(method, f"{ROOT}/content/{address}{part}")
        assert answer.status_code == 404
    assert (await world.http.get(f"{ROOT}/content/{address}")).json()["kind"] == "content_unknown"


async def test_locations_say_how_soon(world: World) -> None:
    address = await world.put_content(DATA)
    page = (await world.http.get(f"{ROOT}/content/{address}/locations")).json()
    assert page == {
        "items": [
            {"name": "local", "retrieval_tier": "hot", "restore_status": None, "available_until": None}
        ],
        "next": None,
    }


async def test_restoring_what_is_at_hand_is_available_at_once(world: World) -> None:
    address = await world.put_content(DATA)
    answer = await world.http.post(f"{ROOT}/content/{address}/restore")
    assert answer.status_code == 202
    assert answer.json()["restore_status"] == "available"
    assert answer.headers["Location"] == f"{ROOT}/content/{address}/locations"


async def test_a_cold_location_is_409_until_it_is_restored(world: World) -> None:
    package = await world.put_package("app:v1", {"a": DATA})
    (entry,) = package["files"]
    address = await world.put_content(DATA)
    assert isinstance(world.session, PrincipalSession)
    core = world.session.caller.core
    await say_tier(core, DEFAULT_DOMAIN, Digest.parse(address), RetrievalTier.ARCHIVE)
    for link in (f"{ROOT}/content/{address}", entry["links"]["self"], f"{ROOT}/packages/app:v1/archive.tar"):
        answer = await world.http.get(link)
        assert (answer.status_code, answer.json()["kind"]) == (409, "restore_required"), link
    (place,) = (await world.http.get(f"{ROOT}/content/{address}/locations")).json()["items"]
    assert place["retrieval_tier"] == "archive"
    asked = await world.http.post(f"{ROOT}/content/{address}/restore")
    assert asked.status_code == 202
    (place,) = (await world.http.get(f"{ROOT}/content/{address}/locations")).json()["items"]
    assert asked.json()["restore_status"] == "available"
    assert (place["retrieval_tier"], place["restore_status"]) == ("hot", None)
    assert (await world.http.get(f"{ROOT}/content/{address}")).content == DATA


async def test_a_browser_does_not_run_stored_bytes_as_a_page_of_the_server(world: World) -> None:
    address = await world.put_content(b"<script>alert(1)</script>")
    answer = await world.http.get(f"{ROOT}/content/{address}")
    assert answer.headers["Content-Security-Policy"].startswith("sandbox;")
