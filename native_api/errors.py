"""Every `ErrorKind` as an RFC 9457 problem: one total table from kind to status and title."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry.contract.errors import ErrorKind, StoreError

PROBLEM_JSON = "application/problem+json"

#: Where a problem's `type` points: the entry of its kind in the OpenAPI document of the same server.
_TYPE = "/api/v1/openapi.json#/components/x-problems/"


@dataclass(frozen=True, slots=True)
class Mapped:
    """How one kind looks on the wire. `title` never changes for a kind (RFC 9457 section 3.1.3)."""

    status: int
    title: str


STATUS: Mapping[ErrorKind, Mapped] = {
    ErrorKind.BAD_REQUEST: Mapped(400, "The request is malformed"),
    ErrorKind.NAME_INVALID: Mapped(400, "The repository name is not valid"),
    ErrorKind.REFERENCE_INVALID: Mapped(400, "The version is not valid"),
    ErrorKind.DIGEST_INVALID: Mapped(400, "The digest is not valid"),
    ErrorKind.DIGEST_MISMATCH: Mapped(422, "The content has another digest"),
    ErrorKind.MANIFEST_INVALID: Mapped(422, "The manifest is not valid"),
    ErrorKind.MANIFEST_CHILD_UNKNOWN: Mapped(422, "The manifest names content that is not here"),
    ErrorKind.VALIDATION_FAILED: Mapped(422, "The document does not validate"),
    ErrorKind.UNSUPPORTED_MEDIA_TYPE: Mapped(415, "The body is of an unsupported type"),
    ErrorKind.NOT_ACCEPTABLE: Mapped(406, "No representation is acceptable"),
    ErrorKind.TOO_LARGE: Mapped(413, "The body is too large"),
    ErrorKind.PACKAGE_TOO_LARGE: Mapped(422, "The package is too large"),
    ErrorKind.RANGE_UNSATISFIABLE: Mapped(416, "The range lies outside the content"),
    ErrorKind.METHOD_NOT_ALLOWED: Mapped(405, "The method is not allowed here"),
    ErrorKind.ROUTE_UNKNOWN: Mapped(404, "There is no such resource"),
    ErrorKind.REPOSITORY_UNKNOWN: Mapped(404, "The repository is not known"),
    ErrorKind.BLOB_UNKNOWN: Mapped(404, "The blob is not known"),
    ErrorKind.MANIFEST_UNKNOWN: Mapped(404, "The manifest is not known"),
    ErrorKind.UPLOAD_UNKNOWN: Mapped(404, "The upload is not known"),
    ErrorKind.PACKAGE_UNKNOWN: Mapped(404, "The package is not known"),
    ErrorKind.FILE_UNKNOWN: Mapped(404, "The package has no such file"),
    ErrorKind.DRAFT_UNKNOWN: Mapped(404, "The draft is not known"),
    ErrorKind.SCHEMA_UNKNOWN: Mapped(404, "The schema is not known"),
    ErrorKind.CONTENT_UNKNOWN: Mapped(404, "The content is not known"),
    ErrorKind.FOLLOWER_UNKNOWN: Mapped(404, "The follower is not known"),
    ErrorKind.ERASED: Mapped(410, "The content was erased"),
    ErrorKind.RESTORE_REQUIRED: Mapped(409, "The content must be restored first"),
    ErrorKind.OFFSET_MISMATCH: Mapped(409, "The upload stands at another offset"),
    ErrorKind.UPLOAD_INCOMPLETE: Mapped(409, "The upload is not complete"),
    ErrorKind.UPLOAD_BUSY: Mapped(423, "Another request holds the upload"),
    ErrorKind.UPLOAD_ABORTED: Mapped(400, "The body broke off"),
    ErrorKind.CONFLICT: Mapped(409, "The request conflicts with what is here"),
    ErrorKind.PRECONDITION_FAILED: Mapped(412, "A precondition does not hold"),
    ErrorKind.IN_USE: Mapped(409, "Something still uses it"),
    ErrorKind.HELD: Mapped(409, "A hold protects it"),
    ErrorKind.UNAUTHENTICATED: Mapped(401, "Authentication is needed"),
    ErrorKind.DENIED: Mapped(403, "This is not allowed"),
    ErrorKind.TOO_MANY_REQUESTS: Mapped(429, "Too many requests"),
    ErrorKind.STORAGE_FULL: Mapped(507, "The storage is full"),
    ErrorKind.UNAVAILABLE: Mapped(503, "The store is not available at the moment"),
    ErrorKind.INTERNAL: Mapped(500, "The server failed"),
}

#: Members of a problem that come from `StoreError.detail`; everything else in it stays inside.
_EXTENSIONS = ("offset", "size", "used_by")


def problem_type(kind: ErrorKind) -> str:
    """The `type` of a kind's problems."""
    return _TYPE + kind.value


def problem(error: StoreError) -> dict[str, Any]:
    """The problem document of `error` (RFC 9457 section 3)."""
    mapped = STATUS[error.kind]
    document: dict[str, Any] = {
        "type": problem_type(error.kind),
        "title": mapped.title,
        "status": mapped.status,
        "detail": error.message,
        "kind": error.kind.value,
        "errors": [{"path": fault.path, "message": fault.message} for fault in error.errors],
    }
    document.update({name: error.detail[name] for name in _EXTENSIONS if error.detail.get(name) is not None})
    return document


def problem_headers(error: StoreError) -> dict[str, str]:
    """The header fields that belong to `error`, by the RFC that asks for each."""
    detail = error.detail
    headers = {"Cache-Control": "no-store"}
    if error.kind is ErrorKind.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(detail.get("allow", ()))
    elif error.kind is ErrorKind.RANGE_UNSATISFIABLE and "size" in detail:
        headers["Content-Range"] = f"bytes */{detail['size']}"
    elif error.kind is ErrorKind.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = str(detail.get("challenge", 'Basic realm="artifact-store"'))
    if "tus_version" in detail:
        headers["Tus-Version"] = str(detail["tus_version"])
    if "offset" in detail:
        headers["Upload-Offset"] = str(detail["offset"])
    if "retry_after" in detail:
        headers["Retry-After"] = str(detail["retry_after"])
    return headers


def internal() -> StoreError:
    """What a caller learns of an unforeseen exception: that it is in the server's log."""
    return StoreError(ErrorKind.INTERNAL, "the server failed on this request; its log has the details")
