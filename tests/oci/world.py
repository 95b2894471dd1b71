"""The OCI face on a loopback socket over a real store, and the pushes that tests make again and again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from blake3 import blake3

from oci import Face, Limits
from registry.contract.manifest import OCI_MANIFEST
from registry.contract.store import Session
from registry.control import open_store
from registry.dataplane import open_local
from tests.documents import EMPTY
from tests.http.serving import Answer, Connection, connect, serve


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def sha512(data: bytes) -> str:
    return f"sha512:{hashlib.sha512(data).hexdigest()}"


def b3(data: bytes) -> str:
    return f"blake3:{blake3(data).hexdigest()}"


def error_code(answer: Answer) -> str:
    """The one code of an error answer, whose form is checked along the way."""
    assert answer["Content-Type"] == "application/json"
    (entry,) = json.loads(answer.body)["errors"]
    assert set(entry) <= {"code", "message", "detail"}
    assert entry["message"]
    code: str = entry["code"]
    return code


@dataclass
class World:
    """`client` is one keep-alive connection; every answer on it is checked for the API's version header."""

    port: int
    session: Session
    client: Connection

    async def ask(self, method: str, target: str, *headers: str, body: bytes = b"") -> Answer:
        answer = await self.client.ask(method, f"/v2/{target}", *headers, body=body)
        assert answer["Docker-Distribution-Api-Version"] == "registry/2.0"
        return answer

    async def begin(self, repository: str = "a/b") -> str:
        """Open an upload and answer its Location, which is a path."""
        answer = await self.ask("POST", f"{repository}/blobs/uploads/")
        assert answer.status == 202
        location = answer["Location"]
        assert location.startswith(f"/v2/{repository}/blobs/uploads/")
        return location.removeprefix("/v2/")

    async def push_blob(self, data: bytes, repository: str = "a/b", digest: str | None = None) -> str:
        digest = digest or sha256(data)
        answer = await self.ask("POST", f"{repository}/blobs/uploads/?digest={digest}", body=data)
        assert answer.status == 201, answer
        return digest

    async def push(
        self,
        data: bytes,
        reference: str | None = None,
        repository: str = "a/b",
        media_type: str = OCI_MANIFEST,
    ) -> Answer:
        """Push a manifest, with the empty config before it, by tag or by its digest."""
        await self.push_blob(EMPTY, repository)
        target = f"{repository}/manifests/{reference or sha256(data)}"
        answer = await self.ask("PUT", target, f"Content-Type: {media_type}", body=data)
        assert answer.status == 201, answer
        return answer


@asynccontextmanager
async def open_world(folder: Path, limits: Limits | None = None) -> AsyncIterator[World]:
    """A fresh store below `folder`, served."""
    dataplane = open_local(folder / "content")
    store = await open_store(dataplane, folder / "ledger.db")
    try:
        session = store.for_principal(await store.principal("anonymous"))
        face = Face(limits)

        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            return await face.handle(request, session)

        async with serve(handler) as port, connect(port, limit=2**20) as client:
            yield World(port, session, client)
    finally:
        await store.close()
        await dataplane.close()
