"""What the readers of settings share: the error, one value, and names that nobody knows."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from registry.server.values import Kind


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
