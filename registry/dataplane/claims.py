"""Who works on which stage within this process. Between processes the driver's hold decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.drivers.port import StageKey


def busy() -> StoreError:
    return StoreError(
        ErrorKind.UPLOAD_BUSY,
        "another request is writing to this upload; ask for its offset and go on from there",
    )


class Claims:
    """One claim a stage at a time, from the first moment of a request to its last."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._claimed: dict[StageKey, asyncio.Event] = {}

    @asynccontextmanager
    async def claim(self, stage: StageKey) -> AsyncIterator[None]:
        """Wait up to the patience in seconds for the stage, then raise UPLOAD_BUSY."""
        if stage in self._claimed:
            try:
                async with asyncio.timeout(self._patience):
                    while (present := self._claimed.get(stage)) is not None:
                        await present.wait()
            except TimeoutError:
                raise busy() from None
        ended = self._claimed[stage] = asyncio.Event()
        try:
            yield
        finally:
            del self._claimed[stage]
            ended.set()
