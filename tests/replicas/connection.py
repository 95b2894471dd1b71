"""A connection of a plain HTTP client that sends several requests at once, and so costs next to nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """Ready to be sent. `data` is head and body."""

    data: bytes
    has_body: bool = True
    """Whether its answer has a body, which that to HEAD has not."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`head` is everything before the body."""

    status: int
    head: bytes
    body: bytes

    def field(self, name: bytes) -> bytes:
        """A header's value, by its name in lower case; empty without it."""
        for line in self.head.split(b"\r\n")[1:]:
            found, _, value = line.partition(b":")
            if found.lower() == name:
                return value.strip()
        return b""


def request(method: str, target: str, body: bytes | None = None, media_type: str = "") -> Request:
    """A request without anything that is not needed."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Accept: */*"]
    if media_type:
        lines.append(f"Content-Type: {media_type}")
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join([*lines, "", ""]).encode()
    return Request(head + (body or b""), has_body=method != "HEAD")


class Connection:
    """Keep-alive to one server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, *requests: Request) -> Sequence[Answer]:
        """Send all at once; the answers in their order."""
        self._writer.write(b"".join(request.data for request in requests))
        return [await self._answer(request) for request in requests]

    async def _answer(self, request: Request) -> Answer:
        head = await self._reader.readuntil(b"\r\n\r\n")
        answer = Answer(int(head[9:12]), head, b"")
        length = answer.field(b"content-length")
        if not request.has_body or not length:
            return answer
        return Answer(answer.status, head, await self._reader.readexactly(int(length)))


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    """A connection to the server at `url`."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
