"""What checks of `doctor` end with: words, or one of two exceptions that have them."""

from __future__ import annotations

from dataclasses import dataclass


class TroubleError(Exception):
    """The server cannot work like this; the message says what to do."""


class NoticeError(Exception):
    """The server works, but somebody should know."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check: `state` is `ok`, `notice` or `trouble`."""

    name: str
    state: str
    text: str
