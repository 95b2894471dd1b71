"""A body whose length is not known beforehand: chunked, and cut off when its reader stalls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping

from aiohttp import web

_logger = logging.getLogger(__name__)


async def send_pieces(
    request: web.BaseRequest,
    pieces: AsyncGenerator[bytes, None],
    headers: Mapping[str, str],
    *,
    stall_timeout: float,
) -> web.StreamResponse:
    """Answer 200 with `pieces`; for HEAD with their head alone.

    The first piece is made before the head goes out, so that its StoreError can still be answered. Raises
    what `pieces` raises; a reader that is gone or takes nothing for `stall_timeout` seconds is cut off.
    """
    try:
        piece = await anext(pieces, b"")
        response = web.StreamResponse(status=200, headers=headers)
        while await _sent(request, response, piece, stall_timeout) and piece:
            piece = await anext(pieces, b"")
        return response
    finally:
        await pieces.aclose()  # now, not when the collector finds it: it may hold a file


async def _sent(
    request: web.BaseRequest, response: web.StreamResponse, piece: bytes, stall_timeout: float
) -> bool:
    """Send `piece`, the end when it is empty. False when nothing more need be sent."""
    try:
        async with asyncio.timeout(stall_timeout):
            if not response.prepared:
                await response.prepare(request)
            if not piece or request.method == "HEAD":
                await response.write_eof()
                return False
            await response.write(piece)
    except (ConnectionError, TimeoutError) as error:
        _logger.debug("a streamed answer broke off: %s", error)
        if request.transport is not None:
            request.transport.abort()
        return False
    return True
