"""What a check may demand of an answer; each demand that is not met raises MismatchError."""

import json
from typing import Any

from .exchange import Exchange


class MismatchError(Exception):
    """An answer was not what the rule asks for: what was sent, what came, what was expected."""

    def __init__(self, sent: str, came: str, expected: str) -> None:
        super().__init__(f"{sent} -> {came}; expected {expected}")
        self.sent, self.came, self.expected = sent, came, expected


def holds(answer: Exchange, condition: bool, expected: str, came: str | None = None) -> None:
    """`condition` is true: `expected` in words; `came` is what was found, if the answer does not show it."""
    if not condition:
        raise MismatchError(str(answer.request), str(answer) if came is None else came, expected)


def status(answer: Exchange, *allowed: int, why: str = "") -> Exchange:
    """The status is one of these."""
    expected = "status " + " or ".join(map(str, allowed)) + (f" ({why})" if why else "")
    holds(answer, answer.status in allowed, expected)
    return answer


def refused(answer: Exchange, why: str) -> Exchange:
    """The request was turned down as the client's mistake."""
    holds(answer, 400 <= answer.status < 500, f"a 4xx status ({why})")
    return answer


def header(answer: Exchange, name: str, value: str) -> None:
    """A header has exactly this value."""
    holds(answer, answer.header(name) == value, f"{name}: {value}")


def present(answer: Exchange, name: str) -> str:
    """A header is there; its value."""
    value = answer.header(name)
    holds(answer, bool(value), f"a header {name}")
    return value or ""


def body(answer: Exchange, data: bytes) -> None:
    """The body is exactly these bytes."""
    came = f"{answer.status} with {len(answer.body)} bytes beginning {answer.body[:40]!r}"
    holds(answer, answer.body == data, f"exactly the {len(data)} bytes beginning {data[:40]!r}", came)


def document(answer: Exchange) -> dict[str, Any]:
    """The body is a JSON object; it."""
    try:
        value = json.loads(answer.body)
    except ValueError:
        value = None
    holds(answer, isinstance(value, dict), "a JSON object as body", f"{answer.status} {answer.body[:200]!r}")
    assert isinstance(value, dict)
    return value


def listed(answer: Exchange, value: object, what: str) -> list[Any]:
    """`value`, taken from the answer's document, is a list; it."""
    holds(answer, isinstance(value, list), f"{what} as a list", f"{what} = {value!r}")
    assert isinstance(value, list)
    return value


def error_codes(answer: Exchange) -> list[str]:
    """The codes in a JSON error body, in the form the specification gives; [] when the body is not JSON."""
    if "json" not in (answer.header("Content-Type") or ""):
        return []
    errors = listed(answer, document(answer).get("errors"), "errors")
    codes = [error.get("code") if isinstance(error, dict) else None for error in errors]
    valid = bool(codes) and all(
        isinstance(code, str) and code and set(code) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ_") for code in codes
    )
    holds(answer, valid, 'errors: a list of objects with a "code" of capitals and underscores')
    return [str(code) for code in codes]
