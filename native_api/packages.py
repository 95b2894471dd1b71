"""Packages: made of stored content or promoted, read whole or file by file, listed, searched, deleted."""

from __future__ import annotations

from aiohttp import web

from native_api import bodies, links, render
from native_api.exchange import IMMUTABLE, NO_CACHE, Exchange
from native_api.resources import FileName, Nothing, PackageName, RepositoryName
from registry.contract.digest import Digest
from registry.contract.model import PackageAccepted, Search
from registry.contract.names import Reference, parse_repository
from registry.http.conditional import precondition


async def put(exchange: Exchange, name: PackageName) -> web.StreamResponse:
    limits, packages = exchange.limits, exchange.session.packages
    condition = precondition(exchange.request)
    body = await bodies.read_json(
        exchange.request, limits.json_body, limits.idle_timeout, bodies.package_or_promotion
    )
    if isinstance(body, bodies.Promotion):
        accepted = await packages.promote(
            name.repository, name.version, body.repository, body.digest, condition
        )
    else:
        accepted = await packages.put(name.repository, name.version, body, condition)
    return made(exchange, name, accepted)


async def get(exchange: Exchange, name: PackageName) -> web.StreamResponse:
    package = await exchange.session.packages.get(name.repository, name.reference)
    return exchange.tagged_document(render.package(package, name.reference), package.manifest_digest)


async def get_file(exchange: Exchange, name: FileName) -> web.StreamResponse:
    package = name.package
    reading = await exchange.session.packages.file(package.repository, package.reference, name.path)
    headers = {"Content-Type": _content_type(reading.media_type), **_safe()}
    return await exchange.reading(reading, {**headers, "Cache-Control": _caching(package.reference)})


async def get_manifest(exchange: Exchange, name: PackageName) -> web.StreamResponse:
    reading = await exchange.session.packages.canonical(name.repository, name.reference)
    return await exchange.reading(
        reading, {"Content-Type": "application/cbor", "Cache-Control": _caching(name.reference)}
    )


async def delete(exchange: Exchange, name: PackageName) -> web.StreamResponse:
    await exchange.session.packages.delete(name.repository, name.version)
    return exchange.empty(202)


async def list_all(exchange: Exchange, _name: Nothing) -> web.StreamResponse:
    query = exchange.query
    found = await exchange.session.packages.list(after=query.after, limit=query.limit)
    return exchange.document(render.page_of(found, render.summary))


async def list_versions(exchange: Exchange, name: RepositoryName) -> web.StreamResponse:
    query = exchange.query
    found = await exchange.session.packages.versions(name.repository, after=query.after, limit=query.limit)
    return exchange.document(render.page_of(found, render.summary))


async def search(exchange: Exchange, _name: Nothing) -> web.StreamResponse:
    query = exchange.query
    repository = query.text("repository")
    wanted = Search(
        variant=query.variant("variant"),
        repository=parse_repository(repository) if repository is not None else None,
        created_after=query.time("created_after"),
        fields=query.fields,
    )
    found = await exchange.session.packages.search(wanted, after=query.after, limit=query.limit)
    return exchange.document(render.page_of(found, render.summary))


def made(exchange: Exchange, name: PackageName, accepted: PackageAccepted) -> web.StreamResponse:
    """Answer that the version is the package: 201, or 200 when it was already."""
    package = accepted.package
    return exchange.tagged_document(
        render.package(package, name.version),
        package.manifest_digest,
        201 if accepted.created else 200,
        {"Location": links.package(name.repository, name.version)},
    )


def _caching(reference: Reference) -> str:
    return IMMUTABLE if isinstance(reference, Digest) else NO_CACHE


def _content_type(declared: str) -> str:
    """A layer that came over `/v2/` declares what its producer wrote, and not all of that can be a header."""
    fits = declared.isascii() and declared.isprintable() and "/" in declared
    return declared if fits else "application/octet-stream"


def _safe() -> dict[str, str]:
    """A file is what its producer says it is: no browser shall guess further, or run it as this origin."""
    return {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
