"""Answers with bytes, over real sockets on both loops: exact heads, ranges, conditions, keep-alive."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import StoreError
from registry.http.response import WireResponse
from registry.http.send import send_bytes, send_reading
from tests.http.serving import Connection, connect, serve
from tests.http.stored import FileReading, PieceReading

Run = Callable[..., Any]
SMALL, LARGE = b"0123456789", bytes(range(256)) * 4096


async def _bytes_handler(request: web.BaseRequest) -> web.StreamResponse:
    return send_bytes(request, 200, SMALL, [("Content-Type", "application/json"), ("X-A", "1"), ("X-A", "2")])


def _file_handler(path: Path, data: bytes) -> Callable[[web.BaseRequest], Any]:
    path.write_bytes(data)

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        headers = {"Content-Type": "application/octet-stream"}
        return await send_reading(request, FileReading(path, data), headers)

    return handler


def test_headers_leave_exactly_as_given(run: Run) -> None:
    async def test() -> None:
        async with serve(_bytes_handler) as port, connect(port) as client:
            answer = await client.ask("GET")
            assert answer.body == SMALL
            names = [name for name, _ in answer.headers]
            assert names == ["Content-Type", "X-A", "X-A", "Content-Length", "Date"]
            assert answer["Content-Type"] == "application/json"

    run(test())


def test_head_has_the_head_of_get_and_no_body(run: Run) -> None:
    async def test() -> None:
        async with serve(_bytes_handler) as port, connect(port) as client:
            got, head = await client.ask("GET"), await client.ask("HEAD")
            assert [pair for pair in head.headers if pair[0] != "Date"] == [
                pair for pair in got.headers if pair[0] != "Date"
            ]
            assert (await client.ask("GET")).body == SMALL

    run(test())


def test_pipelined_requests_are_answered_in_order(run: Run) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(0.01 if request.path == "/0" else 0)
        return send_bytes(request, 200, request.path.encode())

    async def test() -> None:
        async with serve(handler) as port, connect(port) as client:
            client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(50)))
            assert [(await client.answer()).body for _ in range(50)] == [b"/%d" % n for n in range(50)]

    run(test())


@pytest.mark.parametrize(
    ("request_head", "connection", "lives"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", None, True),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "close", False),
        (b"GET / HTTP/1.0\r\n\r\n", "close", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "keep-alive", True),
    ],
)
def test_the_connection_lives_as_long_as_was_agreed(
    run: Run, request_head: bytes, connection: str | None, lives: bool
) -> None:
    async def test() -> None:
        async with serve(_bytes_handler) as port, connect(port) as client:
            client.send(request_head)
            answer = await client.answer()
            assert answer.get("Connection") == connection
            if lives:
                client.send(request_head)
                assert (await client.answer()).body == SMALL
            else:
                assert await client.ended()

    run(test())


def test_statuses_without_content_announce_no_length(run: Run) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return send_bytes(request, int(request.path[1:]))

    async def test() -> None:
        async with serve(handler) as port, connect(port) as client:
            assert "Content-Length" not in await client.ask("GET", "/204")
            assert (await client.ask("GET", "/202"))["Content-Length"] == "0"

    run(test())


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\n", "a\r", "a\x00b"])
def test_a_header_cannot_smuggle_another(value: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        WireResponse(200, {"X": value})


@pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
def test_a_file_is_read_whole_and_in_parts(run: Run, tmp_path: Path, data: bytes) -> None:
    async def test() -> None:
        async with serve(_file_handler(tmp_path / "f", data)) as port, connect(port) as client:
            for _ in range(2):
                answer = await client.ask("GET")
                assert (answer.status, answer.body) == (200, data)
                assert answer["Accept-Ranges"] == "bytes"
                assert answer["ETag"] == f'"{Digest.of(data, Algorithm.SHA256)}"'
            head = await client.ask("HEAD", "/", "Range: bytes=0-1")
            assert (head.status, head["Content-Length"]) == (200, str(len(data)))
            if data:
                part = await client.ask("GET", "/", f"Range: bytes=3-{len(data) - 3}")
                assert (part.status, part.body) == (206, data[3:-2])
                assert part["Content-Range"] == f"bytes 3-{len(data) - 3}/{len(data)}"

    run(test())


def test_conditions_and_if_range(run: Run, tmp_path: Path) -> None:
    tag = f'"{Digest.of(LARGE, Algorithm.SHA256)}"'

    async def test() -> None:
        async with serve(_file_handler(tmp_path / "f", LARGE)) as port, connect(port) as client:
            for value in (tag, f'W/{tag}, "x"', "*", tag.strip('"')):
                answer = await client.ask("GET", "/", f"If-None-Match: {value}")
                assert (answer.status, answer["ETag"]) == (304, tag)
            assert (await client.ask("GET", "/", 'If-None-Match: "other"')).status == 200
            part = await client.ask("GET", "/", "Range: bytes=0-4", f"If-Range: {tag}")
            assert part.status == 206
            assert (await client.ask("GET", "/", "Range: bytes=0-4", 'If-Range: "old"')).status == 200

    run(test())


def test_a_stream_is_sent_like_a_file(run: Run) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return await send_reading(request, PieceReading(LARGE))

    async def test() -> None:
        async with serve(handler) as port, connect(port) as client:
            assert (await client.ask("GET")).body == LARGE
            assert (await client.ask("GET", "/", "Range: bytes=5-200000")).body == LARGE[5:200001]
            assert (await client.ask("GET", "/", "Range: bytes=-7")).body == LARGE[-7:]

    run(test())


def test_an_error_before_the_first_piece_is_raised_and_one_after_it_aborts(run: Run) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        reading = PieceReading(LARGE, fail_at=int(request.path[1:]))
        try:
            return await send_reading(request, reading)
        except StoreError as error:
            return send_bytes(request, 404, error.kind.value.encode())

    async def test() -> None:
        async with serve(handler) as port:
            async with connect(port) as client:
                assert (await client.ask("GET", "/0")).body == b"content_unknown"
            async with connect(port) as client:
                with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                    await client.ask("GET", "/300000")

    run(test())


@pytest.mark.parametrize("recorded", [len(LARGE) - 1, len(LARGE) + 1], ids=["longer", "shorter"])
def test_content_of_another_size_than_recorded_never_looks_complete(run: Run, recorded: int) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return await send_reading(request, PieceReading(LARGE, size=recorded))

    async def test() -> None:
        async with serve(handler) as port, connect(port) as client:
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await client.ask("GET")

    run(test())


def test_tls_is_served_without_sendfile(run: Run, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
        f"-keyout {key} -out {certificate} -subj /CN=localhost -days 2".split(),
        check=True,
        capture_output=True,
    )
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate, key)
    client_side = ssl.create_default_context(cafile=str(certificate))
    client_side.check_hostname = False

    async def test() -> None:
        async with serve(_file_handler(tmp_path / "f", LARGE), server_side) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_side)
            client = Connection(reader, writer)
            for _ in range(2):
                assert (await client.ask("GET")).body == LARGE
            client.close()
            await writer.wait_closed()

    run(test())
