"""Content by its address: the bytes, where they are, and bringing them back."""

from __future__ import annotations

from aiohttp import web

from native_api import links, render
from native_api.exchange import IMMUTABLE, Exchange
from native_api.resources import ContentName


async def get(exchange: Exchange, name: ContentName) -> web.StreamResponse:
    reading = await exchange.session.contents.get(name.address)
    headers = {
        "Content-Type": "application/octet-stream",
        "Cache-Control": IMMUTABLE,
        "X-Content-Type-Options": "nosniff",
    }
    return await exchange.reading(reading, headers)


async def list_locations(exchange: Exchange, name: ContentName) -> web.StreamResponse:
    locations = await exchange.session.contents.locations(name.address)
    return exchange.document(render.page(map(render.location, locations), None))


async def restore(exchange: Exchange, name: ContentName) -> web.StreamResponse:
    status = await exchange.session.contents.restore(name.address)
    headers = {"Location": f"{links.content(name.address)}/locations"}
    return exchange.document(render.restore(name.address, status), 202, headers)
