"""What can go wrong at a remote registry, as sentences for the person who ran the command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_LONGEST_TEXT = 2000


class ClientError(Exception):
    """The base of all that this package raises by itself; `str(error)` is a sentence.

    `transient` says that the same request may succeed when it is repeated, `retry_after` (seconds) when.
    """

    transient = False
    retry_after: float | None = None


class InvalidReferenceError(ClientError):
    """A reference such as `host:5000/repository:tag` that cannot be read."""


class CredentialsError(ClientError):
    """docker's credentials file or one of its helpers cannot be used."""


class UnreachableError(ClientError):
    """No answer: refused, broken off, timed out, or no trust in the certificate."""

    def __init__(self, message: str, *, transient: bool = True) -> None:
        super().__init__(message)
        self.transient = transient


class IntegrityError(ClientError):
    """Bytes that are not what their digest or size says. They are never kept."""


class ContentError(ClientError):
    """Something in the artifact, or in the files to push, that cannot be handled safely."""


class ResponseError(ClientError):
    """The registry answered with an error. `code` is OCI's or the native API's word for it, where given."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers: Mapping[str, str] = headers or {}
        self.transient = status in (408, 425, 429) or (status >= 500 and status not in (501, 505, 507))
        self.retry_after = _seconds(self.headers.get("Retry-After"))


class NotFoundError(ResponseError):
    """404: not there, or not for the caller to see."""


class UnauthorizedError(ResponseError):
    """401 or 403, after the credentials at hand were tried."""


def response_error(what: str, status: int, headers: Mapping[str, str], body: bytes) -> ResponseError:
    """The exception for an error answer to `what` (a phrase such as "PUT /v2/..."), read from its body.

    Reads the OCI envelope (distribution-spec, "Error Codes") and RFC 9457 problem documents alike.
    """
    code, text = _explanation(body)
    message = f"{what}: {status}" + (f" {code}" if code else "") + (f": {text}" if text else "")
    kinds = {404: NotFoundError, 401: UnauthorizedError, 403: UnauthorizedError}
    return kinds.get(status, ResponseError)(status, message, code=code, headers=headers)


def _explanation(body: bytes) -> tuple[str | None, str]:
    try:
        document = json.loads(body)
    except ValueError:
        return None, body[:200].decode("utf-8", "replace").strip()
    if not isinstance(document, dict):
        return None, ""
    faults = document.get("errors")
    entries: list[dict[str, Any]] = (
        [entry for entry in faults if isinstance(entry, dict)] if isinstance(faults, list) else []
    )
    if "kind" in document or "title" in document:
        parts = [str(document.get("detail") or document.get("title") or "")]
        parts += [f"{entry.get('path') or '/'}: {entry.get('message', '')}" for entry in entries]
        return _word(document.get("kind")), "; ".join(part for part in parts if part)[:_LONGEST_TEXT]
    texts = [str(entry.get("message") or "") for entry in entries]
    code = _word(entries[0].get("code")) if entries else None
    return code, "; ".join(text for text in texts if text)[:_LONGEST_TEXT]


def _word(value: Any) -> str | None:
    return value[:64] if isinstance(value, str) and value else None


def _seconds(text: str | None) -> float | None:
    """Retry-After as seconds (RFC 9110 10.2.3); a date is taken as no advice."""
    return float(text) if text and text.isascii() and text.isdigit() else None
