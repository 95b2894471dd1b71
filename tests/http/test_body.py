"""Request bodies over real sockets: continue, silence, broken connections, limits, refusals."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from registry.contract.errors import ErrorKind, StoreError
from registry.http.body import answer_early, body_stream, content_length, read_capped
from registry.http.send import send_bytes
from tests.http.serving import Connection, connect, serve

Run = Callable[..., Any]
MIB = 1024 * 1024


class Receiver:
    """A handler that keeps what arrives and how it ended."""

    def __init__(self, idle_timeout: float = 5.0, pause: float = 0.0) -> None:
        self.received = bytearray()
        self.error: StoreError | None = None
        self.ended = asyncio.Event()
        self._idle_timeout = idle_timeout
        self._pause = pause

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            async for piece in body_stream(request, self._idle_timeout):
                assert piece
                self.received += piece
                await asyncio.sleep(self._pause)
        except StoreError as error:
            self.error = error
            return await answer_early(request, send_bytes(request, 400, error.kind.value.encode()))
        finally:
            self.ended.set()
        return send_bytes(request, 200, str(len(self.received)).encode())


def test_a_body_arrives_whole_by_length_and_by_chunks(run: Run) -> None:
    data = os.urandom(3 * MIB)

    async def test() -> None:
        receiver = Receiver()
        async with serve(receiver) as port, connect(port) as client:
            assert (await client.ask("PUT", "/", body=data)).body == str(len(data)).encode()
            assert receiver.received == data
            receiver.received.clear()
            client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for start in range(0, len(data), 100_000):
                piece = data[start : start + 100_000]
                client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            client.send(b"0\r\n\r\n")
            assert (await client.answer()).status == 200
            assert receiver.received == data
            receiver.received.clear()
            assert (await client.ask("PUT")).body == b"0"

    run(test())


def test_continue_is_sent_when_the_body_is_first_wanted_and_not_before(run: Run) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/no":
            return await answer_early(request, send_bytes(request, 403, b"no"))
        return send_bytes(request, 200, await read_capped(request, 100))

    async def test() -> None:
        head = b" HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        async with serve(handler) as port:
            async with connect(port) as client:
                for _ in range(2):
                    client.send(b"PUT /yes" + head)
                    assert (await client.answer()).status == 100
                    client.send(b"body")
                    assert (await client.answer()).body == b"body"
                client.send(b"PUT /no" + head)
                answer = await client.answer()
                assert (answer.status, answer["Connection"]) == (403, "close")
                client.close()

    run(test())


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [0, 1, 70_000, 500_000])
@pytest.mark.parametrize("how", ["close", "reset after a moment"])
def test_when_the_connection_breaks_every_byte_that_arrived_is_kept(
    run: Run, size: int, chunked: bool, how: str
) -> None:
    data = os.urandom(size)

    async def test() -> None:
        receiver = Receiver(pause=0.001)
        async with serve(receiver) as port, connect(port) as client:
            if chunked:
                client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
                client.send(b"%x\r\n%s" % (size + 10, data))
            else:
                client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (size + 10))
                client.send(data)
            await client.writer.drain()
            if how != "close":
                await asyncio.sleep(0.3)
                sock = client.writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
            await asyncio.wait_for(receiver.ended.wait(), 5)
            assert receiver.received == data
            assert receiver.error is not None and receiver.error.kind is ErrorKind.UPLOAD_ABORTED

    run(test())


def test_a_client_that_falls_silent_is_given_up_but_a_slow_one_is_not(run: Run) -> None:
    async def test() -> None:
        receiver = Receiver(idle_timeout=0.2)
        async with serve(receiver) as port, connect(port) as client:
            client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n")
            started = time.monotonic()
            for _ in range(5):
                await asyncio.sleep(0.1)
                client.send(b"x")
            assert (await client.answer()).body == b"upload_aborted"
            assert receiver.received == b"xxxxx"
            assert 0.6 < time.monotonic() - started < 2

    run(test())


def test_broken_chunks_end_the_request_at_the_latest_with_the_silence_after_them(run: Run) -> None:
    async def test() -> None:
        receiver = Receiver(idle_timeout=0.2)
        async with serve(receiver) as port, connect(port) as client:
            client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            await asyncio.sleep(0.1)
            client.send(b"nonsense\r\n")
            assert (await client.answer()).status == 400
            assert receiver.received == b"abc"
            assert await client.ended()

    run(test())


def test_an_encoded_body_is_refused(run: Run) -> None:
    async def test() -> None:
        receiver = Receiver()
        async with serve(receiver) as port, connect(port) as client:
            answer = await client.ask("PUT", "/", "Content-Encoding: gzip", body=b"abc")
            assert answer.body == b"unsupported_media_type"
            assert (await client.ask("PUT", "/", "Content-Encoding: identity", body=b"abc")).status == 200
            assert receiver.received == b"abc"

    run(test())


def test_too_large_is_said_before_the_body_is_read(run: Run) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return send_bytes(request, 200, await read_capped(request, 1000))
        except StoreError as error:
            return await answer_early(request, send_bytes(request, 413, error.message.encode()))

    async def test() -> None:
        async with serve(handler) as port:
            async with connect(port) as client:
                assert (await client.ask("PUT", "/", body=b"x" * 1000)).status == 200
                answer = await client.ask("PUT", "/", body=b"x" * 1001)
                assert answer.status == 413
                assert b"1000" in answer.body
                assert (await client.ask("PUT", "/", body=b"ok")).body == b"ok"
            async with connect(port) as client:
                client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nabc")
                assert (await client.answer()).status == 413
            async with connect(port) as client:
                client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
                client.send(b"400\r\n" + b"x" * 1024 + b"\r\n")
                assert (await client.answer()).status == 413

    run(test())


def test_a_refused_upload_is_answered_then_cut_and_never_read_to_its_end(run: Run) -> None:
    size = 512 * MIB

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return await answer_early(request, send_bytes(request, 403, b"no"))

    async def flood(client: Connection) -> int:
        sent = 0
        try:
            while sent < size:
                client.send(bytes(MIB))
                await client.writer.drain()
                sent += MIB
        except ConnectionError:
            pass
        return sent

    async def test() -> None:
        async with serve(handler) as port, connect(port) as client:
            client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
            sending = asyncio.create_task(flood(client))
            answer = await client.answer()
            assert (answer.status, answer.body, answer["Connection"]) == (403, b"no", "close")
            assert await asyncio.wait_for(sending, 10) < size // 4

    run(test())


@pytest.mark.parametrize(
    ("lines", "expected"),
    [("", b"0"), ("Content-Length: 5\r\n", b"5"), ("Transfer-Encoding: chunked\r\n", b"None")],
)
def test_the_length_is_known_or_not(run: Run, lines: str, expected: bytes) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return send_bytes(request, 200, str(content_length(request)).encode())

    async def test() -> None:
        async with serve(handler) as port, connect(port) as client:
            client.send(f"PUT / HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
            assert (await client.answer()).body == expected

    run(test())
