"""Resumable uploads (A6): plain clients name ranges and complete; tus clients end with the last byte."""

from __future__ import annotations

from aiohttp import web

from native_api import bodies, links, render, tus
from native_api.exchange import Exchange
from native_api.resources import Nothing, UploadName
from native_api.table.operation import TUS_OCTETS
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.model import Upload
from registry.http.body import content_length
from registry.http.ranges import parse_content_range


async def options(exchange: Exchange, _name: Nothing | UploadName) -> web.StreamResponse:
    return exchange.empty(204, tus.capabilities(exchange.limits.upload_size))


async def create(exchange: Exchange, _name: Nothing) -> web.StreamResponse:
    request = exchange.request
    if tus.speaks(request):
        return await _create_tus(exchange)
    limits = exchange.limits
    wanted = await bodies.read_json(
        request, limits.small_body, limits.idle_timeout, bodies.new_upload, bodies.NewUpload()
    )
    upload = await _open(exchange, wanted)
    return exchange.document(render.upload(upload), 201, _located(upload))


async def get(exchange: Exchange, name: UploadName) -> web.StreamResponse:
    tus.speaks(exchange.request)
    upload = await exchange.session.uploads.get(None, name.id)
    return exchange.document(render.upload(upload), 200, tus.describe(upload))


async def append(exchange: Exchange, name: UploadName) -> web.StreamResponse:
    request = exchange.request
    by_tus = tus.speaks(request)
    if by_tus and bodies.media_type_of(request) != TUS_OCTETS:
        raise StoreError(ErrorKind.UNSUPPORTED_MEDIA_TYPE, f"tus sends bytes as Content-Type: {TUS_OCTETS}")
    offset, length = _place(request)
    upload = await exchange.session.uploads.append(
        None, name.id, exchange.body(), offset=offset, length=length
    )
    if by_tus:
        upload = await _finish(exchange, upload)
    return exchange.empty(204, tus.describe(upload))


async def complete(exchange: Exchange, name: UploadName) -> web.StreamResponse:
    limits = exchange.limits
    body = await bodies.read_json(
        exchange.request,
        limits.small_body,
        limits.idle_timeout,
        bodies.complete_upload,
        bodies.CompleteUpload(),
    )
    content = await exchange.session.uploads.complete(None, name.id, body.digest)
    return exchange.document(render.content(content), 201, {"Location": links.content(content.blake3)})


async def cancel(exchange: Exchange, name: UploadName) -> web.StreamResponse:
    by_tus = tus.speaks(exchange.request)
    await exchange.session.uploads.cancel(None, name.id)
    return exchange.empty(204, {"Tus-Resumable": tus.VERSION} if by_tus else None)


async def _create_tus(exchange: Exchange) -> web.StreamResponse:
    creation = tus.read_creation(exchange.request)
    upload = await _open(exchange, creation.upload)
    if creation.with_bytes:
        length = content_length(exchange.request)
        upload = await exchange.session.uploads.append(
            None, upload.id, exchange.body(), offset=0, length=length
        )
    upload = await _finish(exchange, upload)
    return exchange.document(render.upload(upload), 201, _located(upload))


async def _open(exchange: Exchange, wanted: bodies.NewUpload) -> Upload:
    largest = exchange.limits.upload_size
    if largest is not None and wanted.size is not None and wanted.size > largest:
        raise StoreError(ErrorKind.TOO_LARGE, f"an upload has at most {largest} bytes")
    return await exchange.session.uploads.create(wanted.repository, size=wanted.size, expected=wanted.digest)


async def _finish(exchange: Exchange, upload: Upload) -> Upload:
    """A tus upload commits at its last byte (decision 25)."""
    if upload.size is None or upload.offset < upload.size:
        return upload
    await exchange.session.uploads.complete(None, upload.id)
    return await exchange.session.uploads.get(None, upload.id)


def _located(upload: Upload) -> dict[str, str]:
    return {"Location": links.upload(upload.id), **tus.describe(upload)}


def _place(request: web.BaseRequest) -> tuple[int, int | None]:
    """Where the body belongs and how long it is: by Upload-Offset, Content-Range or both."""
    length = content_length(request)
    offset = tus.number(request, "Upload-Offset")
    header = request.headers.get("Content-Range")
    if header is None:
        if offset is None:
            raise StoreError(
                ErrorKind.BAD_REQUEST,
                "say where the bytes belong: Upload-Offset: A or Content-Range: bytes A-B/*",
            )
        return offset, length
    content_range = parse_content_range(header)
    if offset not in (None, content_range.start):
        raise StoreError(ErrorKind.BAD_REQUEST, "Upload-Offset and Content-Range name different offsets")
    if length not in (None, content_range.length):
        raise StoreError(
            ErrorKind.BAD_REQUEST, f"Content-Range names {content_range.length} bytes, not {length}"
        )
    return content_range.start, content_range.length
