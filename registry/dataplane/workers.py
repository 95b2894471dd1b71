"""Threads for what would block the loop, and waiting that a cancelled request cannot cut short."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from registry.contract.errors import ErrorKind, StoreError

T = TypeVar("T")


async def uninterrupted(future: asyncio.Future[T]) -> T:
    """Wait for `future` to its end although the waiting task is cancelled; the cancellation follows then."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait((future,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not future.cancelled():
            future.exception()  # seen: the cancellation is what the caller hears of
        raise cancelled
    return future.result()


class Workers:
    """A bounded pool of threads, owned by one engine."""

    def __init__(self, threads: int, name: str = "dataplane") -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._closed = False

    async def run(self, work: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
        """Call `work` in a thread. A cancelled caller gets its cancellation only when `work` is over.

        A descriptor in use by a thread must not be closed (and its number given away) under it, hence the
        wait; `undo` gets the result that a cancelled caller never receives. Raises UNAVAILABLE when closed.
        """
        if self._closed:
            raise StoreError(ErrorKind.UNAVAILABLE, "the store is closed")
        done = self._pool.submit(work)
        try:
            return await asyncio.wrap_future(done)
        except asyncio.CancelledError:
            if not done.cancelled():  # it had begun
                await self._outlast(done, undo)
            raise

    async def _outlast(self, done: Future[T], undo: Callable[[T], object] | None) -> None:
        while not done.done():
            try:
                await asyncio.wait((asyncio.wrap_future(done),))
            except asyncio.CancelledError:
                continue
        if undo is not None and done.exception() is None:
            undo(done.result())

    def close(self) -> None:
        """Wait for what runs, then end the threads. Idempotent."""
        self._closed = True
        self._pool.shutdown(wait=True)
