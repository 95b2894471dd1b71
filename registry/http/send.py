"""Answers with bytes: small ones in one write, files by sendfile, everything else as a stream."""

from __future__ import annotations

import logging
import os

from aiohttp import web

from registry.contract.dataplane import OpenFile
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.model import Reading
from registry.http.conditional import etag, not_modified, range_applies
from registry.http.ranges import ByteRange, parse_range
from registry.http.response import Headers, WireResponse, header_lines
from registry.http.sendfile import FileRegion, send_file, socket_of
from registry.http.sendstream import send_stream

#: Seconds without progress after which a client that reads nothing is cut off.
STALL_TIMEOUT = 60.0

#: Readings up to this size leave as one write together with their head.
SMALL = 64 * 1024

_logger = logging.getLogger(__name__)


def send_bytes(
    request: web.BaseRequest, status: int, body: bytes = b"", headers: Headers = ()
) -> web.StreamResponse:
    """A response with a whole body. `headers` are sent exactly as given, with Content-Length and Date.

    For HEAD the head is that of GET and the body stays here. The handler returns the result.
    """
    if request.method == "HEAD":
        return WireResponse(status, headers, length=len(body))
    return WireResponse(status, headers, body)


async def send_reading(
    request: web.BaseRequest,
    reading: Reading,
    headers: Headers = (),
    *,
    stall_timeout: float = STALL_TIMEOUT,
) -> web.StreamResponse:
    """Answer GET or HEAD with `reading`: 200, 206 for a single range, or 304 (RFC 9110 sections 13 and 14).

    A location that was told to has the answer 307, to where the bytes are (decision 13).

    `headers` gain ETag, Accept-Ranges, Content-Length and Content-Range. Before the first byte StoreError may
    be raised: RANGE_UNSATISFIABLE, and what the reading raises. After it an error aborts the connection.
    """
    lines = [*header_lines(headers), ("ETag", etag(reading.digest)), ("Accept-Ranges", "bytes")]
    if not_modified(request, reading.digest):
        return WireResponse(304, lines)
    if request.method == "HEAD":
        return WireResponse(200, lines, length=reading.size)
    if reading.size > SMALL and (link := await reading.link()) is not None:
        # The method and a Range stay; the link ends soon, so nobody may keep it.
        return WireResponse(307, [*header_lines(headers), ("Location", link), ("Cache-Control", "no-store")])
    part = _part(request, reading)
    if part is None:
        part, status = ByteRange(0, reading.size), 200
    else:
        lines.append(("Content-Range", f"bytes {part.start}-{part.last}/{reading.size}"))
        status = 206
    if part.length <= SMALL:
        return WireResponse(status, lines, await _small(reading, part))
    response = WireResponse(status, lines, length=part.length)
    try:
        await _large(request, response, reading, part, stall_timeout)
    except (OSError, EOFError, StoreError) as error:
        if not response.prepared:
            raise
        _cut_off(request, error)
    response.sent(part.length)
    return response


def _part(request: web.BaseRequest, reading: Reading) -> ByteRange | None:
    header = request.headers.get("Range")
    if header is None or not range_applies(request, reading.digest):
        return None
    return parse_range(header, reading.size)


async def _small(reading: Reading, part: ByteRange) -> bytes:
    """A few pages, most often cached: handing them to a thread would cost more than reading them here."""
    if not part.length:
        return b""
    file = await reading.open_file()
    if file is None:
        data = b"".join([piece async for piece in reading.stream(part.start, part.length)])
    else:
        try:
            data = os.pread(file.fd, part.length, part.start)
        finally:
            file.close()
    if len(data) != part.length:
        raise StoreError(ErrorKind.INTERNAL, "the stored content is shorter than its record says")
    return data


async def _large(
    request: web.BaseRequest,
    response: WireResponse,
    reading: Reading,
    part: ByteRange,
    stall_timeout: float,
) -> None:
    sock = socket_of(request)
    if sock is not None:
        with sock:
            file: OpenFile | None = await reading.open_file()
            if file is not None:
                try:
                    region = FileRegion(file.fd, part.start, part.length)
                    head = response.begin(request)
                    await send_file(request, sock, head, region, stall_timeout=stall_timeout)
                finally:
                    file.close()
                return
    pieces = reading.stream(part.start, part.length)
    await send_stream(request, response, pieces, part.length, stall_timeout=stall_timeout)


def _cut_off(request: web.BaseRequest, error: Exception) -> None:
    """End the connection: a response that has started can no longer become an error."""
    if isinstance(error, ConnectionError | TimeoutError):
        _logger.debug("download of %s broke off: %s", request.path, error)
    else:
        _logger.error("download of %s broke off", request.path, exc_info=error)
    if request.transport is not None:
        request.transport.abort()
