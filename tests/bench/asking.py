"""One connection of a plain HTTP client: as little work as possible beside the server's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Names of `fields` are in lower case."""

    status: int
    fields: Mapping[str, str]
    body: bytes


class Connection:
    """Requests one after the other on one connection, which is opened with the block."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    async def ask(
        self, method: str, target: str, body: bytes | None = None, media_type: str = "", *, expect: int = 200
    ) -> Answer:
        """Raises ConnectionError when the answer is another than expected."""
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Accept: */*"]
        if media_type:
            lines.append(f"Content-Type: {media_type}")
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + (body or b""))
        answer = await self._answer(method)
        if answer.status != expect:
            raise ConnectionError(
                f"{method} {target} was answered with {answer.status}: {answer.body[:500]!r}"
            )
        return answer

    async def _answer(self, method: str) -> Answer:
        head = await self._reader.readuntil(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        length = 0 if method == "HEAD" else int(fields.get("content-length", 0))
        body = await self._reader.readexactly(length)
        return Answer(int(status.split(" ", 2)[1]), fields, body)
