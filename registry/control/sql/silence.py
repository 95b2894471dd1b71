"""Who waits for a database server that has fallen silent is told so; who waits for long work waits on.

A server that is stopped, cut off or stuck breaks no connection, and no limit on a statement's time tells it
from one that is busy: to erase a domain takes minutes. So once something has waited for long, the server must
prove itself on a connection of its own, and only when it does not is given up whatever has waited as long
(decision 70).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


class Watch:
    """Watches over what is under way on one event loop, from its making until `close`."""

    def __init__(self, prove: Callable[[], Awaitable[object]], patience: float) -> None:
        """`prove` asks the server for anything; it may take `patience` seconds, as may all else unasked."""
        self._prove = prove
        self._patience = patience
        self._under_way: dict[asyncio.Timeout, float] = {}
        self._task = asyncio.create_task(self._run(), name="database-watch")

    @asynccontextmanager
    async def over(self) -> AsyncIterator[None]:
        """The block ends with TimeoutError when the server is silent; 3 times the patience may pass."""
        async with asyncio.timeout(None) as limit:
            self._under_way[limit] = time.monotonic()
            try:
                yield
            finally:
                del self._under_way[limit]

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._patience / 2)
            before = time.monotonic() - self._patience
            late = [limit for limit, since in self._under_way.items() if since <= before]
            if late and not await self._answers():
                for limit in late:
                    if limit in self._under_way:
                        limit.reschedule(0)

    async def _answers(self) -> bool:
        """Whether the server is there. A refusal is an answer too."""
        try:
            async with asyncio.timeout(self._patience):
                await self._prove()
        except OSError:  # TimeoutError is one
            return False
        except Exception:
            return True
        return True
