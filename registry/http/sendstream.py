"""A body in pieces, for what is not a plain file on a plain socket: chunked or sealed content, TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from aiohttp import web

from registry.http.response import WireResponse


async def send_stream(
    request: web.BaseRequest,
    response: WireResponse,
    pieces: AsyncIterator[bytes],
    length: int,
    *,
    stall_timeout: float,
) -> None:
    """Send the head of `response`, then `pieces`, which are `length` bytes in all.

    The first piece is read before the head goes out, so that its errors can still be answered. Raises what
    `pieces` raises, ConnectionError when the client is gone, TimeoutError when it takes nothing for
    `stall_timeout` seconds, EOFError when `pieces` are more or fewer bytes than promised.
    """
    try:
        piece = await anext(pieces, b"")
        writer = request.writer
        await writer.write(response.begin(request))
        left = length
        while piece:
            left -= len(piece)
            if left < 0:
                raise EOFError("the stored content is longer than its record says")
            async with asyncio.timeout(stall_timeout):
                await writer.write(piece)
            piece = await anext(pieces, b"")
        if left:
            raise EOFError("the stored content is shorter than its record says")
        async with asyncio.timeout(stall_timeout):
            await writer.write_eof()
    finally:
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()  # now, not when the collector finds it: it may hold a file
