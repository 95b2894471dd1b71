"""What comes from outside the program: time and randomness. Domain code takes these as parameters."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    def now(self) -> int:
        """Integer microseconds since the Unix epoch, UTC."""
        ...


class Identifiers(Protocol):
    def new(self) -> str:
        """A fresh random UUID in canonical form (RFC 9562)."""
        ...
