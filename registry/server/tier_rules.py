"""`[[tier]]` in the configuration file: which content belongs to which location, and since when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.server.settings_parsing import SettingsError, parse_value, refuse_unknown
from registry.server.values import DURATION, SIZE, TEXT, Kind

#: What the file calls them.
TABLE = "tier"


@dataclass(frozen=True, slots=True)
class TierRule:
    """One rule; the first that fits a content decides.

    `to` is the name of a [[location]], or `local` for where bytes arrive. `match` is a glob of repositories,
    or a list of them; sizes are in bytes; `after` are seconds since the content was stored, `unread` since
    anybody asked for it.
    """

    to: str
    match: tuple[str, ...] = ("*",)
    at_least: int = 0
    at_most: int | None = None
    after: float = 0.0
    unread: float = 0.0


_KINDS: Mapping[str, Kind] = {
    "to": TEXT,
    "at_least": SIZE,
    "at_most": SIZE,
    "after": DURATION,
    "unread": DURATION,
}


def read_tiers(raw: Any, path: Path | None) -> Iterator[TierRule]:
    """The rules, in order. Raises SettingsError."""
    if not isinstance(raw, list) or not all(isinstance(rule, dict) for rule in raw):
        raise SettingsError(f"{TABLE} in {path} must be written as [[{TABLE}]], once for each rule")
    for number, rule in enumerate(raw, 1):
        where = f"[[{TABLE}]] number {number} of {path}"
        refuse_unknown(rule, {*_KINDS, "match"}, f"key in {where}:")
        if "to" not in rule:
            raise SettingsError(f'{where} has no to; write the location that it moves to, as to = "cold"')
        values = {
            key: parse_value(kind, rule[key], f"{key} in {where}")
            for key, kind in _KINDS.items()
            if key in rule
        }
        found = TierRule(match=_globs(rule.get("match", "*"), where), **values)
        if found.at_most is not None and found.at_most < found.at_least:
            raise SettingsError(f"{where} wants no size at all: at_most is less than at_least")
        yield found


def check_tiers(rules: Iterable[TierRule], locations: Iterable[str]) -> None:
    """Each rule moves to a place that there is. Raises SettingsError."""
    refuse_unknown((rule.to for rule in rules), set(locations), "location (there is no [[location]])")


def _globs(value: Any, where: str) -> tuple[str, ...]:
    globs = [value] if isinstance(value, str) else value
    if not isinstance(globs, list) or not globs:
        raise SettingsError(f'match in {where} must be a glob or a list of globs, such as ["team/*"]')
    return tuple(parse_value(TEXT, glob, f"match in {where}") for glob in globs)
