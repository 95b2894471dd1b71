"""The database server's time, which replicas take instead of their own machines' (decision 69).

Leases and expiries are written by one replica and judged by others, and the ledger's time never goes back: a
single machine with a wrong clock would take work from the others again and again, let uploads expire that are
under way, and move the time of all entries to come. So each transaction that writes brings the server's time
along, and between two of them a counter that nobody sets goes on from it.
"""

from __future__ import annotations

import time
from collections.abc import Callable


def counter() -> int:
    """Microseconds since whenever, never put forward or back."""
    return time.monotonic_ns() // 1000


class SharedClock:
    """A `Clock` that is the server's as far as it was told; the machine's before."""

    def __init__(self, counter: Callable[[], int] = counter) -> None:
        self.counter = counter
        self._ahead: int | None = None

    def now(self) -> int:
        if self._ahead is None:
            return time.time_ns() // 1000
        return self.counter() + self._ahead

    def hear(self, told: int, asked: int) -> None:
        """The server said `told` (microseconds) at some moment since `asked`, a reading of the counter.

        What was known stays when it agrees with that, since the answer may have waited for a lock.
        """
        least, most = told - self.counter(), told - asked
        if self._ahead is None:
            self._ahead = (least + most) // 2
        else:
            self._ahead = min(max(self._ahead, least), most)
