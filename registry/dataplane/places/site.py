"""One place that may not be there: opened when it is first needed, and again after it could not be.

While it cannot be opened nobody waits for it more than once in a few seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from registry.contract.dataplane import Place
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.engine import Engine
from registry.dataplane.failures import RETRY_AFTER

Open = Callable[[], Awaitable[Engine]]


class Site:
    """A place and its engine, which belongs to it. `open` raises StoreError and OSError."""

    def __init__(
        self,
        place: Place,
        open_engine: Open,
        *,
        seals: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`seals` says whether it keeps the content of sealed domains in a sealed form."""
        self.place = place
        self.seals = seals
        self._open = open_engine
        self._clock = clock
        self._opening: asyncio.Task[Engine] | None = None
        self._failed: tuple[float, str] | None = None
        self._closed = False
        #: The engine once it is open.
        self.present: Engine | None = None
        #: The permit that surely counts there, as far as this process has seen to it.
        self.admitted: str | None = None

    async def engine(self) -> Engine:
        """The engine. Raises UNAVAILABLE with the reason while it cannot be had."""
        if self.present is not None:
            return self.present
        if self._closed:
            raise StoreError(ErrorKind.UNAVAILABLE, "the store is closed")
        if self._failed is not None and self._clock() - self._failed[0] < RETRY_AFTER:
            raise self._away(self._failed[1])
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._opened())
            self._opening.add_done_callback(_seen)
        opening = self._opening
        # Not by waiting for the task itself: whoever asked first may go, and the others still want it.
        await asyncio.wait((opening,))
        return opening.result()

    async def _opened(self) -> Engine:
        try:
            self.present = await self._open()
        except (StoreError, OSError) as error:
            reason = error.message if isinstance(error, StoreError) else str(error)
            self._failed = self._clock(), reason
            raise self._away(reason) from error
        finally:
            self._opening = None
        return self.present

    def _away(self, reason: str) -> StoreError:
        return StoreError(
            ErrorKind.UNAVAILABLE,
            f"the location {self.place.name} cannot be used now: {reason}",
            detail={"retry_after": RETRY_AFTER},
        )

    async def close(self) -> None:
        """Idempotent."""
        self._closed = True
        if self._opening is not None:
            await asyncio.wait((self._opening,))
        if self.present is not None:
            await self.present.close()


def opened(engine: Engine, *, seals: bool) -> Site:
    """The site of an engine that is open already."""

    async def give() -> Engine:
        return engine

    site = Site(engine.places()[0], give, seals=seals)
    site.present = engine
    return site


def _seen(opening: asyncio.Task[Engine]) -> None:
    """Nobody may have waited to the end to hear of it."""
    if not opening.cancelled():
        opening.exception()
