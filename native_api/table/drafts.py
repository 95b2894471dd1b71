"""Rows of drafts: files streamed one by one into a version in the making."""

from __future__ import annotations

from native_api import shapes
from native_api.resources import Resource
from native_api.table.operation import JSON, OCTETS, Answer, Body, Operation
from native_api.table.parts import PACKAGE_WRITE, document, package_made
from registry.contract.errors import ErrorKind

DRAFTS: tuple[Operation, ...] = (
    Operation(
        "putDraftFile",
        "PUT",
        Resource.VERSION_FILE,
        "Stream one file into a draft of the version",
        (
            document(
                201,
                "The file is in the draft.",
                "DraftFile",
                "Location",
                leads_to=("getDraft", "finalizeDraft", "deleteDraft"),
            ),
        ),
        description="The first file opens the draft, which only its opener sees and which expires. The "
        "body's Content-Type, without parameters, becomes the file's media type; that of a form that is not "
        "one (what curl's --data-binary sends) counts as none. A multipart form is refused.",
        body=Body((OCTETS,), required=False),
        kinds=frozenset(
            {
                ErrorKind.CONFLICT,
                ErrorKind.VALIDATION_FAILED,
                ErrorKind.TOO_LARGE,
                ErrorKind.PACKAGE_TOO_LARGE,
                ErrorKind.UPLOAD_ABORTED,
                ErrorKind.UPLOAD_BUSY,
                ErrorKind.UNSUPPORTED_MEDIA_TYPE,
                ErrorKind.NOT_ACCEPTABLE,
                ErrorKind.STORAGE_FULL,
                ErrorKind.ERASED,
            }
        ),
    ),
    Operation(
        "getDraft",
        "GET",
        Resource.DRAFT,
        "A draft of one's own",
        (document(200, "The draft.", "Draft"),),
        kinds=frozenset({ErrorKind.DRAFT_UNKNOWN, ErrorKind.NOT_ACCEPTABLE}),
    ),
    Operation(
        "deleteDraft",
        "DELETE",
        Resource.DRAFT,
        "Drop a draft",
        (Answer(204, "It is gone."),),
        kinds=frozenset({ErrorKind.DRAFT_UNKNOWN}),
    ),
    Operation(
        "finalizeDraft",
        "POST",
        Resource.FINALIZE,
        "Make the draft and what the body adds the version",
        package_made(),
        body=Body((JSON,), shapes.ref("FinishedPackage"), required=False),
        kinds=PACKAGE_WRITE | {ErrorKind.DRAFT_UNKNOWN},
    ),
)
