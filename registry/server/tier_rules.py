"""`[[tier]]` in the configuration file: which content belongs to which location, and since when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.server.settings_parsing import (
    SettingsError,
    parse_value,
    read_values,
    refuse_unknown,
    require,
    tables,
)
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
    for where, rule in tables(raw, path, TABLE, "rule"):
        refuse_unknown(rule, {*_KINDS, "match"}, f"key in {where}:")
        require(rule, "to", where, 'the location that it moves to, as to = "cold"')
        found = TierRule(match=_globs(rule.get("match", "*"), where), **read_values(rule, _KINDS, where))
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
