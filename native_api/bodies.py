"""Request bodies: read within a limit, parsed strictly, validated, and turned into the contract's values."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import web

from native_api.validate import check
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, FieldError, StoreError
from registry.contract.jsonvalue import JsonValue, parse
from registry.contract.model import NewFile, NewPackage
from registry.contract.names import Repository, parse_repository
from registry.http.body import content_length, read_capped

#: Larger documents are parsed and validated on a thread: a megabyte takes tens of milliseconds.
_THREAD = 64 * 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NewUpload:
    """Body of POST `/uploads`."""

    size: int | None = None
    digest: Digest | None = None
    repository: Repository | None = None


@dataclass(frozen=True, slots=True)
class CompleteUpload:
    """Body of POST `…/complete`."""

    digest: Digest | None = None


@dataclass(frozen=True, slots=True)
class Redelivery:
    """Body of POST `…/redeliver`; None for all dead letters."""

    seqs: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Promotion:
    """Body of a package PUT that names an existing one."""

    repository: Repository
    digest: Digest


async def read_json(
    request: web.BaseRequest,
    limit: int,
    idle_timeout: float,
    read: Callable[[JsonValue], T],
    default: T | None = None,
) -> T:
    """The JSON body as `read` makes it; `default` where there is no body and one is given.

    Raises StoreError UNSUPPORTED_MEDIA_TYPE, TOO_LARGE, UPLOAD_ABORTED, VALIDATION_FAILED.
    """
    if default is not None and content_length(request) == 0:
        return default
    media_type = media_type_of(request)
    if media_type is not None and media_type != "application/json" and not media_type.endswith("+json"):
        raise StoreError(ErrorKind.UNSUPPORTED_MEDIA_TYPE, "send this body as Content-Type: application/json")
    data = await read_capped(request, limit, idle_timeout)
    if default is not None and not data:
        return default
    if len(data) > _THREAD:
        return await asyncio.to_thread(lambda: read(parse(data, max_bytes=limit)))
    return read(parse(data, max_bytes=limit))


def media_type_of(request: web.BaseRequest) -> str | None:
    """The body's media type in lower case without parameters, None when the client did not say."""
    header = request.headers.get("Content-Type")
    return header.partition(";")[0].strip().lower() or None if header is not None else None


def new_upload(document: JsonValue) -> NewUpload:
    members = check(document, "NewUpload")
    return NewUpload(
        members.get("size"),
        _optional(members, "digest", Digest.parse),
        _optional(members, "repository", parse_repository),
    )


def complete_upload(document: JsonValue) -> CompleteUpload:
    return CompleteUpload(_optional(check(document, "CompleteUpload"), "digest", Digest.parse))


def redelivery(document: JsonValue) -> Redelivery:
    seqs = check(document, "Redelivery").get("seqs")
    return Redelivery(None if seqs is None else tuple(int(seq) for seq in seqs))


def seek(document: JsonValue) -> int:
    """Body of POST `…/seek`: the event after which the follower goes on."""
    return int(check(document, "Seek")["after"])


def package_or_promotion(document: JsonValue) -> NewPackage | Promotion:
    """Body of a package PUT: a promotion when it has `from`."""
    if isinstance(document, dict) and "from" in document:
        members = check(document, "Promotion")
        return _convert(members, "from", _source)
    return _new_package(check(document, "NewPackage"))


def finished_package(document: JsonValue) -> NewPackage:
    """Body of finalize."""
    return _new_package(check(document, "FinishedPackage"))


def _new_package(members: dict[str, Any]) -> NewPackage:
    return NewPackage(
        variant=members.get("variant"),
        metadata=members.get("metadata", {}),
        labels=members.get("labels", {}),
        files=tuple(_new_file(file, f"/files/{i}") for i, file in enumerate(members.get("files", []))),
        subject=_optional(members, "subject", Digest.parse),
    )


def _new_file(members: dict[str, Any], where: str) -> NewFile:
    content = _convert(members, "content_address", Digest.parse, where)
    if "media_type" in members:
        return NewFile(members["relative_path"], content, members["media_type"])
    return NewFile(members["relative_path"], content)


def _source(text: str) -> Promotion:
    repository, _, digest = text.partition("@")
    return Promotion(parse_repository(repository), Digest.parse(digest))


def _optional(members: dict[str, Any], name: str, read: Callable[[str], T]) -> T | None:
    return _convert(members, name, read) if members.get(name) is not None else None


def _convert(members: dict[str, Any], name: str, read: Callable[[str], T], where: str = "") -> T:
    """A member as a type of the contract; its refusal becomes a fault with a path."""
    try:
        return read(members[name])
    except StoreError as error:
        fault = FieldError(f"{where}/{name}", error.message)
        raise StoreError(ErrorKind.VALIDATION_FAILED, error.message, errors=(fault,)) from None
