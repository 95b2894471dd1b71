"""A response whose head is bytes from the start, sent with its body in one write.

It goes round `StreamResponse.prepare`, which costs more than all else in a small read, and so answers itself
for what that does: HEAD, keep-alive, `Connection: close`, HTTP/1.0, `Date`. Values are sent exactly as given.
Headers set on the object after it was made do not reach the wire.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from aiohttp import HttpVersion10, web
from aiohttp.abc import AbstractStreamWriter

#: Header lines in order; a sequence where a name may repeat.
Headers = Mapping[str, str] | Sequence[tuple[str, str]]

#: Header lines that the server wants in every answer to this request, as bytes, each with its CRLF.
HEAD_LINES = web.RequestKey("registry.http.head_lines", bytes)

#: Up to here, head and body are joined into one write; beyond, the copy costs more than the second write.
_JOIN_LIMIT = 64 * 1024

_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NO_LENGTH = (204, 304)
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}


def header_lines(headers: Headers) -> Iterable[tuple[str, str]]:
    """`headers` as pairs."""
    return headers.items() if isinstance(headers, Mapping) else headers


class WireResponse(web.StreamResponse):
    """Status, header lines and a whole body, ready to send.

    `length` is the Content-Length to announce when it is not the body's: for HEAD. A status without content
    (204, 304) announces none. Raises ValueError for control characters in a header.
    """

    def __init__(
        self, status: int, headers: Headers = (), body: bytes = b"", *, length: int | None = None
    ) -> None:
        lines = [_STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n"]
        lines += [f"{name}: {value}\r\n" for name, value in header_lines(headers)]
        if status not in _NO_LENGTH:
            lines.append(f"Content-Length: {len(body) if length is None else length}\r\n")
        head = "".join(lines)
        if _FORBIDDEN.search(head.replace("\r\n", "")) or head.count("\n") != len(lines):
            raise ValueError("a header value holds a control character")
        super().__init__(status=status)
        self._head = head.encode("utf-8", "surrogateescape")
        self._content = body
        self._body_length = len(body)  # known before it is sent, for metrics

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send everything. aiohttp calls this once the handler has returned; a handler may do it itself."""
        if self._eof_sent:
            return None
        head = self.begin(request)
        body = self._content
        writer = request.writer
        if not body or request.method == "HEAD":
            await writer.write_eof(head)
        elif len(body) <= _JOIN_LIMIT:
            await writer.write_eof(head + body)
        else:
            await writer.write(head)
            await writer.write_eof(body)
        self._body_length = writer.output_size
        return None

    def begin(self, request: web.BaseRequest) -> bytes:
        """The head for a caller that sends it, and the body, itself. The response counts as sent."""
        keep_alive = self._keep_alive
        if keep_alive is None:
            keep_alive = self._keep_alive = request.keep_alive
        self._eof_sent = True
        extra: bytes = request.get(HEAD_LINES, b"")
        head = self._head + extra + _date_line(int(time.time()))
        if not keep_alive:
            return head + b"Connection: close\r\n\r\n"
        if request.version == HttpVersion10:
            return head + b"Connection: keep-alive\r\n\r\n"
        return head + b"\r\n"

    def sent(self, body_length: int) -> None:
        """Record how many bytes went out, for the access log."""
        self._body_length = body_length

    async def write(self, data: Any) -> None:
        raise RuntimeError("the body of this response was given whole")

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to do."""


@lru_cache(maxsize=1)
def _date_line(second: int) -> bytes:
    return f"Date: {formatdate(second, usegmt=True)}\r\n".encode("ascii")
