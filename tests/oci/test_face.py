"""The border of the face: faults are logged and told as INTERNAL, nothing leaks, a started answer is cut."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from aiohttp import web

from oci import Face
from registry.contract.dataplane import OpenFile
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.store import Session
from tests.http.serving import connect, serve
from tests.oci.world import World, error_code, sha256


class _Broken:
    """A session whose every use case fails, as a fault at the store's port."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        return self

    async def __call__(self, *arguments: object, **options: object) -> Any:
        raise self._error


class _Rotten:
    """Blobs whose bytes turn out bad on their way out."""

    size = 1_000_000
    digest = Digest.of(b"", Algorithm.SHA256)

    @property
    def blobs(self) -> _Rotten:
        return self

    async def get(self, *arguments: object) -> _Rotten:
        return self

    async def open_file(self) -> OpenFile | None:
        return None

    async def link(self) -> str | None:
        return None

    async def stream(self, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        yield bytes(200_000)
        raise ValueError("secret")


async def _serving(session: object) -> Any:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return await Face().handle(request, cast(Session, session))

    return serve(handler)


async def test_a_fault_is_logged_and_answered_without_its_secrets(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="oci.face"):
        async with await _serving(_Broken(RuntimeError("secret"))) as port, connect(port) as client:
            for target in ("a/manifests/v1", f"a/blobs/{sha256(b'')}", "_catalog", "a/tags/list"):
                answer = await client.ask("GET", f"/v2/{target}")
                assert (answer.status, error_code(answer)) == (500, "UNKNOWN")
                assert b"secret" not in answer.body
    assert sum("secret" in (record.exc_text or "") for record in caplog.records) == 4


@pytest.mark.parametrize(
    ("kind", "status"), [(ErrorKind.UNAVAILABLE, 503), (ErrorKind.TOO_MANY_REQUESTS, 429)]
)
async def test_passing_trouble_says_when_to_come_back(kind: ErrorKind, status: int) -> None:
    error = StoreError(kind, "come back", detail={"retry_after": 9})
    async with await _serving(_Broken(error)) as port, connect(port) as client:
        answer = await client.ask("GET", "/v2/a/manifests/v1")
        assert (answer.status, answer["Retry-After"]) == (status, "9")


async def test_a_fault_after_the_first_byte_ends_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    async with await _serving(_Rotten()) as port, connect(port) as client:
        client.send(f"GET /v2/a/blobs/{sha256(b'')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.answer()


async def test_every_error_leaves_the_connection_usable(world: World) -> None:
    for method, target in (
        ("GET", "nonsense"),
        ("PUT", "a/manifests/v1"),
        ("POST", "a/blobs/uploads/?digest=x"),
        ("OPTIONS", "a/tags/list"),
        ("HEAD", "a/manifests/none"),
    ):
        answer = await world.ask(method, target)
        assert 400 <= answer.status < 500, (method, target)
    assert (await world.ask("GET", "")).status == 200
