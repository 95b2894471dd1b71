"""Conditional requests: the digest is the ETag (RFC 9110 sections 8.8.3 and 13.1)."""

from __future__ import annotations

import re

from aiohttp import web

from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.model import Precondition

_ETAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\U0010ffff]*)"')
_LIST = re.compile(rf"[ \t,]*(?:{_ETAG.pattern}[ \t]*(?:,[ \t,]*|$))+")


def etag(digest: Digest) -> str:
    """The strong entity tag of bytes with `digest`."""
    return f'"{digest}"'


def not_modified(request: web.BaseRequest, digest: Digest) -> bool:
    """Whether GET or HEAD shall answer 304 for what has `digest` now (If-None-Match, weak comparison).

    A bare digest without its quotes counts too, since registry clients send it; what is malformed is ignored.
    """
    header = request.headers.get("If-None-Match")
    if header is None:
        return False
    current = str(digest)
    if header.strip() in ("*", current):
        return True
    return any(value == current for _, value in _ETAG.findall(header))


def range_applies(request: web.BaseRequest, digest: Digest) -> bool:
    """Whether `Range` counts: `If-Range` is absent or names `digest` strongly (RFC 9110 section 13.1.5)."""
    header = request.headers.get("If-Range")
    return header is None or header.strip() == etag(digest)


def precondition(request: web.BaseRequest) -> Precondition | None:
    """What If-Match and `If-None-Match: *` demand of a PUT, None when nothing.

    Raises PRECONDITION_FAILED when If-Match names no digest at all, so that it cannot hold; BAD_REQUEST for
    malformed headers and for forms that the store does not decide (`If-Match: *`, If-None-Match with tags).
    """
    if_match, if_none_match = request.headers.get("If-Match"), request.headers.get("If-None-Match")
    if if_match is None and if_none_match is None:
        return None
    if if_none_match is not None and if_none_match.strip() != "*":
        raise StoreError(ErrorKind.BAD_REQUEST, "on a PUT, If-None-Match can only be *")
    digests: tuple[Digest, ...] = ()
    if if_match is not None:
        if if_match.strip() == "*":
            raise StoreError(ErrorKind.BAD_REQUEST, "If-Match must name the digests that may be replaced")
        digests = _digests(if_match)
        if not digests:
            raise StoreError(ErrorKind.PRECONDITION_FAILED, "If-Match names no digest of this store")
    return Precondition(if_match=digests, if_absent=if_none_match is not None)


def _digests(header: str) -> tuple[Digest, ...]:
    """The strong tags that are digests; others can never match."""
    digests = []
    for weak, value in _tags(header, "If-Match"):
        if not weak:
            try:
                digests.append(Digest.parse(value))
            except StoreError:
                continue
    return tuple(digests)


def _tags(header: str, name: str) -> list[tuple[str, str]]:
    if not _LIST.fullmatch(header.strip()):
        raise StoreError(ErrorKind.BAD_REQUEST, f"{name} must be a list of quoted entity tags")
    return [(match[1] or "", match[2]) for match in _ETAG.finditer(header)]
