"""Every way a request can fail, as one closed list that each face maps totally to its wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class ErrorKind(StrEnum):
    """What went wrong, in the domain's words. Faces translate; domain code never names HTTP."""

    # The request itself
    BAD_REQUEST = "bad_request"
    NAME_INVALID = "name_invalid"
    REFERENCE_INVALID = "reference_invalid"
    DIGEST_INVALID = "digest_invalid"
    DIGEST_MISMATCH = "digest_mismatch"
    MANIFEST_INVALID = "manifest_invalid"
    MANIFEST_CHILD_UNKNOWN = "manifest_child_unknown"
    VALIDATION_FAILED = "validation_failed"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    NOT_ACCEPTABLE = "not_acceptable"
    TOO_LARGE = "too_large"
    PACKAGE_TOO_LARGE = "package_too_large"
    RANGE_UNSATISFIABLE = "range_unsatisfiable"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    # What is not there
    ROUTE_UNKNOWN = "route_unknown"
    REPOSITORY_UNKNOWN = "repository_unknown"
    BLOB_UNKNOWN = "blob_unknown"
    MANIFEST_UNKNOWN = "manifest_unknown"
    UPLOAD_UNKNOWN = "upload_unknown"
    PACKAGE_UNKNOWN = "package_unknown"
    FILE_UNKNOWN = "file_unknown"
    DRAFT_UNKNOWN = "draft_unknown"
    SCHEMA_UNKNOWN = "schema_unknown"
    CONTENT_UNKNOWN = "content_unknown"
    FOLLOWER_UNKNOWN = "follower_unknown"
    ERASED = "erased"
    RESTORE_REQUIRED = "restore_required"
    # What stands in the way
    OFFSET_MISMATCH = "offset_mismatch"
    UPLOAD_INCOMPLETE = "upload_incomplete"
    UPLOAD_BUSY = "upload_busy"
    UPLOAD_ABORTED = "upload_aborted"
    CONFLICT = "conflict"
    PRECONDITION_FAILED = "precondition_failed"
    IN_USE = "in_use"
    HELD = "held"
    # Who asks
    UNAUTHENTICATED = "unauthenticated"
    DENIED = "denied"
    TOO_MANY_REQUESTS = "too_many_requests"
    # The store itself
    STORAGE_FULL = "storage_full"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault inside a structured input: `path` is a JSON Pointer (RFC 6901) into it."""

    path: str
    message: str


class StoreError(Exception):
    """The one exception that crosses package borders.

    `message` is a sentence its reader can act on and never holds a secret. `detail` is small and
    JSON-serialisable; well-known keys: `offset` (int, OFFSET_MISMATCH and UPLOAD_INCOMPLETE),
    `size` (int, RANGE_UNSATISFIABLE), `used_by` (list of digests, IN_USE), `allow` (list of methods,
    METHOD_NOT_ALLOWED), `retry_after` (seconds, UNAVAILABLE, TOO_MANY_REQUESTS, RESTORE_REQUIRED).
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        detail: Mapping[str, Any] | None = None,
        errors: Sequence[FieldError] = (),
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.detail: Mapping[str, Any] = detail or {}
        self.errors = tuple(errors)

    def __repr__(self) -> str:
        return f"StoreError({self.kind.value!r}, {self.message!r})"
