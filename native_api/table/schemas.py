"""Rows of the JSON Schemas of variants."""

from __future__ import annotations

from native_api.resources import Resource
from native_api.table.operation import JSON, Answer, Body, Operation, Parameter
from native_api.table.parts import IF_NONE_MATCH, JSON_BODY, NOT_MODIFIED, document, listing
from registry.contract.errors import ErrorKind

SCHEMAS: tuple[Operation, ...] = (
    listing("listSchemas", Resource.SCHEMAS, "The schemas in force, by variant", "SchemaPage"),
    Operation(
        "putSchema",
        "PUT",
        Resource.SCHEMA,
        "Register the JSON Schema (2020-12) of a variant's metadata",
        (
            document(
                201,
                "A new version is in force.",
                "RegisteredSchema",
                "Location",
                "ETag",
                leads_to=("getSchema", "deleteSchema"),
            ),
            document(200, "The document is in force already.", "RegisteredSchema", "Location", "ETag"),
        ),
        body=Body((JSON, "application/schema+json"), {"type": ["object", "boolean"]}),
        kinds=JSON_BODY | {ErrorKind.STORAGE_FULL},
    ),
    Operation(
        "getSchema",
        "GET",
        Resource.SCHEMA,
        "A variant's schema",
        (document(200, "The schema.", "RegisteredSchema", "ETag"), NOT_MODIFIED),
        parameters=(
            Parameter(
                "version", {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}, "Not the one in force."
            ),
            IF_NONE_MATCH,
        ),
        kinds=frozenset({ErrorKind.SCHEMA_UNKNOWN, ErrorKind.NOT_ACCEPTABLE}),
    ),
    Operation(
        "deleteSchema",
        "DELETE",
        Resource.SCHEMA,
        "Packages of the variant are no longer checked",
        (Answer(204, "No schema is in force."),),
        kinds=frozenset({ErrorKind.SCHEMA_UNKNOWN}),
    ),
)
