"""A proxy of our own before the real S3 server, that spoils what a test tells it to.

It knows just enough HTTP to tell requests apart: heads, and bodies by their Content-Length.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from registry.dataplane import S3Settings

_ERROR = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the proxy sees it: `target` is path and query."""

    method: str
    target: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An error instead of the server's answer; the server never sees the request."""

    status: int
    code: str


@dataclass(frozen=True, slots=True)
class Lose:
    """The server does as it was asked, and its answer is lost with the connection."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection ends after so many bytes of the answer's body."""

    after: int = 0


@dataclass(frozen=True, slots=True)
class Slow:
    """The answer comes after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Garbage:
    """Something that is not HTTP."""


Fault = Answer | Lose | Cut | Slow | Garbage


class FaultyProxy:
    """`plan` says what happens to a request; None lets it pass. `heads` are those of all requests."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.plan: Callable[[Asked], Fault | None] = lambda _: None
        self.heads: list[bytes] = []
        self.spoiled = 0

    def heal(self) -> None:
        self.plan = lambda _: None

    def spoil(self, fault: Fault, times: int, matching: Callable[[Asked], bool] = lambda _: True) -> None:
        """Let `fault` happen to the next `times` requests that match."""
        left = times

        def plan(asked: Asked) -> Fault | None:
            nonlocal left
            if not left or not matching(asked):
                return None
            left -= 1
            return fault

        self.plan = plan

    async def start(self) -> int:
        """The port to ask."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; False when the connection is to end."""
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
        if b"\r\nexpect: 100-continue" in head.lower():
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(_length(head))
        asked = Asked(method, target)
        self.heads.append(head)
        fault = self.plan(asked)
        self.spoiled += fault is not None
        match fault:
            case Answer():
                text = b"" if fault.status == 200 else _ERROR.format(code=fault.code).encode()
                lines = f"HTTP/1.1 {fault.status} Injected\r\nETag: x\r\nContent-Length: {len(text)}"
                writer.write(lines.encode() + b"\r\n\r\n" + (b"" if method == "HEAD" else text))
                await writer.drain()
                return True
            case Garbage():
                writer.write(b"\x00\x01nonsense\r\n\r\n")
                await writer.drain()
                return False
            case Slow():
                await asyncio.sleep(fault.seconds)
        return await self._forward(head, body, method, fault, writer)

    async def _forward(
        self, head: bytes, body: bytes, method: str, fault: Fault | None, writer: asyncio.StreamWriter
    ) -> bool:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            up_writer.write(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1) + body)
            await up_writer.drain()
            answer = await up_reader.readuntil(b"\r\n\r\n")
            while answer.startswith(b"HTTP/1.1 100"):
                answer = await up_reader.readuntil(b"\r\n\r\n")
            if isinstance(fault, Lose):
                return False
            writer.write(answer)
            left = fault.after if isinstance(fault, Cut) else None
            while data := await up_reader.read(65536):
                if left is not None:
                    data, left = data[:left], left - len(data[:left])
                writer.write(data)
                await writer.drain()
                if left == 0:
                    return False
            return False
        finally:
            up_writer.transport.abort()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


@asynccontextmanager
async def before(where: S3Settings, port: int) -> AsyncIterator[tuple[FaultyProxy, S3Settings]]:
    """A proxy before the server on `port`, and settings that lead through it."""
    proxy = FaultyProxy(port)
    try:
        through = f"http://127.0.0.1:{await proxy.start()}"
        yield proxy, dataclasses.replace(where, endpoint=through)
    finally:
        await proxy.close()
