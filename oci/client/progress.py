"""What a transfer tells about itself while it runs."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Counts bytes. `advance` may take back what has to be sent again (a negative number)."""

    def advance(self, count: int) -> None: ...


class Silent:
    """Tells nobody."""

    def advance(self, count: int) -> None:
        return None
