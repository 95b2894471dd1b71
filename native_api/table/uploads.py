"""Rows of resumable uploads, plain and tus 1.0."""

from __future__ import annotations

from native_api import shapes
from native_api.resources import Resource
from native_api.table.operation import JSON, OCTETS, TUS_OCTETS, Answer, Body, Operation, Parameter
from native_api.table.parts import JSON_BODY, UPLOAD_WRITE, document
from registry.contract.errors import ErrorKind

_TUS_ANSWER = Answer(
    204,
    "What the server does of tus 1.0.",
    headers=("Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size"),
)

UPLOADS: tuple[Operation, ...] = (
    Operation(
        "tusUploads",
        "OPTIONS",
        Resource.UPLOADS,
        "The tus versions and extensions spoken here",
        (_TUS_ANSWER,),
    ),
    Operation(
        "createUpload",
        "POST",
        Resource.UPLOADS,
        "Open an upload",
        (
            document(
                201,
                "The upload is open.",
                "Upload",
                "Location",
                "Upload-Offset",
                "Upload-Expires",
                leads_to=("getUpload", "appendToUpload", "completeUpload", "cancelUpload"),
            ),
        ),
        description="A tus 1.0 creation works here too: `Tus-Resumable: 1.0.0`, `Upload-Length`, and "
        "optionally `Upload-Metadata` with `repository` and `digest`, and a first part of the bytes as "
        f"`{TUS_OCTETS}`.",
        body=Body((JSON,), shapes.ref("NewUpload"), required=False),
        kinds=JSON_BODY | UPLOAD_WRITE,
    ),
    Operation("tusUpload", "OPTIONS", Resource.UPLOAD, "As on the uploads", (_TUS_ANSWER,)),
    Operation(
        "getUpload",
        "GET",
        Resource.UPLOAD,
        "Where an upload stands",
        (
            document(
                200,
                "The upload.",
                "Upload",
                "Upload-Offset",
                "Upload-Length",
                "Upload-Expires",
                "Content-Address",
            ),
        ),
        kinds=frozenset({ErrorKind.UPLOAD_UNKNOWN, ErrorKind.NOT_ACCEPTABLE, ErrorKind.PRECONDITION_FAILED}),
    ),
    Operation(
        "appendToUpload",
        "PATCH",
        Resource.UPLOAD,
        "Append bytes",
        (Answer(204, "They are held.", headers=("Upload-Offset", "Upload-Expires", "Content-Address")),),
        description="`Content-Range: bytes A-B/*` may stand in the place of Upload-Offset. A wrong offset "
        "is 409 with the right one; a connection that breaks keeps what arrived. With `Tus-Resumable` "
        "the last byte commits the upload.",
        parameters=(
            Parameter("Upload-Offset", shapes.SIZE, "Where the bytes belong.", "header", required=True),
        ),
        body=Body((TUS_OCTETS, OCTETS), required=False),
        kinds=UPLOAD_WRITE | {ErrorKind.UPLOAD_UNKNOWN, ErrorKind.OFFSET_MISMATCH, ErrorKind.CONFLICT},
    ),
    Operation(
        "completeUpload",
        "POST",
        Resource.UPLOAD_COMPLETE,
        "Commit an upload under its content address",
        (
            document(
                201,
                "The content is stored. Repeatable for 24 hours.",
                "Content",
                "Location",
                leads_to=("getContent", "listLocations", "restoreContent"),
            ),
        ),
        body=Body((JSON,), shapes.ref("CompleteUpload"), required=False),
        kinds=JSON_BODY | UPLOAD_WRITE | {ErrorKind.UPLOAD_UNKNOWN, ErrorKind.UPLOAD_INCOMPLETE},
    ),
    Operation(
        "cancelUpload",
        "DELETE",
        Resource.UPLOAD,
        "Drop an upload and its bytes",
        (Answer(204, "It is gone."),),
        kinds=frozenset(
            {
                ErrorKind.UPLOAD_UNKNOWN,
                ErrorKind.UPLOAD_BUSY,
                ErrorKind.CONFLICT,
                ErrorKind.PRECONDITION_FAILED,
            }
        ),
    ),
)
