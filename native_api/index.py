"""The entry of the API: an index with links, and its description."""

from __future__ import annotations

from functools import lru_cache

from aiohttp import web

from native_api import openapi, render
from native_api.exchange import NO_CACHE, Exchange
from native_api.links import ROOT
from native_api.resources import Nothing
from native_api.table.operation import JSON
from registry.contract.digest import Algorithm, Digest
from registry.http.conditional import etag, not_modified
from registry.http.send import send_bytes

_INDEX = {
    "name": "artifact-store",
    "links": {
        "self": f"{ROOT}/",
        "openapi": f"{ROOT}/openapi.json",
        "packages": f"{ROOT}/packages",
        "uploads": f"{ROOT}/uploads",
        "schemas": f"{ROOT}/schemas",
        "search": f"{ROOT}/search",
        "events": f"{ROOT}/events",
        "usage": f"{ROOT}/usage",
        "followers": f"{ROOT}/followers",
        "oci": "/v2/",
    },
}


async def get_index(exchange: Exchange, _name: Nothing) -> web.StreamResponse:
    return exchange.document(_INDEX)


async def get_openapi(exchange: Exchange, _name: Nothing) -> web.StreamResponse:
    body, digest = _openapi()
    headers = {"Content-Type": JSON, "Cache-Control": NO_CACHE, "ETag": etag(digest)}
    if not_modified(exchange.request, digest):
        return send_bytes(exchange.request, 304, headers=headers)
    return send_bytes(exchange.request, 200, body, headers)


@lru_cache(maxsize=1)
def _openapi() -> tuple[bytes, Digest]:
    body = render.encode(openapi.document())
    return body, Digest.of(body, Algorithm.SHA256)
