"""Rows of content by its address."""

from __future__ import annotations

from native_api.resources import Resource
from native_api.table.operation import OCTETS, Operation
from native_api.table.parts import IF_NONE_MATCH, RANGE, READ_BYTES, byte_answers, document
from registry.contract.errors import ErrorKind

CONTENT: tuple[Operation, ...] = (
    Operation(
        "getContent",
        "GET",
        Resource.CONTENT,
        "Bytes by any of their digests",
        byte_answers(OCTETS),
        parameters=(RANGE, IF_NONE_MATCH),
        kinds=READ_BYTES | {ErrorKind.CONTENT_UNKNOWN},
    ),
    Operation(
        "listLocations",
        "GET",
        Resource.CONTENT_LOCATIONS,
        "Where the bytes are stored, and how soon they can be read",
        (document(200, "All locations, best first.", "LocationPage"),),
        kinds=frozenset({ErrorKind.CONTENT_UNKNOWN, ErrorKind.NOT_ACCEPTABLE, ErrorKind.ERASED}),
    ),
    Operation(
        "restoreContent",
        "POST",
        Resource.CONTENT_RESTORE,
        "Ask for bytes that are not at hand",
        (document(202, "Where the restore stands.", "Restore", "Location"),),
        kinds=frozenset({ErrorKind.CONTENT_UNKNOWN, ErrorKind.NOT_ACCEPTABLE, ErrorKind.ERASED}),
    ),
)
