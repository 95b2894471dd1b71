"""The ledger as pages, or live as server-sent events (HTML standard, section 9.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from aiohttp import web

from native_api import render
from native_api.exchange import Exchange
from native_api.query import read_sequence
from native_api.resources import Nothing
from native_api.streaming import send_pieces
from native_api.table.operation import EVENT_STREAM
from registry.contract.model import LedgerEvent

_LAST_SEQUENCE = 2**53 - 1
_HEARTBEAT = b": still here\n\n"


async def get(exchange: Exchange, _name: Nothing) -> web.StreamResponse:
    if exchange.media_type == EVENT_STREAM:
        return await _follow(exchange)
    query = exchange.query
    found = await exchange.session.ledger.page(after=_after(exchange), limit=query.limit)
    return exchange.document(render.page_of(found, render.event))


async def _follow(exchange: Exchange) -> web.StreamResponse:
    last = exchange.request.headers.get("Last-Event-ID")
    after = read_sequence(last) if last else _after(exchange)
    headers = {
        "Content-Type": EVENT_STREAM,
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",  # nginx would hold events back
    }
    limits = exchange.limits
    pieces = _pieces(exchange.session.ledger.follow(after=after), limits.heartbeat)
    return await send_pieces(exchange.request, pieces, headers, stall_timeout=limits.stall_timeout)


def _after(exchange: Exchange) -> int:
    return exchange.query.integer("after", 0, _LAST_SEQUENCE, 0)


async def _pieces(entries: AsyncIterator[LedgerEvent], heartbeat: float) -> AsyncGenerator[bytes, None]:
    """Frames as entries commit, and a comment whenever none came for `heartbeat` seconds.

    The comments also find out that a silent reader is gone: nothing else is ever written to it.
    """
    following = asyncio.ensure_future(_next(entries))
    try:
        yield b"retry: 1000\n\n"
        while True:
            await asyncio.wait((following,), timeout=heartbeat)
            if not following.done():
                yield _HEARTBEAT
                continue
            entry = following.result()
            if entry is None:
                return
            yield _frame(entry)
            following = asyncio.ensure_future(_next(entries))
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        if isinstance(entries, AsyncGenerator):
            await entries.aclose()


async def _next(entries: AsyncIterator[LedgerEvent]) -> LedgerEvent | None:
    return await anext(entries, None)


def _frame(entry: LedgerEvent) -> bytes:
    """JSON has no line breaks of its own, so one `data` line holds it."""
    head = f"id: {entry.seq}\nevent: {entry.kind}\ndata: ".encode()
    return head + render.encode(render.event(entry)) + b"\n"
