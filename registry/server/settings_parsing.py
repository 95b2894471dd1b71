"""What the readers of settings share: the error, one value, names that nobody knows, a file's tables."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from registry.server.values import Kind


class Named(Protocol):
    """A rule with a name of its own."""

    @property
    def name(self) -> str: ...


_Rule = TypeVar("_Rule", bound=Named)


class SettingsError(Exception):
    """A setting that cannot be used; the message names it, its source and what would do."""


def parse_value(kind: Kind, raw: Any, said: str) -> Any:
    """`raw` as `kind` reads it; `said` is how messages name it. Raises SettingsError."""
    try:
        return kind.parse(raw)
    except ValueError as error:
        raise SettingsError(f"{said} is {raw!r}: {error}") from None


def refuse_unknown(names: Iterable[str], known: set[str], what: str) -> None:
    """Raises SettingsError for the first of `names` that is not `known`, with the one that may be meant."""
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}?" if close else "`artifact-store settings` lists all there are."
            raise SettingsError(f"unknown {what} {name}; {hint}")


def tables(raw: Any, path: Path | None, name: str, what: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The tables `[[name]]` of the file, each with how messages name it. Raises SettingsError."""
    if not isinstance(raw, list) or not all(isinstance(rule, dict) for rule in raw):
        raise SettingsError(f"{name} in {path} must be written as [[{name}]], once for each {what}")
    for number, rule in enumerate(raw, 1):
        yield f"[[{name}]] number {number} of {path}", rule


def require(rule: Mapping[str, Any], key: str, where: str, meant: str) -> None:
    """Raises SettingsError, with what is meant, when the table lacks the key."""
    if key not in rule:
        raise SettingsError(f"{where} has no {key}; write {meant}")


def read_values(rule: Mapping[str, Any], kinds: Mapping[str, Kind], where: str) -> dict[str, Any]:
    """The values of those keys that the table has. Raises SettingsError."""
    return {
        key: parse_value(kind, rule[key], f"{key} in {where}") for key, kind in kinds.items() if key in rule
    }


def differently_named(rules: Iterable[tuple[str, _Rule]], taken: str) -> Iterator[_Rule]:
    """The rules. Raises SettingsError for the first whose name is `taken`, or that of one before it."""
    names = {taken}
    for where, rule in rules:
        if rule.name in names:
            raise SettingsError(f"{where} has the name {rule.name}, which is taken: give it another name")
        names.add(rule.name)
        yield rule
