"""What was asked for lately, in memory: ids alone, bounded, and cheap enough to be told of every read."""

from __future__ import annotations

#: Ids that are remembered as written down already; 8 MiB or so. More are written down more often.
_REMEMBERED = 100_000


class ReadLog:
    """Ids of content asked for since they were last taken. `counts` False tells it to do nothing."""

    def __init__(self, *, counts: bool) -> None:
        self._counts = counts
        self._new: set[int] = set()
        self._known: set[int] = set()
        self._known_since = 0

    def note(self, blob_id: int) -> None:
        """Content was asked for."""
        if self._counts and blob_id not in self._known:
            self._new.add(blob_id)

    def take(self, now: int, every: int) -> list[int]:
        """What is to be written down now: each id at most once in `every` microseconds."""
        taken, self._new = self._new, set()
        if not self._known_since <= now < self._known_since + every or len(self._known) >= _REMEMBERED:
            self._known, self._known_since = set(), now
        self._known |= taken
        return list(taken)
