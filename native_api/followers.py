"""Followers of the ledger: how they fare, their dead letters, and what is done about them."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from native_api import bodies, render
from native_api.exchange import Exchange
from native_api.resources import FollowerName, Nothing

_LAST_SEQUENCE: Final = 2**53 - 1


async def list_all(exchange: Exchange, _name: Nothing) -> web.StreamResponse:
    found = await exchange.session.followers.list()
    return exchange.document(render.page(map(render.follower, found), None))


async def get(exchange: Exchange, name: FollowerName) -> web.StreamResponse:
    return await _answer(exchange, name)


async def forget(exchange: Exchange, name: FollowerName) -> web.StreamResponse:
    await exchange.session.followers.forget(name.name)
    return exchange.empty(204)


async def list_dead_letters(exchange: Exchange, name: FollowerName) -> web.StreamResponse:
    query = exchange.query
    after = query.integer("after", 0, _LAST_SEQUENCE, 0)
    found = await exchange.session.followers.dead_letters(name.name, after=after, limit=query.limit)
    return exchange.document(render.page_of(found, render.dead_letter))


async def redeliver(exchange: Exchange, name: FollowerName) -> web.StreamResponse:
    limits = exchange.limits
    wanted = await bodies.read_json(
        exchange.request, limits.small_body, limits.idle_timeout, bodies.redelivery, bodies.Redelivery()
    )
    await exchange.session.followers.redeliver(name.name, wanted.seqs)
    return await _answer(exchange, name, 202)


async def skip(exchange: Exchange, name: FollowerName) -> web.StreamResponse:
    await exchange.session.followers.skip(name.name)
    return await _answer(exchange, name)


async def seek(exchange: Exchange, name: FollowerName) -> web.StreamResponse:
    limits = exchange.limits
    after = await bodies.read_json(exchange.request, limits.small_body, limits.idle_timeout, bodies.seek)
    await exchange.session.followers.seek(name.name, after)
    return await _answer(exchange, name)


async def stop(exchange: Exchange, name: FollowerName) -> web.StreamResponse:
    await exchange.session.followers.stop(name.name)
    return await _answer(exchange, name)


async def resume(exchange: Exchange, name: FollowerName) -> web.StreamResponse:
    await exchange.session.followers.resume(name.name)
    return await _answer(exchange, name)


async def _answer(exchange: Exchange, name: FollowerName, status: int = 200) -> web.StreamResponse:
    return exchange.document(render.follower(await exchange.session.followers.get(name.name)), status)
