"""WWW-Authenticate challenges (RFC 9110 11.6.1), as registries send them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SCHEME = re.compile(rf"\s*,?\s*({_WORD})(?:\s+|(?=,)|$)(?!=)")
_PARAMETER = re.compile(rf'\s*,?\s*({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))')


@dataclass(frozen=True, slots=True)
class Challenge:
    """One scheme, in lower case, with its parameters, their names in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """Every challenge of all `WWW-Authenticate` lines, in order. What cannot be read ends its line."""
    found: list[Challenge] = []
    for line in headers:
        position = 0
        while match := _SCHEME.match(line, position):
            position = match.end()
            parameters: dict[str, str] = {}
            while parameter := _PARAMETER.match(line, position):
                quoted, plain = parameter[2], parameter[3]
                value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                parameters.setdefault(parameter[1].lower(), value)
                position = parameter.end()
            found.append(Challenge(match[1].lower(), parameters))
    return tuple(found)
