"""What JetStream answers to publishes that are under way.

The library's own pipelined publish loses refusals: it raises them in its callback instead of handing them to
who waits. So the replies are taken here.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from nats.aio.client import Client
from nats.aio.msg import Msg

#: How often it is looked whether the connection lives, while answers are awaited.
_LOOK = 0.25


@dataclass(frozen=True, slots=True)
class Answer:
    """The stream's word on one message: stored, unless there is an `error`.

    `code` is JetStream's (nats-server, errors.json), 0 where nobody listens to the subject.
    """

    error: str | None = None
    code: int = 0


class Acknowledgements:
    """Answers by the subject they are sent to. Of one connection."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = client.new_inbox()
        self._waiting: dict[str, asyncio.Future[Answer]] = {}
        self._number = 0

    async def listen(self) -> None:
        """Once, before the first `expect`."""
        await self._client.subscribe(f"{self._inbox}.*", cb=self._take)

    def expect(self) -> tuple[str, asyncio.Future[Answer]]:
        """The reply subject for one message, and its answer to come."""
        self._number += 1
        subject = f"{self._inbox}.{self._number}"
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[subject] = future
        return subject, future

    async def settle(self, futures: Sequence[asyncio.Future[Answer]], seconds: float) -> None:
        """Wait until all are answered, the connection is gone, or it takes longer. The rest is cancelled."""
        until = time.monotonic() + seconds
        pending = set(futures)
        while pending and not self._client.is_closed and time.monotonic() < until:
            _, pending = await asyncio.wait(pending, timeout=_LOOK)
        for future in pending:
            future.cancel()
        self._waiting.clear()

    async def _take(self, message: Msg) -> None:
        future = self._waiting.pop(message.subject, None)
        if future is not None and not future.done():
            future.set_result(_read(message))


def _read(message: Msg) -> Answer:
    if message.headers and message.headers.get("Status") == "503":
        return Answer("no stream takes this subject")
    try:
        found = json.loads(message.data)
        error = found.get("error")
        if error is None:
            return Answer()
        return Answer(str(error.get("description", "it did not say why")), int(error.get("err_code", 0)))
    except (ValueError, AttributeError, TypeError):
        return Answer("its answer is not understood")
