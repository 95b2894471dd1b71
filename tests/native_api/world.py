"""The native face on a loopback socket over a real store, and the calls that tests make again and again."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from aiohttp import web
from blake3 import blake3

import oci
from native_api import Face, Limits
from registry.contract.digest import Digest
from registry.contract.manifest import OCI_INDEX, OCI_MANIFEST
from registry.contract.names import Repository, Tag
from registry.contract.store import Session
from registry.control import Care, SystemClock, open_store
from registry.control import Limits as StoreLimits
from registry.control.followers import Follower
from registry.dataplane import open_local

ROOT = "/api/v1"


class MovableClock:
    """The machine's clock, which a test can put forward."""

    def __init__(self) -> None:
        self.ahead = 0

    def now(self) -> int:
        return SystemClock().now() + self.ahead


@dataclass
class World:
    """`session` is the principal that every request is made as; `http` is at the server's root."""

    http: httpx.AsyncClient
    port: int
    session: Session
    other: Session
    clock: MovableClock
    as_other: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def put_content(self, data: bytes, repository: str | None = None) -> str:
        """Upload in one piece and answer the content address."""
        opened = await self.http.post(
            f"{ROOT}/uploads", json={"repository": repository} if repository else {}
        )
        assert opened.status_code == 201, opened.text
        place = opened.headers["Location"]
        patched = await self.http.patch(place, content=data, headers={"Upload-Offset": "0"})
        assert patched.status_code == 204, patched.text
        digest = f"blake3:{blake3(data).hexdigest()}"
        done = await self.http.post(f"{place}/complete", json={"digest": digest})
        assert done.status_code == 201, done.text
        address: str = done.json()["content_address"]
        assert address == digest
        return address

    async def put_package(self, reference: str, files: dict[str, bytes], **more: Any) -> dict[str, Any]:
        """Make a package of `files` and answer its document."""
        listed = [
            {"relative_path": path, "content_address": await self.put_content(data)}
            for path, data in files.items()
        ]
        made = await self.http.put(f"{ROOT}/packages/{reference}", json={"files": listed, **more})
        assert made.status_code == 201, made.text
        document: dict[str, Any] = made.json()
        return document

    async def push_blob(self, repository: str, data: bytes, **more: Any) -> dict[str, Any]:
        """As an OCI client does: store a blob and answer its descriptor."""
        digest = sha256(data)
        await self.session.uploads.put(Repository(repository), digest, once(data), length=len(data))
        return {"mediaType": "application/octet-stream", "digest": str(digest), "size": len(data), **more}

    async def push_manifest(self, repository: str, reference: str | None, document: dict[str, Any]) -> str:
        """As an OCI client does; by digest when `reference` is None. Answers the digest."""
        data = json.dumps({"schemaVersion": 2, **document}).encode()
        media_type = OCI_INDEX if "manifests" in document else OCI_MANIFEST
        name = Tag(reference) if reference is not None else sha256(data)
        await self.session.manifests.put(Repository(repository), name, media_type, data)
        return str(sha256(data))


def sha256(data: bytes) -> Digest:
    return Digest.parse(f"sha256:{hashlib.sha256(data).hexdigest()}")


async def once(data: bytes) -> AsyncIterator[bytes]:
    yield data


@asynccontextmanager
async def open_world(
    folder: Path,
    *,
    limits: Limits | None = None,
    store_limits: StoreLimits | None = None,
    followers: tuple[Follower, ...] = (),
    care: Care | None = None,
) -> AsyncIterator[World]:
    """A fresh store in `folder`, served until the context ends; looked after where `care` is given."""
    clock = MovableClock()
    dataplane = open_local(folder / "content")
    store = await open_store(
        dataplane, folder / "store.db", limits=store_limits, clock=clock, followers=followers
    )
    if care is not None:
        store.start_background(care)
    session = store.for_principal(await store.principal("somebody"))
    other = store.for_principal(await store.principal("somebody else"))
    native, registry = Face(limits), oci.Face()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        face = registry if request.path.startswith("/v2") else native
        return await face.handle(request, other if world.as_other else session)

    server = web.Server(handle, auto_decompress=False, lingering_time=1.0)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
        world = World(http, port, session, other, clock)
        try:
            yield world
        finally:
            await http.aclose()
            listening.close()
            await server.shutdown(1.0)
            await listening.wait_closed()
            await store.close()
            await dataplane.close()
