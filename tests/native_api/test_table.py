"""The table of operations: every row is handled, every refusal has a problem, every answer a schema."""

from __future__ import annotations

import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from native_api.errors import STATUS, problem, problem_headers, problem_type
from native_api.face import HANDLERS
from native_api.openapi import document
from native_api.shapes import ANSWERS, COMPONENTS
from native_api.table import OPERATIONS, allowed, error_answers, find
from native_api.table.parts import HEADERS
from registry.contract.errors import ErrorKind, FieldError, StoreError


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(references(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(references(value) for value in node))
    return set()


def test_every_operation_has_one_handler_and_every_handler_an_operation() -> None:
    assert [operation.id for operation in OPERATIONS] == list(dict.fromkeys(op.id for op in OPERATIONS))
    assert set(HANDLERS) == {operation.id for operation in OPERATIONS}


def test_methods_of_a_resource_are_what_the_table_says_and_head_with_get() -> None:
    for operation in OPERATIONS:
        assert find(operation.resource, operation.method) is operation
        assert operation.method in allowed(operation.resource)
        if operation.method == "GET":
            assert find(operation.resource, "HEAD") is operation
            assert "HEAD" in allowed(operation.resource)
    assert find(OPERATIONS[0].resource, "TRACE") is None


def test_every_kind_of_error_has_a_status_and_a_title() -> None:
    assert set(STATUS) == set(ErrorKind)
    assert all(400 <= mapped.status <= 599 and mapped.title for mapped in STATUS.values())


@pytest.mark.parametrize("kind", ErrorKind)
def test_a_problem_is_what_its_schema_says_and_keeps_the_rest_of_detail_inside(kind: ErrorKind) -> None:
    detail = {
        "offset": 3,
        "size": 9,
        "used_by": ["sha256:x"],
        "allow": ["GET"],
        "retry_after": 7,
        "secret": "s",
    }
    error = StoreError(kind, "a sentence", detail=detail, errors=(FieldError("/a", "b"),))
    shown = problem(error)
    Draft202012Validator({"components": {"schemas": COMPONENTS}, **ANSWERS["Problem"]}).validate(shown)
    assert shown["kind"] == kind.value
    assert shown["errors"] == [{"path": "/a", "message": "b"}]
    assert shown["offset"] == 3
    assert "secret" not in shown
    assert problem_headers(error)["Retry-After"] == "7"


def test_a_problem_type_points_into_the_openapi_document() -> None:
    for kind in ErrorKind:
        path, _, pointer = problem_type(kind).partition("#")
        node: Any = document()
        for part in pointer.strip("/").split("/"):
            node = node[part]
        assert path in document()["paths"]
        assert node["status"] == STATUS[kind].status


def test_headers_that_go_with_a_problem() -> None:
    not_allowed = StoreError(ErrorKind.METHOD_NOT_ALLOWED, "no", detail={"allow": ["GET", "HEAD"]})
    assert problem_headers(not_allowed)["Allow"] == "GET, HEAD"
    unsatisfiable = StoreError(ErrorKind.RANGE_UNSATISFIABLE, "no", detail={"size": 5})
    assert problem_headers(unsatisfiable)["Content-Range"] == "bytes */5"
    assert "WWW-Authenticate" in problem_headers(StoreError(ErrorKind.UNAUTHENTICATED, "no"))
    assert (
        problem_headers(StoreError(ErrorKind.OFFSET_MISMATCH, "no", detail={"offset": 4}))["Upload-Offset"]
        == "4"
    )


def test_the_document_has_every_method_of_every_resource_and_no_other() -> None:
    paths = document()["paths"]
    for operation in OPERATIONS:
        methods = {name.upper() for name in paths[operation.resource.value] if name != "parameters"}
        assert methods == set(allowed(operation.resource))


def test_operation_ids_are_unique_and_references_resolve() -> None:
    whole = document()
    ids = [
        item["operationId"]
        for path in whole["paths"].values()
        for method, item in path.items()
        if method != "parameters"
    ]
    assert len(ids) == len(set(ids))
    for reference in references(whole):
        node: Any = whole
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_path_variables_are_declared() -> None:
    for path, item in document()["paths"].items():
        declared = {parameter["name"] for parameter in item.get("parameters", [])}
        assert declared == set(re.findall(r"\{(\w+)\}", path))


def test_all_schemas_are_json_schema_2020_12_and_their_patterns_compile() -> None:
    for schema in COMPONENTS.values():
        Draft202012Validator.check_schema(schema)


def test_answers_lead_to_operations_that_exist() -> None:
    ids = {operation.id for operation in OPERATIONS}
    assert all(set(answer.leads_to) <= ids for operation in OPERATIONS for answer in operation.answers)


def test_headers_of_answers_are_known() -> None:
    for operation in OPERATIONS:
        for answer in operation.answers:
            assert set(answer.headers) <= set(HEADERS)
        assert all(status >= 400 for status in error_answers(operation))
