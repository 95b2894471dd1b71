"""The one table from ErrorKind to the wire, and the envelope that carries it.

Source: distribution-spec, "Error Codes". Where the spec has no code, those of Docker's registry are used:
UNAVAILABLE, UNKNOWN.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from registry.contract.errors import ErrorKind, StoreError

#: Status and code of every kind. A test asserts that none is missing.
WIRE: Mapping[ErrorKind, tuple[int, str]] = MappingProxyType(
    {
        ErrorKind.BAD_REQUEST: (400, "UNSUPPORTED"),
        ErrorKind.NAME_INVALID: (400, "NAME_INVALID"),
        ErrorKind.REFERENCE_INVALID: (400, "MANIFEST_INVALID"),
        ErrorKind.DIGEST_INVALID: (400, "DIGEST_INVALID"),
        ErrorKind.DIGEST_MISMATCH: (400, "DIGEST_INVALID"),
        ErrorKind.MANIFEST_INVALID: (400, "MANIFEST_INVALID"),
        ErrorKind.MANIFEST_CHILD_UNKNOWN: (400, "MANIFEST_BLOB_UNKNOWN"),
        ErrorKind.VALIDATION_FAILED: (400, "MANIFEST_INVALID"),
        ErrorKind.UNSUPPORTED_MEDIA_TYPE: (415, "UNSUPPORTED"),
        ErrorKind.NOT_ACCEPTABLE: (406, "UNSUPPORTED"),
        ErrorKind.TOO_LARGE: (413, "SIZE_INVALID"),
        ErrorKind.PACKAGE_TOO_LARGE: (413, "SIZE_INVALID"),
        ErrorKind.RANGE_UNSATISFIABLE: (416, "SIZE_INVALID"),
        ErrorKind.METHOD_NOT_ALLOWED: (405, "UNSUPPORTED"),
        ErrorKind.ROUTE_UNKNOWN: (404, "UNSUPPORTED"),
        ErrorKind.REPOSITORY_UNKNOWN: (404, "NAME_UNKNOWN"),
        ErrorKind.BLOB_UNKNOWN: (404, "BLOB_UNKNOWN"),
        ErrorKind.MANIFEST_UNKNOWN: (404, "MANIFEST_UNKNOWN"),
        ErrorKind.UPLOAD_UNKNOWN: (404, "BLOB_UPLOAD_UNKNOWN"),
        ErrorKind.PACKAGE_UNKNOWN: (404, "MANIFEST_UNKNOWN"),
        ErrorKind.FILE_UNKNOWN: (404, "BLOB_UNKNOWN"),
        ErrorKind.DRAFT_UNKNOWN: (404, "BLOB_UPLOAD_UNKNOWN"),
        ErrorKind.SCHEMA_UNKNOWN: (404, "MANIFEST_UNKNOWN"),
        ErrorKind.CONTENT_UNKNOWN: (404, "BLOB_UNKNOWN"),
        ErrorKind.FOLLOWER_UNKNOWN: (404, "UNSUPPORTED"),
        ErrorKind.ERASED: (404, "BLOB_UNKNOWN"),
        ErrorKind.RESTORE_REQUIRED: (503, "UNAVAILABLE"),
        ErrorKind.OFFSET_MISMATCH: (416, "BLOB_UPLOAD_INVALID"),
        ErrorKind.UPLOAD_INCOMPLETE: (400, "BLOB_UPLOAD_INVALID"),
        ErrorKind.UPLOAD_BUSY: (409, "BLOB_UPLOAD_INVALID"),
        ErrorKind.UPLOAD_ABORTED: (408, "BLOB_UPLOAD_INVALID"),
        ErrorKind.CONFLICT: (409, "DENIED"),
        ErrorKind.PRECONDITION_FAILED: (412, "DENIED"),
        ErrorKind.IN_USE: (405, "UNSUPPORTED"),
        ErrorKind.HELD: (403, "DENIED"),
        ErrorKind.UNAUTHENTICATED: (401, "UNAUTHORIZED"),
        ErrorKind.DENIED: (403, "DENIED"),
        ErrorKind.TOO_MANY_REQUESTS: (429, "TOOMANYREQUESTS"),
        ErrorKind.STORAGE_FULL: (507, "UNAVAILABLE"),
        ErrorKind.UNAVAILABLE: (503, "UNAVAILABLE"),
        ErrorKind.INTERNAL: (500, "UNKNOWN"),
    }
)

#: While a blob is pushed, a bad request is one about the upload.
UPLOAD_CODE = "BLOB_UPLOAD_INVALID"

#: Seconds to wait where the store did not say.
_RETRY_AFTER = 5


def envelope(
    error: StoreError, *, uploading: bool = False, manifest: bool = False
) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, header lines and body of `error`. The request pushes a blob (`uploading`) or is about a
    `manifest`."""
    status, code = WIRE[error.kind]
    if uploading and error.kind is ErrorKind.BAD_REQUEST:
        code = UPLOAD_CODE
    if manifest and error.kind is ErrorKind.ERASED:
        _, code = WIRE[ErrorKind.MANIFEST_UNKNOWN]
    entry: dict[str, Any] = {"code": code, "message": error.message}
    detail = _detail(error)
    if detail:
        entry["detail"] = detail
    headers = [("Content-Type", "application/json"), *_headers(error, status)]
    return status, headers, json.dumps({"errors": [entry]}, separators=(",", ":"), default=str).encode()


def _detail(error: StoreError) -> dict[str, Any]:
    detail = dict(error.detail)
    if error.errors:
        detail["errors"] = [{"path": fault.path, "message": fault.message} for fault in error.errors]
    return detail


def _headers(error: StoreError, status: int) -> list[tuple[str, str]]:
    if status == 405:
        # RFC 9110 section 15.5.6 wants Allow; what is in use can still be read.
        return [("Allow", ", ".join(error.detail.get("allow", ("GET", "HEAD"))))]
    if status in (429, 503):
        return [("Retry-After", str(error.detail.get("retry_after", _RETRY_AFTER)))]
    if error.kind is ErrorKind.RANGE_UNSATISFIABLE and "size" in error.detail:
        return [("Content-Range", f"bytes */{error.detail['size']}")]
    return []
