"""A follower's process that kills itself when JetStream has acknowledged so many windows: before it is saved.

    python -m tests.server.killed_follower DATABASE NATS_URL WINDOWS SECONDS

SECONDS is how long the stream drops what comes twice.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from registry.contract.cloudevents import CloudEvent
from registry.contract.delivery import Delivery
from registry.control import open_store
from registry.control.followers import Follower, runner
from registry.dataplane import open_memory
from registry.sinks.jetstream import JetStreamSettings, JetStreamSink


class Suicidal(JetStreamSink):
    """Kills the process after the acknowledgement, before anybody hears of it."""

    windows = 0

    async def deliver(self, events: Sequence[CloudEvent]) -> Delivery:
        delivery = await super().deliver(events)
        self.windows -= 1
        if self.windows == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return delivery


async def main(database: str, url: str, windows: int, duplicates: float) -> None:
    # A successor would wait for half a minute until the dead one's lease is over.
    runner._LEASE = 500_000
    runner._LINGER = 0.0
    sink = Suicidal(JetStreamSettings((url,), stream="events", prefix="store", duplicates=duplicates))
    sink.windows = windows
    follower = Follower("killed", lambda: sink)
    store = await open_store(open_memory(), Path(database), followers=(follower,))
    following = asyncio.create_task(runner.follow(store.core, follower))
    while (await store.followers() or [None])[0] is None or (await store.followers())[0].lag_events:
        await asyncio.sleep(0.05)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
