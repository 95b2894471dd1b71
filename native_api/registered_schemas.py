"""JSON Schemas of variants (A8): registered, versioned, read, taken out of force."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from native_api import bodies, links, render
from native_api.exchange import Exchange
from native_api.resources import Nothing, VariantName

_LAST_VERSION: Final = 2**31 - 1


async def put(exchange: Exchange, name: VariantName) -> web.StreamResponse:
    limits = exchange.limits
    document = await bodies.read_json(
        exchange.request, limits.schema_body, limits.idle_timeout, lambda document: document
    )
    schema, created = await exchange.session.schemas.put(name.variant, document)
    return exchange.tagged_document(
        render.schema(schema),
        schema.digest,
        201 if created else 200,
        {"Location": links.schema(name.variant)},
    )


async def get(exchange: Exchange, name: VariantName) -> web.StreamResponse:
    version = exchange.query.integer("version", 1, _LAST_VERSION, 0) or None
    schema = await exchange.session.schemas.get(name.variant, version)
    return exchange.tagged_document(render.schema(schema), schema.digest)


async def delete(exchange: Exchange, name: VariantName) -> web.StreamResponse:
    await exchange.session.schemas.delete(name.variant)
    return exchange.empty(204)


async def list_all(exchange: Exchange, _name: Nothing) -> web.StreamResponse:
    query = exchange.query
    found = await exchange.session.schemas.list(after=query.after, limit=query.limit)
    return exchange.document(render.page_of(found, render.schema))
