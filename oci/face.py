"""The server's face of `/v2/`: parse, dispatch, and the border at which every error gets its wire form."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

from aiohttp import web

from oci import handlers_blobs, handlers_lists, handlers_manifests, handlers_uploads
from oci.call import Call, Limits
from oci.errors import envelope
from oci.parser import parse
from oci.request import (
    AppendUpload,
    CancelUpload,
    CheckVersion,
    CompleteUpload,
    DeleteBlob,
    DeleteManifest,
    GetBlob,
    GetManifest,
    GetUpload,
    ListReferrers,
    ListRepositories,
    ListTags,
    MountBlob,
    PutBlob,
    PutManifest,
    Request,
    StartUpload,
)
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.store import Session
from registry.http.body import answer_early

_logger = logging.getLogger(__name__)

Handler = Callable[[Call, Any], Awaitable[web.StreamResponse]]


async def check_version(call: Call, asked: CheckVersion) -> web.StreamResponse:
    """This is a registry (distribution-spec, "Determining Support")."""
    return call.json({})


#: One handler for each kind of request. A test asserts that none is missing.
HANDLERS: Mapping[type[Request], Handler] = MappingProxyType(
    {
        CheckVersion: check_version,
        GetBlob: handlers_blobs.get_blob,
        DeleteBlob: handlers_blobs.delete_blob,
        StartUpload: handlers_uploads.start_upload,
        PutBlob: handlers_uploads.put_blob,
        MountBlob: handlers_uploads.mount_blob,
        GetUpload: handlers_uploads.get_upload,
        AppendUpload: handlers_uploads.append_upload,
        CompleteUpload: handlers_uploads.complete_upload,
        CancelUpload: handlers_uploads.cancel_upload,
        GetManifest: handlers_manifests.get_manifest,
        PutManifest: handlers_manifests.put_manifest,
        DeleteManifest: handlers_manifests.delete_manifest,
        ListTags: handlers_lists.list_tags,
        ListReferrers: handlers_lists.list_referrers,
        ListRepositories: handlers_lists.list_repositories,
    }
)

_UPLOADING = (StartUpload, PutBlob, MountBlob, GetUpload, AppendUpload, CompleteUpload, CancelUpload)

_ABOUT_MANIFESTS = (GetManifest, PutManifest, DeleteManifest)


class Face:
    """`/v2` and everything below it."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()

    async def handle(self, request: web.BaseRequest, session: Session) -> web.StreamResponse:
        """Answer one request for the session's principal. Raises only for a client that is gone."""
        call = Call(request, session, self._limits)
        asked: Request | None = None
        try:
            url = request.rel_url
            asked = parse(request.method, url.raw_path, url.raw_query_string)
            return await HANDLERS[type(asked)](call, asked)
        except StoreError as error:
            return await self._refuse(call, asked, error)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:
            _logger.exception("%s %s failed", request.method, request.path)
            internal = StoreError(ErrorKind.INTERNAL, "the registry failed; its log says why")
            internal.__cause__ = error
            return await self._refuse(call, asked, internal)

    async def _refuse(self, call: Call, asked: Request | None, error: StoreError) -> web.StreamResponse:
        """The error's wire form, unless an answer is on its way already: then only the connection can end."""
        request = call.http
        if request.writer.output_size:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("failed after the answer had begun") from error
        status, headers, body = envelope(
            error, uploading=isinstance(asked, _UPLOADING), manifest=isinstance(asked, _ABOUT_MANIFESTS)
        )
        if isinstance(asked, AppendUpload | CompleteUpload) and "offset" in error.detail:
            headers += handlers_uploads.standing(asked, error.detail["offset"])
        return await answer_early(request, call.answer(status, headers, body))
