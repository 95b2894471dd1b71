"""Rows that concern the store as a whole."""

from __future__ import annotations

from native_api import shapes
from native_api.resources import Resource
from native_api.table.operation import EVENT_STREAM, JSON, Answer, Operation, Parameter
from native_api.table.parts import IF_NONE_MATCH, LIMIT, NOT_MODIFIED, PAGES, document, listing
from registry.contract.errors import ErrorKind

STORE: tuple[Operation, ...] = (
    Operation(
        "getIndex",
        "GET",
        Resource.INDEX,
        "Where everything is",
        (document(200, "Links.", "Index"),),
        kinds=frozenset({ErrorKind.NOT_ACCEPTABLE}),
    ),
    Operation(
        "getOpenapi",
        "GET",
        Resource.OPENAPI,
        "This document",
        (Answer(200, "OpenAPI 3.1.", (JSON,), {"type": "object"}, ("ETag",)), NOT_MODIFIED),
        parameters=(IF_NONE_MATCH,),
        kinds=frozenset({ErrorKind.NOT_ACCEPTABLE}),
    ),
    listing(
        "search",
        Resource.SEARCH,
        "Packages by typed metadata, newest first",
        "PackagePage",
        Parameter("variant", shapes.VARIANT, "Of this variant."),
        Parameter("repository", shapes.REPOSITORY, "In this repository."),
        Parameter(
            "created_after", {"type": "string", "format": "date-time"}, "Made after this moment, RFC 3339."
        ),
        Parameter(
            "fields",
            {
                "type": "object",
                "propertyNames": {"pattern": r"^(label|metadata)\..+$"},
                "additionalProperties": {"type": "string"},
            },
            "`label.<key>` and `metadata.<path>`, each a parameter of its own: text, or a JSON number, true, "
            "false, null. All must hold; an array matches by any element.",
            spread=True,
        ),
        kinds=frozenset({ErrorKind.NAME_INVALID}),
    ),
    Operation(
        "listEvents",
        "GET",
        Resource.EVENTS,
        "The ledger",
        (
            Answer(
                200,
                "One page in order of seq, or the live stream.",
                (JSON, EVENT_STREAM),
                shapes.ref("EventPage"),
            ),
        ),
        description="With `Accept: text/event-stream` the answer follows live: `id` is the seq, `event` the "
        "kind, `data` the entry; it starts after `Last-Event-ID` or `after`.",
        parameters=(
            LIMIT,
            Parameter(
                "after",
                {"type": "integer", "minimum": 0, "maximum": 2**53 - 1, "default": 0},
                "Entries beyond this seq.",
            ),
        ),
        kinds=frozenset({ErrorKind.NOT_ACCEPTABLE}),
    ),
    Operation(
        "getUsage",
        "GET",
        Resource.USAGE,
        "Logical and physical bytes, by repository",
        (document(200, "Bytes.", "Usage"),),
        parameters=PAGES,
        kinds=frozenset({ErrorKind.NOT_ACCEPTABLE}),
    ),
)
