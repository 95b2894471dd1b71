"""Trying again: exponential pauses with full jitter, until a deadline."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from registry.dataplane.drivers.port import Transient

T = TypeVar("T")

#: Seconds of the first pause, and of the longest.
_FIRST = 0.1
_LONGEST = 5.0


class Backoff:
    """Repeats what raises Transient for `patience` seconds.

    Full jitter (a pause between nothing and the bound) spreads replicas that were refused together.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience

    async def persist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """The result of the first attempt that does not raise Transient, or the last error."""
        until = time.monotonic() + self._patience
        bound = _FIRST
        while True:
            try:
                return await attempt()
            except Transient:
                pause = random.uniform(0, bound)  # noqa: S311 - spreads load, guards nothing
                if time.monotonic() + pause > until:
                    raise
            await asyncio.sleep(pause)
            bound = min(2 * bound, _LONGEST)
