"""What the rows of the table have in common: parameters, header fields, answers, sets of kinds."""

from __future__ import annotations

from collections.abc import Mapping

from native_api import shapes
from native_api.resources import Resource
from native_api.shapes import Schema
from native_api.table.operation import JSON, Answer, Operation, Parameter
from registry.contract.errors import ErrorKind

#: Header fields of answers, by name.
HEADERS: Mapping[str, Schema] = {
    "ETag": {"type": "string", "description": "The digest in quotes."},
    "Location": shapes.PATH,
    "Upload-Offset": {**shapes.SIZE, "description": "Bytes held."},
    "Upload-Length": {**shapes.SIZE, "description": "The declared size."},
    "Upload-Expires": {"type": "string", "description": "An HTTP date."},
    "Content-Address": {**shapes.DIGEST, "description": "The BLAKE3 address, once the upload is complete."},
    "Content-Range": {"type": "string"},
    "Accept-Ranges": {"type": "string"},
    "Retry-After": {"type": "integer", "minimum": 0},
    "Tus-Resumable": {"type": "string"},
    "Tus-Version": {"type": "string"},
    "Tus-Extension": {"type": "string"},
    "Tus-Max-Size": {**shapes.SIZE},
}

LIMIT = Parameter(
    "limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, "Items on a page."
)
AFTER = Parameter("after", {"type": "string", "minLength": 1}, "`next` of the page before.")
IF_NONE_MATCH = Parameter("If-None-Match", {"type": "string"}, "Entity tags the client has.", "header")
RANGE = Parameter("Range", {"type": "string"}, "One range of bytes.", "header")
IF_ABSENT = Parameter(
    "If-None-Match", {"type": "string", "const": "*"}, "Only when the version is free.", "header"
)
IF_MATCH = Parameter(
    "If-Match",
    {"type": "string", "pattern": r'^"sha256:[0-9a-f]{64}"$', "examples": [f'"sha256:{"0" * 64}"']},
    "Manifest digests of which one must be current, in quotes.",
    "header",
)
PAGES = (LIMIT, AFTER)
_PACKAGE_READS = (
    "getPackage",
    "getPackageFile",
    "getCanonicalManifest",
    "listReferrers",
    "getTar",
    "getZip",
)
NOT_MODIFIED = Answer(304, "The client has it.", headers=("ETag",))
PACKAGE_BODY: Schema = {"oneOf": [shapes.ref("NewPackage"), shapes.ref("Promotion")]}

PACKAGE_WRITE = frozenset(
    {
        ErrorKind.CONFLICT,
        ErrorKind.VALIDATION_FAILED,
        ErrorKind.PACKAGE_TOO_LARGE,
        ErrorKind.TOO_LARGE,
        ErrorKind.PRECONDITION_FAILED,
        ErrorKind.UNSUPPORTED_MEDIA_TYPE,
        ErrorKind.NOT_ACCEPTABLE,
        ErrorKind.UPLOAD_ABORTED,
        ErrorKind.HELD,
        ErrorKind.STORAGE_FULL,
        ErrorKind.MANIFEST_INVALID,
        ErrorKind.MANIFEST_CHILD_UNKNOWN,
        ErrorKind.CONTENT_UNKNOWN,
        ErrorKind.ERASED,
    }
)
READ_BYTES = frozenset({ErrorKind.RANGE_UNSATISFIABLE, ErrorKind.RESTORE_REQUIRED, ErrorKind.ERASED})
UPLOAD_WRITE = frozenset(
    {
        ErrorKind.UPLOAD_BUSY,
        ErrorKind.UPLOAD_ABORTED,
        ErrorKind.TOO_LARGE,
        ErrorKind.STORAGE_FULL,
        ErrorKind.UNSUPPORTED_MEDIA_TYPE,
        ErrorKind.PRECONDITION_FAILED,
        ErrorKind.DIGEST_MISMATCH,
        ErrorKind.ERASED,
    }
)
JSON_BODY = frozenset(
    {
        ErrorKind.VALIDATION_FAILED,
        ErrorKind.UNSUPPORTED_MEDIA_TYPE,
        ErrorKind.TOO_LARGE,
        ErrorKind.UPLOAD_ABORTED,
        ErrorKind.NOT_ACCEPTABLE,
    }
)


def document(
    status: int, description: str, name: str, *headers: str, leads_to: tuple[str, ...] = ()
) -> Answer:
    return Answer(status, description, (JSON,), shapes.ref(name), headers, leads_to)


def package_made() -> tuple[Answer, ...]:
    """What making a package answers, by whichever road."""
    following = (
        *(f"{read}{suffix}" for read in _PACKAGE_READS for suffix in ("", "ByDigest")),
        "listVersions",
        "deletePackage",
    )
    headers = ("Location", "ETag")
    return (
        document(201, "The package is made.", "Package", *headers, leads_to=following),
        document(200, "The version was this package already; nothing changed.", "Package", *headers),
    )


def byte_answers(*media_types: str) -> tuple[Answer, ...]:
    return (
        Answer(200, "The bytes.", media_types, None, ("ETag", "Accept-Ranges")),
        Answer(206, "The range of bytes.", media_types, None, ("ETag", "Content-Range")),
        NOT_MODIFIED,
    )


def listing(
    id: str,
    resource: Resource,
    summary: str,
    shape: str,
    *more: Parameter,
    kinds: frozenset[ErrorKind] = frozenset(),
) -> Operation:
    return Operation(
        id,
        "GET",
        resource,
        summary,
        (document(200, "One page, by key.", shape),),
        parameters=(*more, *PAGES),
        kinds=kinds | {ErrorKind.NOT_ACCEPTABLE},
    )
