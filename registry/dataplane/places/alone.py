"""One at a time for one content: what is moved is not deleted in the same moment by the same process.

Between processes the permit decides, as for every deletion.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from registry.contract.dataplane import DomainId
from registry.contract.digest import Digest


class Alone:
    """Turns by content; who waits is served in order."""

    def __init__(self) -> None:
        self._turns: dict[tuple[DomainId, Digest], tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def with_content(self, domain: DomainId, address: Digest) -> AsyncIterator[None]:
        key = (domain, address)
        lock, users = self._turns.get(key, (asyncio.Lock(), 0))
        self._turns[key] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._turns[key]
            if users > 1:
                self._turns[key] = lock, users - 1
            else:
                del self._turns[key]
