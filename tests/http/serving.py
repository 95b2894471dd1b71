"""A real aiohttp server on loopback for one test, on asyncio or uvloop, and a client that shows raw bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import web

T = TypeVar("T")
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Run = Callable[[Coroutine[Any, Any, T]], T]


@asynccontextmanager
async def serve(handler: Handler, ssl: Any = None) -> AsyncIterator[int]:
    """Serve `handler` as the product does and yield the port; stop, waiting for handlers, at the end."""
    server = web.Server(handler, auto_decompress=False, lingering_time=1.0)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0, ssl=ssl)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        await server.shutdown(1.0)
        await listening.wait_closed()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def __getitem__(self, name: str) -> str:
        (value,) = self.all(name)
        return value

    def get(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))


class Connection:
    """One TCP connection that sends given bytes and reads answers with Content-Length."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, *, head_only: bool = False) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        line, *fields = head[:-4].split("\r\n")
        headers = [(name, value) for name, _, value in (field.partition(": ") for field in fields)]
        answer = Answer(int(line.split()[1]), headers, b"")
        if head_only or answer.status in (100, 204, 304):
            return answer
        body = await self.reader.readexactly(int(answer["Content-Length"]))
        return Answer(answer.status, headers, body)

    async def ask(self, method: str, path: str = "/", *headers: str, body: bytes = b"") -> Answer:
        lines = [f"{method} {path} HTTP/1.1", "Host: x", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        return await self.answer(head_only=method == "HEAD")

    async def ended(self) -> bool:
        """Whether the server has ended the connection, within two seconds."""
        try:
            return await asyncio.wait_for(self.reader.read(1), 2.0) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def close(self) -> None:
        self.writer.close()


@asynccontextmanager
async def connect(port: int, limit: int = 2**16) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
