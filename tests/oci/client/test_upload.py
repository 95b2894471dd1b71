"""Large uploads at registries that behave oddly within, or just beyond, what the specification allows."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from oci.client.backoff import Backoff
from oci.client.errors import ResponseError
from oci.client.journal import Journal, UploadKey
from oci.client.registry import RegistryClient
from oci.client.source import BytesSource
from oci.client.transport import Transport, TransportSettings
from oci.client.upload import push_blob
from registry.contract.digest import Algorithm, Digest
from registry.contract.names import Repository

_REPOSITORY = Repository("odd/one")
_DATA = random.Random(3).randbytes(2 * 1024 * 1024)
_DIGEST = Digest.of(_DATA, Algorithm.SHA256)


@dataclass
class OddRegistry:
    """Blob uploads in memory. Each entry of `moods` spoils one PATCH; then it behaves.

    "lose": forgets the session. "busy": 503 with Retry-After. "one byte": keeps one byte and cuts off.
    "keep": keeps all, and cuts off before it answers. "wrong": keeps other bytes. A PUT that fails says 400.
    """

    moods: list[str] = field(default_factory=list)
    sessions: dict[str, bytearray] = field(default_factory=dict)
    blobs: set[str] = field(default_factory=set)
    received: int = 0
    address: str = ""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if "/uploads/" not in request.path:
            return web.Response(status=200 if request.path.rpartition("/")[2] in self.blobs else 404)
        if request.method == "POST":
            return self._where(self.sessions.setdefault(str(uuid.uuid4()), bytearray()), 202)
        data = self.sessions.get(request.path.rpartition("/")[2])
        if data is None:
            return web.Response(status=404)
        if request.method == "PATCH":
            return await self._patch(request, data)
        if request.method == "PUT":
            digest = request.query["digest"]
            if str(Digest.of(data, Algorithm.SHA256)) != digest:
                return web.json_response(
                    {"errors": [{"code": "DIGEST_INVALID", "message": "no"}]}, status=400
                )
            self.blobs.add(digest)
            return web.Response(status=201)
        if request.method == "DELETE":
            self.sessions.pop(request.path.rpartition("/")[2])
        return self._where(data, 204)

    async def _patch(self, request: web.BaseRequest, data: bytearray) -> web.StreamResponse:
        body = await request.content.read()
        self.received += len(body)
        if int(request.headers["Content-Range"].partition("-")[0]) != len(data):
            return self._where(data, 416)
        mood = self.moods.pop(0) if self.moods else ""
        if mood == "busy":
            return web.Response(status=503, headers={"Retry-After": "0"})
        if mood == "lose":
            self.sessions.clear()
        else:
            data += {"one byte": body[:1], "wrong": body[::-1]}.get(mood, body)
        if mood in ("lose", "one byte", "keep"):
            assert request.transport is not None
            request.transport.abort()
        return self._where(data, 202)

    def _where(self, data: bytearray, status: int) -> web.Response:
        name = next((name for name, kept in self.sessions.items() if kept is data), "gone")
        location = f"/v2/{_REPOSITORY}/blobs/uploads/{name}"
        return web.Response(
            status=status, headers={"Location": location, "Range": f"0-{max(0, len(data) - 1)}"}
        )


@pytest.fixture
async def odd() -> AsyncIterator[OddRegistry]:
    """An odd registry, listening."""
    registry = OddRegistry()
    runner = web.ServerRunner(web.Server(registry.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    registry.address = f"127.0.0.1:{runner.addresses[0][1]}"
    yield registry
    await runner.cleanup()


class Count:
    """Adds up what a transfer reports."""

    total = 0

    def advance(self, count: int) -> None:
        self.total += count


async def _push(odd: OddRegistry, journal: Journal) -> int:
    count = Count()
    async with Transport(odd.address, TransportSettings(backoff=Backoff(first=0.01))) as transport:
        await push_blob(
            RegistryClient(transport),
            _REPOSITORY,
            _DIGEST,
            BytesSource(_DATA),
            journal=journal,
            progress=count,
        )
    return count.total


@pytest.mark.parametrize(
    "moods",
    [
        [],
        ["busy"],
        ["lose"],
        ["one byte"],
        ["keep"],
        ["busy", "lose", "one byte", "busy", "lose"],
        ["one byte", "one byte", "keep"],
    ],
)
async def test_the_blob_arrives_and_progress_adds_up(odd: OddRegistry, moods: list[str]) -> None:
    odd.moods = moods
    assert await _push(odd, Journal(None)) == len(_DATA)
    assert odd.blobs == {str(_DIGEST)}


async def test_what_had_arrived_is_not_sent_again(odd: OddRegistry) -> None:
    odd.moods = ["keep"]
    await _push(odd, Journal(None))
    assert odd.received == len(_DATA)


async def test_a_registry_that_is_never_ready_is_given_up(odd: OddRegistry, tmp_path: Path) -> None:
    odd.moods = ["busy"] * 100
    with pytest.raises(ResponseError) as caught:
        await _push(odd, Journal(tmp_path))
    assert caught.value.status == 503
    assert 90 < len(odd.moods) < 100
    # The session is remembered for a later run, which uses it.
    odd.moods.clear()
    await _push(odd, Journal(tmp_path))
    assert len(odd.sessions) == 1
    assert list(tmp_path.iterdir()) == []


async def test_bytes_that_are_refused_in_the_end_are_an_error_and_leave_no_session(
    odd: OddRegistry, tmp_path: Path
) -> None:
    odd.moods = ["wrong"]
    with pytest.raises(ResponseError) as caught:
        await _push(odd, Journal(tmp_path))
    assert caught.value.code == "DIGEST_INVALID"
    assert odd.sessions == {}
    assert list(tmp_path.iterdir()) == []


async def test_wrong_bytes_of_an_earlier_run_are_replaced(odd: OddRegistry, tmp_path: Path) -> None:
    session = str(uuid.uuid4())
    odd.sessions[session] = bytearray(b"rubbish")
    journal = Journal(tmp_path)
    with journal.entry(UploadKey(f"http://{odd.address}", _REPOSITORY, _DIGEST)) as entry:
        entry.save(f"/v2/{_REPOSITORY}/blobs/uploads/{session}")
    assert await _push(odd, journal) == len(_DATA)
    assert odd.blobs == {str(_DIGEST)}
    assert session not in odd.sessions


async def test_a_torn_journal_entry_is_no_entry(odd: OddRegistry, tmp_path: Path) -> None:
    key = UploadKey(f"http://{odd.address}", _REPOSITORY, _DIGEST)
    with Journal(tmp_path).entry(key) as entry:
        entry.save("/v2/somewhere")
    (path,) = tmp_path.iterdir()
    path.write_text(json.dumps({"location": "/v2/x"})[:10])
    assert await _push(odd, Journal(tmp_path)) == len(_DATA)


def test_an_entry_in_use_is_not_shared(tmp_path: Path) -> None:
    key = UploadKey("http://x", _REPOSITORY, _DIGEST)
    with Journal(tmp_path).entry(key) as first:
        first.save("/first")
        with Journal(tmp_path).entry(key) as second:
            assert second.location is None
            second.save("/second")
    with Journal(tmp_path).entry(key) as third:
        assert third.location == "/first"


def test_old_entries_are_swept(tmp_path: Path) -> None:
    key = UploadKey("http://x", _REPOSITORY, _DIGEST)
    with Journal(tmp_path).entry(key) as entry:
        entry.save("/first")
    (path,) = tmp_path.iterdir()
    Journal(tmp_path, now=lambda: path.stat().st_mtime + 3600).sweep()
    assert path.exists()
    Journal(tmp_path, now=lambda: path.stat().st_mtime + 8 * 24 * 3600).sweep()
    assert not path.exists()
