"""How long to wait, and how often, before a broken transfer is tried again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from oci.client.errors import ClientError


@dataclass(frozen=True, slots=True)
class Backoff:
    """`attempts` in all without any progress; waits double from `first` to `longest`, in seconds.

    `spread` gives a number in [0, 1): waits vary by half, so that many clients do not come back at once.
    """

    attempts: int = 6
    first: float = 0.25
    longest: float = 15.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    spread: Callable[[], float] = random.random

    async def wait(self, failures: int, error: ClientError) -> None:
        """Wait after the `failures`-th failure in a row; raises `error` when it is final or was the last."""
        if not error.transient or failures >= self.attempts:
            raise error
        pause = min(self.longest, self.first * 2.0 ** (failures - 1)) * (0.75 + 0.5 * self.spread())
        if error.retry_after is not None:
            pause = max(pause, min(error.retry_after, 120.0))
        await self.sleep(pause)
