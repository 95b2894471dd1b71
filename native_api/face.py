"""The native face: dispatch by the table, and the border at which every error becomes a problem."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from native_api import (
    archives,
    content,
    drafts,
    events,
    followers,
    index,
    packages,
    referrers,
    registered_schemas,
    render,
    uploads,
    usage,
)
from native_api.errors import PROBLEM_JSON, STATUS, internal, problem, problem_headers
from native_api.exchange import Exchange
from native_api.limits import Limits
from native_api.negotiate import choose
from native_api.query import read_query
from native_api.request import parse_path, parse_query
from native_api.resources import Target
from native_api.table import allowed, find
from native_api.table.operation import Operation
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.store import Session
from registry.http.body import answer_early
from registry.http.send import send_bytes

Handler = Callable[[Exchange, Any], Awaitable[web.StreamResponse]]

#: The handler of each operation. Its second argument is the kind of name that the resource's paths parse to.
HANDLERS: Mapping[str, Handler] = {
    "getIndex": index.get_index,
    "getOpenapi": index.get_openapi,
    "tusUploads": uploads.options,
    "createUpload": uploads.create,
    "tusUpload": uploads.options,
    "getUpload": uploads.get,
    "appendToUpload": uploads.append,
    "completeUpload": uploads.complete,
    "cancelUpload": uploads.cancel,
    "listPackages": packages.list_all,
    "listVersions": packages.list_versions,
    "putPackage": packages.put,
    "deletePackage": packages.delete,
    "getPackage": packages.get,
    "getPackageByDigest": packages.get,
    "getPackageFile": packages.get_file,
    "getPackageFileByDigest": packages.get_file,
    "getCanonicalManifest": packages.get_manifest,
    "getCanonicalManifestByDigest": packages.get_manifest,
    "listReferrers": referrers.list_referrers,
    "listReferrersByDigest": referrers.list_referrers,
    "getTar": archives.get_tar,
    "getTarByDigest": archives.get_tar,
    "getZip": archives.get_zip,
    "getZipByDigest": archives.get_zip,
    "putDraftFile": drafts.put_file,
    "getDraft": drafts.get,
    "deleteDraft": drafts.delete,
    "finalizeDraft": drafts.finalize,
    "getContent": content.get,
    "listLocations": content.list_locations,
    "restoreContent": content.restore,
    "listSchemas": registered_schemas.list_all,
    "putSchema": registered_schemas.put,
    "getSchema": registered_schemas.get,
    "deleteSchema": registered_schemas.delete,
    "search": packages.search,
    "listEvents": events.get,
    "getUsage": usage.get,
    "listFollowers": followers.list_all,
    "getFollower": followers.get,
    "forgetFollower": followers.forget,
    "listDeadLetters": followers.list_dead_letters,
    "redeliverDeadLetters": followers.redeliver,
    "skipEvent": followers.skip,
    "seekFollower": followers.seek,
    "stopFollower": followers.stop,
    "resumeFollower": followers.resume,
}

_logger = logging.getLogger(__name__)


class Face:
    """Answers requests under `/api/v1/`. One object serves all connections of a process."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()

    async def handle(self, request: web.BaseRequest, session: Session) -> web.StreamResponse:
        """Answer `request` as `session`'s principal may. Raises only for a client that is gone."""
        try:
            return await self._dispatch(request, session)
        except StoreError as error:
            if request.writer.output_size:
                raise _cut_off(request, error) from error
            return await answer_early(request, _refusal(request, error))
        except Exception as error:
            if request.transport is None or request.transport.is_closing():
                raise ConnectionResetError("the client is gone") from error
            if request.writer.output_size:
                raise _cut_off(request, error) from error
            _logger.exception("%s %s failed", request.method, request.path)
            return await answer_early(request, _refusal(request, internal()))

    def refuse(self, request: web.BaseRequest, error: StoreError) -> web.StreamResponse:
        """The problem that `error` is, for a server that refuses a request before there is a session."""
        return _refusal(request, error)

    async def _dispatch(self, request: web.BaseRequest, session: Session) -> web.StreamResponse:
        target = parse_path(request.raw_path)
        operation = _operation(request, target)
        query = read_query(parse_query(request.raw_path), operation)
        offered = operation.negotiated
        media_type = choose(request.headers.get("Accept"), offered) if offered else ""
        exchange = Exchange(request, session, query, self._limits, media_type)
        return await HANDLERS[operation.id](exchange, target.name)


def _operation(request: web.BaseRequest, target: Target) -> Operation:
    operation = find(target.resource, request.method)
    if operation is None:
        methods = allowed(target.resource)
        raise StoreError(
            ErrorKind.METHOD_NOT_ALLOWED, f"allowed here: {', '.join(methods)}", detail={"allow": methods}
        )
    return operation


def _refusal(request: web.BaseRequest, error: StoreError) -> web.StreamResponse:
    headers = {"Content-Type": PROBLEM_JSON, **problem_headers(error)}
    return send_bytes(request, STATUS[error.kind].status, render.encode(problem(error)), headers)


def _cut_off(request: web.BaseRequest, error: Exception) -> ConnectionResetError:
    """End the connection, since the answer has started; aiohttp takes the result for a client that left."""
    _logger.error("the answer to %s %s broke off", request.method, request.path, exc_info=error)
    if request.transport is not None:
        request.transport.abort()
    return ConnectionResetError("failed after the answer had begun")
