"""A tag that moved or went through one replica is never served as it was by another one."""

from __future__ import annotations

import asyncio
import os
import uuid

import uvloop

from tests.replicas.cluster import Cluster
from tests.replicas.staleness import Found, Race

#: Enough to meet each kind of look-up thousands of times; LOOK_UPS=100000 makes it an afternoon's worth.
_LOOK_UPS = int(os.environ.get("LOOK_UPS", "20000"))


def race(three: Cluster, look_ups: int) -> Found:
    writers = [replica.url for replica in three.replicas]
    readers = [*writers, three.url] * 2
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(Race(f"race/{uuid.uuid4().hex}").run(writers, readers, look_ups))


def test_no_look_up_is_stale_while_tags_move_and_come_and_go(three: Cluster) -> None:
    found = race(three, _LOOK_UPS)
    print(f"{found.looked_up.total()} look-ups beside {found.changes} changes: {dict(found.looked_up)}")
    assert found.stale == []
    assert found.looked_up.total() >= _LOOK_UPS
    assert found.changes > _LOOK_UPS / 200
