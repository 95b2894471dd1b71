"""Request documents against their JSON Schemas: compiled once, every fault with its JSON Pointer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from native_api.shapes import REQUESTS, ref
from registry.contract.errors import ErrorKind, FieldError, StoreError
from registry.contract.jsonvalue import JsonValue, pointer

if TYPE_CHECKING:  # a tenth of a start, and nobody has sent a document yet
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

_MOST_ERRORS = 100
_LONGEST_MESSAGE = 200


def check(document: JsonValue, shape: str) -> dict[str, Any]:
    """`document`, which is one of `shapes.REQUESTS`, unchanged.

    Raises StoreError VALIDATION_FAILED with up to 100 errors.
    """
    faults = list(islice(_faults(document, shape), _MOST_ERRORS))
    if faults or not isinstance(document, dict):
        raise StoreError(
            ErrorKind.VALIDATION_FAILED,
            f"the body is not a {shape}; the schema is in /api/v1/openapi.json",
            errors=faults,
        )
    return document


def _faults(document: JsonValue, shape: str) -> Iterator[FieldError]:
    for error in _validator(shape).iter_errors(document):
        yield from _described(error)


@lru_cache(maxsize=len(REQUESTS))
def _validator(shape: str) -> Draft202012Validator:
    from jsonschema import Draft202012Validator

    return Draft202012Validator({"components": {"schemas": REQUESTS}, **ref(shape)})


def _described(error: ValidationError) -> Iterator[FieldError]:
    """One fault for each member that is missing or too many, and of alternatives the one that was meant."""
    path = [*error.absolute_path]
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
        for name in error.instance:
            if name not in known:
                yield FieldError(
                    pointer([*path, name]), f"unknown member; known are {', '.join(known) or 'none'}"
                )
    elif error.validator == "required" and isinstance(error.validator_value, list):
        # jsonschema reports each missing member on its own and names it first in the message.
        missing = error.message.rsplit(" is a required property", 1)[0].strip("'\"")
        yield FieldError(pointer([*path, missing]), "is missing")
    elif error.validator == "anyOf" and error.context:
        meant = [
            child for child in error.context if child.validator != "type" or child.validator_value != "null"
        ]
        for child in meant:
            yield from _described(child)
    elif "propertyNames" in error.relative_schema_path:
        yield FieldError(
            pointer([*path, str(error.instance)]), _short(f"the name does not fit: {error.message}")
        )
    else:
        yield FieldError(pointer(path), _message(error))


def _message(error: ValidationError) -> str:
    description = error.schema.get("description") if isinstance(error.schema, dict) else None
    if error.validator == "pattern" and description:
        return _short(f"does not fit: {description}")
    return _short(error.message)


def _short(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[: _LONGEST_MESSAGE - 1]}…"
