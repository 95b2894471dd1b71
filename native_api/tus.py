"""tus 1.0, the resumable upload protocol: its header fields, read and written (https://tus.io/protocols/).

Spoken: the core, creation, creation-with-upload, termination, expiration. Not spoken: deferred lengths,
checksums (content addresses are stronger) and concatenation.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from native_api import render
from native_api.bodies import NewUpload, media_type_of
from native_api.table.operation import TUS_OCTETS
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.model import Upload
from registry.contract.names import parse_repository

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,termination,expiration"

_NUMBER = re.compile(r"[0-9]{1,16}")


@dataclass(frozen=True, slots=True)
class TusCreation:
    """What a creation says: an upload of a known size, and whether a first part of its bytes follows."""

    upload: NewUpload
    size: int
    with_bytes: bool


def speaks(request: web.BaseRequest) -> bool:
    """Whether the client speaks tus; raises StoreError PRECONDITION_FAILED for another version."""
    version = request.headers.get("Tus-Resumable")
    if version is None:
        return False
    if version != VERSION:
        raise StoreError(
            ErrorKind.PRECONDITION_FAILED,
            f"this server speaks tus {VERSION}",
            detail={"tus_version": VERSION},
        )
    return True


def number(request: web.BaseRequest, name: str) -> int | None:
    """A header field that counts bytes, None when absent. Raises StoreError BAD_REQUEST."""
    text = request.headers.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text) or int(text) >= 2**53:
        raise StoreError(ErrorKind.BAD_REQUEST, f"{name} is a number of bytes")
    return int(text)


def read_creation(request: web.BaseRequest) -> TusCreation:
    """Raises StoreError BAD_REQUEST, and as the parsers of repository names and digests do."""
    size = number(request, "Upload-Length")
    if size is None:
        raise StoreError(
            ErrorKind.BAD_REQUEST, "a tus creation needs Upload-Length; it cannot be deferred here"
        )
    metadata = _metadata(request.headers.get("Upload-Metadata", ""))
    upload = NewUpload(
        size,
        Digest.parse(metadata["digest"]) if "digest" in metadata else None,
        parse_repository(metadata["repository"]) if "repository" in metadata else None,
    )
    return TusCreation(upload, size, media_type_of(request) == TUS_OCTETS)


def describe(upload: Upload) -> dict[str, str]:
    """Where an upload stands, for clients of either kind."""
    headers = {"Upload-Offset": str(upload.offset), "Cache-Control": "no-store", "Tus-Resumable": VERSION}
    if upload.size is not None:
        headers["Upload-Length"] = str(upload.size)
    if upload.content is not None:
        headers["Content-Address"] = str(upload.content.blake3)
    else:
        headers["Upload-Expires"] = render.http_date(upload.expires_at)
    return headers


def capabilities(largest: int | None) -> dict[str, str]:
    """Answer to OPTIONS."""
    headers = {"Tus-Resumable": VERSION, "Tus-Version": VERSION, "Tus-Extension": EXTENSIONS}
    if largest is not None:
        headers["Tus-Max-Size"] = str(largest)
    return headers


def _metadata(header: str) -> Mapping[str, str]:
    """`Upload-Metadata`: pairs of a key and Base64, parted by commas. Other keys are ignored."""
    pairs: dict[str, str] = {}
    for item in header.split(","):
        key, _, encoded = item.strip().partition(" ")
        if key in ("repository", "digest"):
            try:
                pairs[key] = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
            except (binascii.Error, UnicodeDecodeError):
                raise StoreError(
                    ErrorKind.BAD_REQUEST, f"Upload-Metadata: {key} is not Base64 of text"
                ) from None
    return pairs
