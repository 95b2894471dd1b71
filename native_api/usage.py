"""How many bytes the store holds, as a whole and by repository."""

from __future__ import annotations

from aiohttp import web

from native_api import render
from native_api.exchange import Exchange
from native_api.resources import Nothing


async def get(exchange: Exchange, _name: Nothing) -> web.StreamResponse:
    query = exchange.query
    usage = await exchange.session.usage(after=query.after, limit=query.limit)
    return exchange.document(render.usage(usage))
