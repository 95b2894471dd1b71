"""From (method, raw path, raw query) to a typed request. Pure, and raises nothing but StoreError.

A path is read from its right end, because every word of the API may also be a component of a repository's
name: `/v2/blobs/uploads/tags/list` lists the tags of `blobs/uploads`. Percent-encoding is undone exactly
once. A `+` stays a plus: no value here has spaces, but media types do have pluses and people type them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from urllib.parse import unquote

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
from registry.contract.digest import Digest, parse_algorithm
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.names import Reference, Repository, parse_reference, parse_repository, parse_tag

_PREFIX = "/v2/"
_UPLOAD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_NUMBER = re.compile(r"[0-9]{1,9}")

Query = dict[str, list[str]]
_Action = Callable[[], Request]


def parse(method: str, path: str, query: str) -> Request:
    """The request that `method`, `path` and `query` (both as they came, still encoded) make.

    Raises ROUTE_UNKNOWN, METHOD_NOT_ALLOWED (detail `allow`), NAME_INVALID, DIGEST_INVALID,
    REFERENCE_INVALID (a malformed tag to be written), MANIFEST_UNKNOWN (one to be read, which cannot exist),
    UPLOAD_UNKNOWN, BAD_REQUEST (a page size that is no number).
    """
    if "%" in path:
        path = unquote(path, errors="replace")
    if path in ("/v2", _PREFIX):
        return _allowed(method, {"GET": CheckVersion})
    if path == "/v2/_catalog":
        return _allowed(method, {"GET": lambda: _repositories(_read(query))})
    if path.startswith(_PREFIX):
        name, _, last = path[len(_PREFIX) :].rpartition("/")
        name, _, kind = name.rpartition("/")
        route = _ROUTES.get(kind)
        if route is not None:
            return route(method, name, last, query)
    raise _unknown()


def _allowed(method: str, actions: dict[str, _Action]) -> Request:
    action = actions.get("GET" if method == "HEAD" else method)
    if action is None:
        allow = [known for name in actions for known in (("GET", "HEAD") if name == "GET" else (name,))]
        raise StoreError(
            ErrorKind.METHOD_NOT_ALLOWED,
            f"{method} is not supported here; these are: {', '.join(allow)}",
            detail={"allow": allow},
        )
    return action()


def _unknown() -> StoreError:
    return StoreError(ErrorKind.ROUTE_UNKNOWN, "there is no such endpoint in the distribution API")


def _manifest(method: str, name: str, last: str, query: str) -> Request:
    if method in ("GET", "HEAD"):  # the hottest of all requests, so no table is built for it
        return GetManifest(parse_repository(name), _readable(last))
    return _allowed(
        method,
        {
            "GET": lambda: GetManifest(parse_repository(name), _readable(last)),
            "PUT": lambda: PutManifest(
                parse_repository(name),
                parse_reference(last),
                tuple(parse_tag(tag) for tag in _read(query).get("tag", ())),
            ),
            "DELETE": lambda: DeleteManifest(parse_repository(name), _readable(last)),
        },
    )


def _readable(text: str) -> Reference:
    """A reference to what may exist. What is no tag names nothing, and conformance suites ask for such."""
    try:
        return parse_reference(text)
    except StoreError as error:
        if error.kind is not ErrorKind.REFERENCE_INVALID:
            raise
        raise StoreError(ErrorKind.MANIFEST_UNKNOWN, f"nothing has this name: {error.message}") from None


def _blob(method: str, name: str, last: str, query: str) -> Request:
    if last == "uploads":  # the slash at its end is easily lost
        return _uploads(method, name, query)
    return _allowed(
        method,
        {
            "GET": lambda: GetBlob(parse_repository(name), Digest.parse(last)),
            "DELETE": lambda: DeleteBlob(parse_repository(name), Digest.parse(last)),
        },
    )


def _upload(method: str, name: str, last: str, query: str) -> Request:
    name, _, kind = name.rpartition("/")
    if kind != "blobs":
        raise _unknown()
    if not last:
        return _uploads(method, name, query)
    return _allowed(
        method,
        {
            "GET": lambda: GetUpload(parse_repository(name), _session(last)),
            "PATCH": lambda: AppendUpload(parse_repository(name), _session(last)),
            "PUT": lambda: CompleteUpload(
                parse_repository(name), _session(last), _digest(_first(_read(query), "digest"))
            ),
            "DELETE": lambda: CancelUpload(parse_repository(name), _session(last)),
        },
    )


def _uploads(method: str, name: str, query: str) -> Request:
    return _allowed(method, {"POST": lambda: _post(parse_repository(name), _read(query))})


def _session(text: str) -> str:
    if not _UPLOAD.fullmatch(text):
        raise StoreError(ErrorKind.UPLOAD_UNKNOWN, "there is no such upload")
    return text


def _digest(text: str | None) -> Digest:
    if text is None:
        raise StoreError(ErrorKind.DIGEST_INVALID, "the query must name the blob: ?digest=sha256:<hex>")
    return Digest.parse(text)


def _post(repository: Repository, query: Query) -> Request:
    """Mount, whole blob or new session. A mount of what cannot exist becomes a session, as any other."""
    digest = _first(query, "digest")
    mount = _first(query, "mount")
    name = _first(query, "digest-algorithm")
    algorithm = parse_algorithm(name) if name is not None else None
    if mount is not None:
        source = _first(query, "from")
        try:
            where = parse_repository(source) if source is not None else None
            return MountBlob(repository, Digest.parse(mount), where, algorithm)
        except StoreError:
            return StartUpload(repository, algorithm)
    if digest is not None:
        return PutBlob(repository, Digest.parse(digest))
    return StartUpload(repository, algorithm)


def _tags(method: str, name: str, last: str, query: str) -> Request:
    if last != "list":
        raise _unknown()
    return _allowed(method, {"GET": lambda: _page_of_tags(parse_repository(name), _read(query))})


def _page_of_tags(repository: Repository, query: Query) -> Request:
    return ListTags(repository, _limit(query), _last(query))


def _referrers(method: str, name: str, last: str, query: str) -> Request:
    return _allowed(
        method, {"GET": lambda: _page_of_referrers(parse_repository(name), Digest.parse(last), _read(query))}
    )


def _page_of_referrers(repository: Repository, digest: Digest, query: Query) -> Request:
    artifact_type = _text(_first(query, "artifactType"))
    return ListReferrers(repository, digest, artifact_type or None, _limit(query), _last(query))


def _repositories(query: Query) -> Request:
    return ListRepositories(_limit(query), _last(query))


def _read(query: str) -> Query:
    """The parameters in order, decoded once; a parameter without `=` is empty."""
    values: Query = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name:
            values.setdefault(unquote(name, errors="replace"), []).append(unquote(value, errors="replace"))
    return values


def _first(query: Query, name: str) -> str | None:
    return query.get(name, (None,))[0]


def _limit(query: Query) -> int | None:
    text = _first(query, "n")
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise StoreError(ErrorKind.BAD_REQUEST, "n must be a number of entries, 0 or more")
    return int(text)


def _last(query: Query) -> str | None:
    return _text(_first(query, "last"))


def _text(value: str | None) -> str | None:
    """Without what no database takes and no name holds: a NUL and what follows it, lone surrogates."""
    return value if value is None else value.partition("\0")[0].encode("utf-8", "replace").decode()


#: By the component before the last.
_ROUTES: Mapping[str, Callable[[str, str, str, str], Request]] = MappingProxyType(
    {
        "manifests": _manifest,
        "blobs": _blob,
        "uploads": _upload,
        "tags": _tags,
        "referrers": _referrers,
    }
)
