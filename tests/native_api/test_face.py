"""The face as a whole: index, methods, negotiation, usage, and what becomes of errors."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from jsonschema import Draft202012Validator

from native_api import Face
from native_api.resources import Resource
from native_api.shapes import COMPONENTS, ref
from native_api.table import allowed
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.store import Session
from tests.native_api.test_request import SAMPLES
from tests.native_api.world import ROOT, World


async def test_the_index_leads_everywhere(world: World) -> None:
    for path in (f"{ROOT}/", ROOT):
        links = (await world.http.get(path)).json()["links"]
    for name, link in links.items():
        if name not in ("uploads", "oci"):
            assert (await world.http.get(link)).status_code == 200, name


async def test_the_openapi_document_is_served_and_cached(world: World) -> None:
    answer = await world.http.get(f"{ROOT}/openapi.json")
    assert answer.json()["openapi"] == "3.1.0"
    same = await world.http.get(f"{ROOT}/openapi.json", headers={"If-None-Match": answer.headers["ETag"]})
    assert same.status_code == 304


async def test_other_methods_are_405_with_allow(world: World) -> None:
    methods = {"GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE"}
    for resource in Resource:
        path, _ = SAMPLES[resource]
        for method in methods - set(allowed(resource)):
            answer = await world.http.request(method, path)
            assert answer.status_code == 405, (method, path)
            assert answer.headers["Allow"] == ", ".join(allowed(resource))
            assert answer.json()["kind"] == "method_not_allowed"


async def test_an_unknown_path_is_a_problem_too(world: World) -> None:
    answer = await world.http.get(f"{ROOT}/nothing/here")
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert answer.json()["kind"] == "route_unknown"


@pytest.mark.parametrize("path", ["/packages", "/usage", "/", "/schemas", "/search", "/openapi.json"])
async def test_json_is_all_there_is(world: World, path: str) -> None:
    answer = await world.http.get(f"{ROOT}{path}", headers={"Accept": "application/xml"})
    assert (answer.status_code, answer.json()["kind"]) == (406, "not_acceptable")


async def test_a_compressed_body_is_415(world: World) -> None:
    answer = await world.http.post(
        f"{ROOT}/uploads",
        content=b"{}",
        headers={"Content-Encoding": "gzip", "Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()["kind"]) == (415, "unsupported_media_type")


async def test_usage_counts_content_once_and_by_repository(world: World) -> None:
    await world.put_package("a:1", {"x": b"x" * 1000})
    await world.put_package("b:1", {"x": b"x" * 1000, "y": b"y" * 500})
    usage = (await world.http.get(f"{ROOT}/usage")).json()
    by_name = {item["repository"]: item for item in usage["repositories"]["items"]}
    assert set(by_name) == {"a", "b"}
    assert 1000 <= by_name["a"]["logical"] < by_name["b"]["logical"]
    assert by_name["a"]["exclusive"] < 1000
    assert by_name["b"]["exclusive"] >= 500
    assert usage["logical"] == sum(item["logical"] for item in by_name.values())
    assert usage["physical"] <= usage["logical"] - 1000
    first = (await world.http.get(f"{ROOT}/usage", params={"limit": 1})).json()["repositories"]
    assert [item["repository"] for item in first["items"]] == ["a"]
    rest = (await world.http.get(f"{ROOT}/usage", params={"after": first["next"]})).json()["repositories"]
    assert [item["repository"] for item in rest["items"]] == ["b"]


async def test_answers_are_what_their_schemas_say(world: World) -> None:
    await world.http.put(f"{ROOT}/schemas/x.v1", json={"type": "object"})
    package = await world.put_package(
        "app:v1", {"a": b"1"}, variant="x.v1", labels={"k": "v"}, metadata={"n": 1}
    )
    await world.put_package("app:v2", {}, subject=package["manifest_digest"])
    await world.http.put(f"{ROOT}/packages/app:v3/files/a", content=b"1")
    upload = (await world.http.post(f"{ROOT}/uploads")).headers["Location"]
    address = package["files"][0]["content_address"]
    for path, name in (
        ("/", "Index"),
        ("/packages", "PackagePage"),
        ("/packages/app", "PackagePage"),
        ("/packages/app:v1", "Package"),
        ("/packages/app:v1/referrers", "ReferrerPage"),
        ("/packages/app:v3/draft", "Draft"),
        (upload.removeprefix(ROOT), "Upload"),
        (f"/content/{address}/locations", "LocationPage"),
        ("/schemas", "SchemaPage"),
        ("/schemas/x.v1", "RegisteredSchema"),
        ("/search", "PackagePage"),
        ("/events", "EventPage"),
        ("/usage", "Usage"),
        ("/packages/absent", "Problem"),
    ):
        document = (await world.http.get(f"{ROOT}{path}")).json()
        Draft202012Validator({"components": {"schemas": COMPONENTS}, **ref(name)}).validate(document)


class Raising:
    """A session whose every part raises."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        raise self._error


async def answer_of(session: Any, request_head: bytes) -> bytes:
    """What the face writes when `session` serves one raw request, until it closes the connection."""
    face = Face()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        real: Session = session
        return await face.handle(request, real)

    server = web.Server(handle, auto_decompress=False)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname()[:2])
    writer.write(request_head)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    listening.close()
    await server.shutdown(1)
    return answer


GET = b"GET /api/v1/usage HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def test_an_unforeseen_error_is_500_is_logged_and_leaks_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = await answer_of(Raising(RuntimeError("secret of the house")), GET)
    assert answer.startswith(b"HTTP/1.1 500")
    assert b'"kind":"internal"' in answer
    assert b"secret" not in answer
    assert "secret of the house" in caplog.text


@pytest.mark.parametrize(
    ("error", "status", "header"),
    [
        (StoreError(ErrorKind.UNAVAILABLE, "later", detail={"retry_after": 3}), b"503", b"Retry-After: 3"),
        (StoreError(ErrorKind.UNAUTHENTICATED, "who?"), b"401", b"WWW-Authenticate: Basic"),
        (StoreError(ErrorKind.DENIED, "no"), b"403", b"application/problem+json"),
        (StoreError(ErrorKind.STORAGE_FULL, "full"), b"507", b"application/problem+json"),
        (StoreError(ErrorKind.ERASED, "gone"), b"410", b"application/problem+json"),
    ],
)
async def test_refusals_of_the_store_keep_their_meaning(
    error: StoreError, status: bytes, header: bytes
) -> None:
    answer = await answer_of(Raising(error), GET)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert header in answer


async def test_a_refused_large_body_still_lets_its_sender_see_why() -> None:
    body = b"x" * (20 << 20)
    head = f"PATCH /api/v1/packages HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    answer = await answer_of(Raising(RuntimeError("not reached")), head)
    assert answer.startswith(b"HTTP/1.1 405")


async def test_pipelined_requests_are_answered_in_order(world: World) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    for path in ("/api/v1/nothing", "/api/v1/", "/api/v1/usage?x=1"):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    statuses = []
    for _ in range(3):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        statuses.append(head.split()[1])
        length = next(line for line in head.split("\r\n") if line.lower().startswith("content-length"))
        await reader.readexactly(int(length.split(":")[1]))
    assert statuses == ["404", "200", "400"]
    writer.close()
