"""A bound on the bytes that background work goes through in a second."""

from __future__ import annotations

import asyncio
import time

#: An object costs at least as much of the rate as a disk needs to find it.
_LEAST = 4096
#: So much may be gone through before the first pause.
_BURST_SECONDS = 1.0


class Pace:
    """Holds work to so many bytes a second."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._from = time.monotonic()
        self._used = 0.0

    async def spend(self, size: int) -> None:
        """Wait until another `size` bytes may be gone through."""
        self._used += max(size, _LEAST) / self._rate
        ahead = self._from + self._used - time.monotonic()
        if ahead < 0:
            self._from -= ahead  # what was not used is not saved up
        elif ahead > _BURST_SECONDS:
            await asyncio.sleep(ahead - _BURST_SECONDS)
