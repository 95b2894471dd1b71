"""The OpenAPI 3.1 document, built from the same table that the dispatcher obeys."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from native_api import shapes
from native_api.errors import PROBLEM_JSON, STATUS, problem_type
from native_api.resources import Resource
from native_api.shapes import Schema
from native_api.table import OPERATIONS, error_answers
from native_api.table.operation import JSON, Answer, Body, Operation, Parameter
from native_api.table.parts import HEADERS
from registry.contract.errors import ErrorKind

_VARIABLE = re.compile(r"\{(\w+)\}")

#: The variables of path templates. OpenAPI clients encode slashes; both ways are understood.
_VARIABLES: dict[str, Schema] = {
    "repository": shapes.REPOSITORY,
    "version": shapes.VERSION,
    "digest": shapes.DIGEST,
    "address": shapes.DIGEST,
    "upload": shapes.UUID,
    "variant": shapes.VARIANT,
    "path": shapes.RELATIVE_PATH,
    "follower": shapes.FOLLOWER,
}

#: Where documents hold the values of those variables.
_IN_ANSWER = {
    "repository": "$response.body#/repository",
    "version": "$response.body#/version",
    "digest": "$response.body#/manifest_digest",
    "address": "$response.body#/content_address",
    "upload": "$response.body#/id",
    "variant": "$response.body#/variant",
    "path": "$response.body#/files/0/relative_path",
    "follower": "$response.body#/items/0/name",
}

_DESCRIPTION = """\
Packages of files with typed metadata in one content-addressed store that speaks the OCI distribution \
specification as well: what comes in here can be pulled by OCI clients under /v2/, and the other way round.

Lists are pages by key: `limit`, and `after` with the `next` of the page before. Errors are problems (RFC \
9457) with a `kind`. Answers to GET are also given to HEAD."""


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """The whole document; callers must not change it."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        methods = paths.setdefault(operation.resource.value, _path_item(operation.resource))
        methods[operation.method.lower()] = _operation(operation, head=False)
        if operation.method == "GET":
            methods["head"] = _operation(operation, head=True)
    return {
        "openapi": "3.1.0",
        "info": {"title": "artifact-store", "version": "1", "description": _DESCRIPTION},
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "paths": paths,
        "components": {
            "schemas": shapes.COMPONENTS,
            "headers": {name: _header(schema) for name, schema in HEADERS.items()},
            "x-problems": {kind.value: _problem_kind(kind) for kind in ErrorKind},
        },
    }


def _path_item(resource: Resource) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _VARIABLES[name]}
        for name in _VARIABLE.findall(resource.value)
    ]
    return {"parameters": parameters} if parameters else {}


def _operation(operation: Operation, *, head: bool) -> dict[str, Any]:
    item: dict[str, Any] = {
        "operationId": f"{operation.id}Head" if head else operation.id,
        "summary": operation.summary,
        "tags": [operation.resource.value.split("/")[3] or "store"],
        "responses": {
            **{str(answer.status): _answer(answer, head=head) for answer in operation.answers},
            **{
                str(status): _problems(kinds, head=head) for status, kinds in error_answers(operation).items()
            },
        },
    }
    if operation.description:
        item["description"] = operation.description
    if operation.parameters:
        item["parameters"] = [_parameter(parameter) for parameter in operation.parameters]
    if operation.body is not None:
        item["requestBody"] = _body(operation.body)
    return item


def _parameter(parameter: Parameter) -> dict[str, Any]:
    item: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "schema": parameter.schema,
    }
    if parameter.required:
        item["required"] = True
    if parameter.spread:
        item |= {"style": "form", "explode": True}
    return item


def _body(body: Body) -> dict[str, Any]:
    media = {"schema": body.schema} if body.schema is not None else {}
    return {"required": body.required, "content": dict.fromkeys(body.media_types, media)}


def _answer(answer: Answer, *, head: bool) -> dict[str, Any]:
    item: dict[str, Any] = {"description": answer.description}
    if answer.headers:
        item["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in answer.headers}
    if answer.leads_to and not head:
        item["links"] = {id: _link(id) for id in answer.leads_to}
    if answer.media_types and not head:
        item["content"] = {name: _media(name, answer.schema) for name in answer.media_types}
    return item


def _link(operation_id: str) -> dict[str, Any]:
    resource = next(operation.resource for operation in OPERATIONS if operation.id == operation_id)
    variables = _VARIABLE.findall(resource.value)
    return {"operationId": operation_id, "parameters": {name: _IN_ANSWER[name] for name in variables}}


def _media(media_type: str, schema: Schema | None) -> dict[str, Any]:
    return {"schema": schema} if schema is not None and media_type == JSON else {}


def _problems(kinds: list[ErrorKind], *, head: bool) -> dict[str, Any]:
    item: dict[str, Any] = {
        "description": "; ".join(f"{STATUS[kind].title} (`{kind.value}`)" for kind in kinds)
    }
    if not head:
        schema = {
            "allOf": [
                shapes.ref("Problem"),
                {"properties": {"kind": {"enum": [kind.value for kind in kinds]}}},
            ]
        }
        item["content"] = {PROBLEM_JSON: {"schema": schema}}
    return item


def _problem_kind(kind: ErrorKind) -> dict[str, Any]:
    return {"type": problem_type(kind), "title": STATUS[kind].title, "status": STATUS[kind].status}


def _header(schema: Schema) -> dict[str, Any]:
    rest = {name: value for name, value in schema.items() if name != "description"}
    item: dict[str, Any] = {"schema": rest}
    if "description" in schema:
        item["description"] = schema["description"]
    return item
