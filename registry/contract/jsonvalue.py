"""Strict JSON: RFC 8259 read as I-JSON (RFC 7493), one form for each number, RFC 8785 out.

Python's reader takes duplicate keys, NaN, lone surrogates and integers of any size; every one of these would
read differently elsewhere, so all are refused here, each with the JSON Pointer (RFC 6901) of its place.

Numbers (decision 18): what is integral within ±(2^53-1) becomes an int, however it is spelt (`1.0`, `1e2`,
`-0`); an integer literal beyond is refused, since most readers would round it; every other finite number is
a float, `6.022e23` too; what overflows a double is refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import rfc8785

from registry.contract.cbor import MAX_DEPTH, MAX_SAFE_INTEGER
from registry.contract.errors import ErrorKind, FieldError, StoreError

#: What JSON can say, numbers normalised.
JsonValue: TypeAlias = bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"] | None

#: Digits of the largest safe integer and a sign; longer literals are beyond it without being converted.
_LONGEST_INTEGER = 17
#: A hostile document can hold a fault in every byte.
_MOST_ERRORS = 100


@dataclass(frozen=True, slots=True)
class _Fault:
    """Stands where the reader met something that is refused, until the walk knows its place."""

    message: str


def parse(data: bytes, *, max_depth: int = MAX_DEPTH, max_bytes: int) -> JsonValue:
    """Read one JSON text of at most `max_bytes` bytes, containers nested at most `max_depth` deep.

    A scalar has depth 0, `[]` depth 1. Raises StoreError TOO_LARGE, or VALIDATION_FAILED with up to 100
    `errors`; a text that is no JSON at all has the one error of path "" that says line and column.
    """
    if len(data) > max_bytes:
        raise StoreError(ErrorKind.TOO_LARGE, f"the JSON document is larger than {max_bytes} bytes")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_members,
            parse_int=_integer,
            parse_float=float,
            parse_constant=lambda name: _Fault(f"{name} is no JSON number"),
        )
    except UnicodeDecodeError as error:
        raise _refusal(f"the JSON document is not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise _refusal("the JSON document is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise _refusal(f"not JSON: {error}") from None
    return normalise(value, max_depth=max_depth)


def normalise(value: object, *, max_depth: int = MAX_DEPTH) -> JsonValue:
    """A copy of `value` (None, bool, int, float, str, list, tuple, dict) with each number in its one form.

    `normalise(normalise(x)) == normalise(x)`. Raises StoreError VALIDATION_FAILED with every error's path:
    NaN, infinities, integers beyond ±(2^53-1), lone surrogates, keys that are not text, other types, and
    nesting beyond `max_depth`.
    """
    errors: list[FieldError] = []
    result = _walk(value, (), max_depth, errors)
    if errors:
        raise StoreError(ErrorKind.VALIDATION_FAILED, "the JSON document is not acceptable", errors=errors)
    return result


def canonical(value: JsonValue) -> bytes:
    """RFC 8785 (JCS) of a normalised value. Raises StoreError VALIDATION_FAILED for what has no such form."""
    try:
        return rfc8785.dumps(value)
    except (ValueError, RecursionError):
        raise _refusal("the value has no canonical JSON form") from None


def pointer(path: Iterable[str | int]) -> str:
    """The JSON Pointer of `path`; "" is the whole document. Lone surrogates are shown as `\\ud800`."""
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return "".join(f"/{part}" for part in parts).encode("utf-8", "backslashreplace").decode("utf-8")


def _refusal(message: str) -> StoreError:
    return StoreError(ErrorKind.VALIDATION_FAILED, message, errors=(FieldError("", message),))


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                members[key] = _Fault("the key stands twice in one object")
            seen.add(key)
    return members


def _integer(literal: str) -> int | _Fault:
    if len(literal) > _LONGEST_INTEGER:
        return _Fault("an integer is beyond ±(2^53-1)")
    return int(literal)


def _walk(value: Any, path: tuple[str | int, ...], depth: int, errors: list[FieldError]) -> JsonValue:
    """Copy `value`, noting faults; `depth` is how many containers may still open."""
    if isinstance(value, str):
        return _text(value, path, errors)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(value, path, errors)
    if isinstance(value, dict | list | tuple) and depth > 0:
        return _container(value, path, depth - 1, errors)
    if isinstance(value, dict | list | tuple):
        _note(errors, path, "nested too deeply")
    else:
        message = value.message if isinstance(value, _Fault) else f"{type(value).__name__} is no JSON type"
        _note(errors, path, message)
    return None


def _container(
    value: dict[Any, Any] | list[Any] | tuple[Any, ...],
    path: tuple[str | int, ...],
    depth: int,
    errors: list[FieldError],
) -> JsonValue:
    if isinstance(value, dict):
        return {
            _key(key, (*path, key), errors): _walk(item, (*path, key), depth, errors)
            for key, item in value.items()
        }
    return [_walk(item, (*path, index), depth, errors) for index, item in enumerate(value)]


def _key(key: Any, path: tuple[str | int, ...], errors: list[FieldError]) -> str:
    if not isinstance(key, str):
        _note(errors, path, "a key must be text")
        return ""
    return _text(key, path, errors)


def _text(text: str, path: tuple[str | int, ...], errors: list[FieldError]) -> str:
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            _note(errors, path, "text holds a lone surrogate")
    return text


def _number(number: int | float, path: tuple[str | int, ...], errors: list[FieldError]) -> int | float:
    within = -MAX_SAFE_INTEGER <= number <= MAX_SAFE_INTEGER
    if isinstance(number, int):
        if not within:
            _note(errors, path, "an integer is beyond ±(2^53-1)")
        return number
    if not math.isfinite(number):
        _note(errors, path, "a number is beyond the range of a 64-bit float")
        return number
    return int(number) if within and number.is_integer() else number


def _note(errors: list[FieldError], path: tuple[str | int, ...], message: str) -> None:
    if len(errors) < _MOST_ERRORS:
        errors.append(FieldError(pointer(path), message))
