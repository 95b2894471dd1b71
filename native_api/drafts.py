"""Drafts (decision 26): files streamed one by one into a version in the making, then finalised."""

from __future__ import annotations

from aiohttp import web

from native_api import bodies, links, packages, render
from native_api.exchange import Exchange
from native_api.resources import FileName, PackageName
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.model import NewPackage
from registry.http.body import content_length

_DEFAULT_TYPE = "application/octet-stream"

#: What curl's --data and --data-binary declare whatever the file is, so it says nothing about the file.
_SAYS_NOTHING = "application/x-www-form-urlencoded"

#: curl's --form: the file would be kept with the form around it.
_FORM = "multipart/form-data"


async def put_file(exchange: Exchange, name: FileName) -> web.StreamResponse:
    repository, version = name.package.repository, name.package.version
    media_type = _media_type(exchange.request)
    draft = await exchange.session.drafts.put_file(
        repository,
        version,
        name.path,
        media_type,
        exchange.body(),
        length=content_length(exchange.request),
    )
    location = links.package_part(repository, version, "draft")
    return exchange.document(render.draft_file(draft), 201, {"Location": location})


async def get(exchange: Exchange, name: PackageName) -> web.StreamResponse:
    draft = await exchange.session.drafts.get(name.repository, name.version)
    return exchange.document(render.draft(draft))


async def delete(exchange: Exchange, name: PackageName) -> web.StreamResponse:
    await exchange.session.drafts.delete(name.repository, name.version)
    return exchange.empty(204)


async def finalize(exchange: Exchange, name: PackageName) -> web.StreamResponse:
    limits = exchange.limits
    package = await bodies.read_json(
        exchange.request, limits.json_body, limits.idle_timeout, bodies.finished_package, NewPackage()
    )
    accepted = await exchange.session.drafts.finalize(name.repository, name.version, package)
    return packages.made(exchange, name, accepted)


def _media_type(request: web.BaseRequest) -> str:
    """The file's media type by the request's head. Raises StoreError UNSUPPORTED_MEDIA_TYPE for a form."""
    declared = bodies.media_type_of(request)
    if declared == _FORM:
        raise StoreError(
            ErrorKind.UNSUPPORTED_MEDIA_TYPE, "send the file itself as the body (curl -T FILE), not a form"
        )
    return _DEFAULT_TYPE if declared in (None, _SAYS_NOTHING) else declared
