"""Uploads: whole, chunked, streamed, mounted (distribution-spec, "Pushing blobs", "Mounting a blob")."""

from __future__ import annotations

from aiohttp import web

from oci.call import Call
from oci.request import (
    AppendUpload,
    CancelUpload,
    CompleteUpload,
    GetBlob,
    GetUpload,
    MountBlob,
    PutBlob,
    StartUpload,
    UploadRequest,
    target_of,
)
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.model import Upload
from registry.contract.names import Repository
from registry.contract.store import LastBody
from registry.http.body import content_length
from registry.http.ranges import parse_content_range


async def start_upload(call: Call, asked: StartUpload) -> web.StreamResponse:
    """A new session."""
    upload = await call.session.uploads.create(asked.repository, announced=asked.algorithm)
    return call.answer(202, _standing(asked.repository, upload))


async def put_blob(call: Call, asked: PutBlob) -> web.StreamResponse:
    """The whole blob in the POST. A body of length 0 is a blob of length 0, not a question."""
    length = content_length(call.http)
    await call.session.uploads.put(asked.repository, asked.digest, call.body(), length=length)
    return _created(call, asked.repository, asked.digest)


async def mount_blob(call: Call, asked: MountBlob) -> web.StreamResponse:
    """Take the blob from elsewhere in the store; where that cannot be, begin an upload."""
    if await call.session.blobs.mount(asked.repository, asked.digest, asked.source):
        return _created(call, asked.repository, asked.digest)
    return await start_upload(call, StartUpload(asked.repository, asked.algorithm))


async def get_upload(call: Call, asked: GetUpload) -> web.StreamResponse:
    """Where the session stands."""
    upload = await call.session.uploads.get(asked.repository, asked.upload)
    return call.answer(204, _standing(asked.repository, upload))


async def append_upload(call: Call, asked: AppendUpload) -> web.StreamResponse:
    """A chunk, or all of it as a stream."""
    offset, length = _extent(call)
    upload = await call.session.uploads.append(
        asked.repository, asked.upload, call.body(), offset=offset, length=length
    )
    return call.answer(202, _standing(asked.repository, upload))


async def complete_upload(call: Call, asked: CompleteUpload) -> web.StreamResponse:
    """The last chunk, if there is one, then the blob."""
    last = None
    if content_length(call.http) != 0:
        offset, length = _extent(call)
        last = LastBody(call.body(), offset, length)
    await call.session.uploads.complete(asked.repository, asked.upload, asked.digest, last)
    return _created(call, asked.repository, asked.digest)


async def cancel_upload(call: Call, asked: CancelUpload) -> web.StreamResponse:
    """The session and its bytes go."""
    await call.session.uploads.cancel(asked.repository, asked.upload)
    return call.answer(204)


def standing(asked: UploadRequest, offset: int) -> list[tuple[str, str]]:
    """Where to go on. `Range` ends with the last byte held; empty, it is 0-0, for `0--1` breaks clients."""
    return [
        ("Location", target_of(GetUpload(asked.repository, asked.upload))),
        ("Range", f"0-{max(0, offset - 1)}"),
        ("Docker-Upload-UUID", asked.upload),
    ]


def _standing(repository: Repository, upload: Upload) -> list[tuple[str, str]]:
    return standing(GetUpload(repository, upload.id), upload.offset)


def _extent(call: Call) -> tuple[int | None, int | None]:
    """Where the body goes and how long it is, as far as the request says."""
    length = content_length(call.http)
    header = call.header("Content-Range")
    if header is None:
        return None, length
    chunk = parse_content_range(header)
    if length is not None and length != chunk.length:
        raise StoreError(
            ErrorKind.BAD_REQUEST,
            f"Content-Range names {chunk.length} bytes, but the body has {length}",
        )
    return chunk.start, chunk.length


def _created(call: Call, repository: Repository, digest: Digest) -> web.StreamResponse:
    headers = (
        ("Location", target_of(GetBlob(repository, digest))),
        ("Docker-Content-Digest", str(digest)),
    )
    return call.answer(201, headers)
