"""What cannot be set, in sentences: values of the wrong kind, and keys that nobody knows."""

from __future__ import annotations

import difflib
from typing import Any

from registry.server.values import Kind


class SettingsError(Exception):
    """A setting that cannot be used; the message names it, its source and what would do."""


def parse(kind: Kind, raw: Any, said: str) -> Any:
    """The value that `raw` is; `said` names where it stands. Raises SettingsError."""
    try:
        return kind.parse(raw)
    except ValueError as error:
        raise SettingsError(f"{said} is {raw!r}: {error}") from None


def refuse_unknown(names: Any, known: set[str], what: str) -> None:
    """Raises SettingsError for the first of `names` that is not in `known`."""
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}?" if close else "`artifact-store settings` lists all there are."
            raise SettingsError(f"unknown {what} {name}; {hint}")
