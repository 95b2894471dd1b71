"""The pure parser: a request's raw path to the resource it names, a raw query to its pairs.

The path is percent-decoded exactly once and then read, so that a slash, a colon or any other character may be
literal or encoded, and `%252e` is the text `%2e`. Only what the decoded text says counts.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import NoReturn
from urllib.parse import unquote_to_bytes

from native_api.resources import (
    ContentName,
    FileName,
    FollowerName,
    Nothing,
    PackageName,
    RepositoryName,
    Resource,
    Target,
    UploadName,
    VariantName,
)
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.names import parse_repository, parse_tag
from registry.contract.package_rules import check_variant

_ROOT = "/api/v1"
_ABSOLUTE_FORM = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?]*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_REFERENCE_MARK = re.compile(r"[:@]")

_PLAIN = {
    "": Resource.INDEX,
    "openapi.json": Resource.OPENAPI,
    "uploads": Resource.UPLOADS,
    "packages": Resource.PACKAGES,
    "schemas": Resource.SCHEMAS,
    "search": Resource.SEARCH,
    "events": Resource.EVENTS,
    "usage": Resource.USAGE,
    "followers": Resource.FOLLOWERS,
}
#: Sub-resources of a package named by version, then by digest; None where only versions have one.
_PARTS: dict[str, tuple[Resource, Resource | None]] = {
    "": (Resource.VERSION, Resource.DIGEST),
    "manifest.cbor": (Resource.VERSION_MANIFEST, Resource.DIGEST_MANIFEST),
    "referrers": (Resource.VERSION_REFERRERS, Resource.DIGEST_REFERRERS),
    "archive.tar": (Resource.VERSION_TAR, Resource.DIGEST_TAR),
    "archive.zip": (Resource.VERSION_ZIP, Resource.DIGEST_ZIP),
    "draft": (Resource.DRAFT, None),
    "finalize": (Resource.FINALIZE, None),
}
_CONTENT_PARTS = {
    "": Resource.CONTENT,
    "locations": Resource.CONTENT_LOCATIONS,
    "restore": Resource.CONTENT_RESTORE,
}
_FOLLOWER = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_FOLLOWER_PARTS = {
    "": Resource.FOLLOWER,
    "dead-letters": Resource.FOLLOWER_LETTERS,
    "redeliver": Resource.FOLLOWER_REDELIVER,
    "skip": Resource.FOLLOWER_SKIP,
    "seek": Resource.FOLLOWER_SEEK,
    "stop": Resource.FOLLOWER_STOP,
    "resume": Resource.FOLLOWER_RESUME,
}
_UPLOAD_PARTS = {"": Resource.UPLOAD, "complete": Resource.UPLOAD_COMPLETE}


def parse_path(raw: str) -> Target:
    """What `raw`, a request target with or without its query, names.

    Raises StoreError ROUTE_UNKNOWN, BAD_REQUEST (bad escapes, no UTF-8), NAME_INVALID, REFERENCE_INVALID,
    DIGEST_INVALID, UPLOAD_UNKNOWN (an id that is no UUID), FOLLOWER_UNKNOWN (a name that none can have).
    """
    path = _decode(_ABSOLUTE_FORM.sub("", raw.partition("?")[0], count=1), "path")
    if path != _ROOT and not path.startswith(f"{_ROOT}/"):
        _unknown()
    first, slash, rest = path[len(_ROOT) + 1 :].partition("/")
    if not slash:
        resource = _PLAIN.get(first)
        return Target(resource, Nothing()) if resource is not None else _unknown()
    parser = _PARSERS.get(first)
    return parser(rest) if parser is not None and rest else _unknown()


def parse_query(raw: str) -> list[tuple[str, str]]:
    """The pairs of `raw`'s query, in order, as HTML forms write them: `+` is a space.

    Raises StoreError BAD_REQUEST for bad escapes and for what is not UTF-8.
    """
    pairs = []
    for piece in raw.partition("?")[2].split("&"):
        if piece:
            name, _, value = piece.replace("+", " ").partition("=")
            pairs.append((_decode(name, "query"), _decode(value, "query")))
    return pairs


def _decode(text: str, where: str) -> str:
    if _BAD_ESCAPE.search(text):
        raise StoreError(ErrorKind.BAD_REQUEST, f"the {where} has a '%' that two hex digits do not follow")
    try:
        # aiohttp reads the request line as UTF-8 and keeps stray bytes as surrogates.
        return unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8")
    except UnicodeError:
        raise StoreError(ErrorKind.BAD_REQUEST, f"the {where} is not UTF-8") from None


def _package(rest: str) -> Target:
    mark = _REFERENCE_MARK.search(rest)
    if mark is None:
        return Target(Resource.VERSIONS, RepositoryName(parse_repository(rest)))
    reference, slash, part = rest[mark.end() :].partition("/")
    by_digest = mark[0] == "@"
    repository = parse_repository(rest[: mark.start()])
    package = PackageName(repository, Digest.parse(reference) if by_digest else parse_tag(reference))
    if part.startswith("files/"):
        resource = Resource.DIGEST_FILE if by_digest else Resource.VERSION_FILE
        return Target(resource, FileName(package, part.removeprefix("files/")))
    if part not in _PARTS or (slash and not part):
        _unknown()
    of_part = _PARTS[part][by_digest]
    return Target(of_part, package) if of_part is not None else _unknown()


def _upload(rest: str) -> Target:
    identifier, resource = _split(rest, _UPLOAD_PARTS)
    try:
        known = str(uuid.UUID(identifier)) == identifier
    except ValueError:
        known = False
    if not known:
        raise StoreError(ErrorKind.UPLOAD_UNKNOWN, "no upload has this id")
    return Target(resource, UploadName(identifier))


def _content(rest: str) -> Target:
    address, resource = _split(rest, _CONTENT_PARTS)
    return Target(resource, ContentName(Digest.parse(address)))


def _schema(rest: str) -> Target:
    try:
        return Target(Resource.SCHEMA, VariantName(check_variant(rest)))
    except StoreError as error:
        raise StoreError(ErrorKind.BAD_REQUEST, error.message) from None


def _follower(rest: str) -> Target:
    name, resource = _split(rest, _FOLLOWER_PARTS)
    if not _FOLLOWER.fullmatch(name):
        raise StoreError(ErrorKind.FOLLOWER_UNKNOWN, "no follower has this name")
    return Target(resource, FollowerName(name))


def _split(rest: str, parts: dict[str, Resource]) -> tuple[str, Resource]:
    head, slash, part = rest.partition("/")
    if part not in parts or (slash and not part):
        _unknown()
    return head, parts[part]


_PARSERS: dict[str, Callable[[str], Target]] = {
    "packages": _package,
    "uploads": _upload,
    "content": _content,
    "schemas": _schema,
    "followers": _follower,
}


def _unknown() -> NoReturn:
    raise StoreError(ErrorKind.ROUTE_UNKNOWN, "no such resource; GET /api/v1/openapi.json lists them all")
