"""Large files by sendfile: byte-identical, in parts, nothing left behind when a client stalls or leaves."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from registry.http.send import send_bytes, send_reading
from registry.http.sendfile import FileRegion, send_file, socket_of
from tests.http.serving import connect, serve
from tests.http.stored import FileReading

Run = Callable[..., Any]
Handler = Callable[[web.BaseRequest], Any]
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def large() -> bytes:
    return os.urandom(MIB) * 64


@pytest.fixture
def path(tmp_path: Path, large: bytes) -> Path:
    path = tmp_path / "large"
    path.write_bytes(large)
    return path


def _handler(path: Path, large: bytes, stall_timeout: float = 60.0) -> Handler:
    reading = FileReading(path, large)

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/small":
            return send_bytes(request, 200, b"small")
        return await send_reading(request, reading, stall_timeout=stall_timeout)

    return handler


def _descriptors() -> dict[str, str]:
    """What the process has open, without the executor's and the loop's own plumbing."""
    folder = Path("/proc/self/fd")
    return {fd.name: os.readlink(fd) for fd in folder.iterdir() if fd.is_symlink() or fd.exists()}


async def _settled(check: Callable[[], bool]) -> bool:
    for _ in range(200):
        if check():
            return True
        await asyncio.sleep(0.01)
    return check()


def test_64_mib_arrive_whole_and_the_connection_lives_on(run: Run, path: Path, large: bytes) -> None:
    async def test() -> None:
        async with serve(_handler(path, large)) as port, connect(port, limit=4 * MIB) as client:
            answer = await client.ask("GET", "/large")
            assert hashlib.sha256(answer.body).digest() == hashlib.sha256(large).digest()
            assert (await client.ask("GET", "/small")).body == b"small"
            part = await client.ask("GET", "/large", f"Range: bytes={7 * MIB + 1}-{50 * MIB}")
            assert part.body == large[7 * MIB + 1 : 50 * MIB + 1]
            head = await client.ask("HEAD", "/large")
            assert head["Content-Length"] == str(len(large))
            assert (await client.ask("GET", "/small")).body == b"small"

    run(test())


def test_pipelined_after_a_buffered_answer_the_bytes_stay_in_order(
    run: Run, path: Path, large: bytes
) -> None:
    """The first answer still sits in the transport's buffer when sendfile is about to go round it."""
    first = os.urandom(20 * MIB)

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/first":
            request.transport.set_write_buffer_limits(high=64 * MIB)  # type: ignore[union-attr]
            return send_bytes(request, 200, first)
        return await send_reading(request, FileReading(path, large))

    async def test() -> None:
        async with serve(handler) as port, connect(port, limit=4 * MIB) as client:
            client.send(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\nGET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.sleep(0.1)
            assert (await client.answer()).body == first
            assert (await client.answer()).body == large

    run(test())


def test_a_client_that_stops_reading_is_cut_off(run: Run, path: Path, large: bytes) -> None:
    async def test() -> None:
        async with serve(_handler(path, large, stall_timeout=0.3)) as port:
            before = _descriptors()
            client = socket.create_connection(("127.0.0.1", port))
            client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            started = time.monotonic()
            assert await _settled(lambda: str(path) in _descriptors().values())
            assert await _settled(lambda: len(_descriptors()) == len(before) + 1)  # the client's own
            assert 0.25 < time.monotonic() - started < 1.5
            client.settimeout(5)
            received = 0
            with pytest.raises(ConnectionResetError):
                while True:
                    received += len(client.recv(MIB)) or pytest.fail("a clean end looks like a whole answer")
            assert received < len(large)
            client.close()
            assert await _settled(lambda: len(_descriptors()) <= len(before))

    run(test())


def test_a_slow_client_that_does_read_is_not_cut_off(run: Run, path: Path, large: bytes) -> None:
    async def test() -> None:
        async with serve(_handler(path, large[: 12 * MIB], stall_timeout=0.4)) as port:
            async with connect(port, limit=MIB // 4) as client:
                client.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
                await client.reader.readuntil(b"\r\n\r\n")
                started, received = time.monotonic(), bytearray()
                while len(received) < 12 * MIB:
                    received += await client.reader.read(MIB)
                    await asyncio.sleep(0.05)
                assert received == large[: 12 * MIB]
                assert time.monotonic() - started > 0.4

    run(test())


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_vanishes_leaves_nothing(run: Run, path: Path, large: bytes, how: str) -> None:
    async def test() -> None:
        async with serve(_handler(path, large)) as port:
            idle = len(_descriptors())
            tasks = len(asyncio.all_tasks())
            for _ in range(10):
                client = socket.create_connection(("127.0.0.1", port))
                client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
                await asyncio.sleep(0.02)
                if how == "reset":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.close()
            assert await _settled(lambda: len(_descriptors()) <= idle and len(asyncio.all_tasks()) <= tasks)
            pool = threading.active_count()
            async with connect(port, limit=MIB) as other:
                assert (await other.ask("GET", "/small")).body == b"small"
            assert threading.active_count() <= pool

    run(test())


def test_stalled_clients_hold_no_threads(run: Run, path: Path, large: bytes) -> None:
    """More of them than the executor has threads, and the next client is still served."""

    async def test() -> None:
        async with serve(_handler(path, large)) as port:
            stalled = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
            for client in stalled:
                client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.sleep(0.2)
            async with connect(port, limit=MIB) as other:
                answer = await asyncio.wait_for(other.ask("GET", "/x", f"Range: bytes=0-{MIB}"), 5)
                assert answer.body == large[: MIB + 1]
            for client in stalled:
                client.close()

    run(test())


def test_a_cancelled_download_closes_after_its_thread(run: Run, path: Path, large: bytes) -> None:
    tasks: list[asyncio.Task[Any]] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        return await send_reading(request, FileReading(path, large))

    async def test() -> None:
        async with serve(handler) as port:
            idle = len(_descriptors())
            client = socket.create_connection(("127.0.0.1", port))
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await _settled(lambda: bool(tasks) and len(_descriptors()) > idle + 1)
            tasks[0].cancel()
            client.setblocking(False)
            assert await _settled(tasks[0].done)
            client.close()
            assert await _settled(lambda: len(_descriptors()) <= idle)

    run(test())


def test_a_file_that_shrank_aborts_instead_of_hanging(run: Run, path: Path, large: bytes) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        with path.open("rb") as file, pytest.raises(EOFError):
            region = FileRegion(file.fileno(), 0, len(large) + 1)
            sock = socket_of(request)
            assert sock is not None
            with sock:
                await send_file(request, sock, b"HTTP/1.1 200 OK\r\n\r\n", region, stall_timeout=5)
        return response

    async def test() -> None:
        async with serve(handler) as port, connect(port, limit=MIB) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await client.reader.readexactly(len(large) + 20)

    run(test())
