"""The guard: foreign errors classified, never as Missing; operations observed and limited."""

from __future__ import annotations

import asyncio
import errno

import pytest

from registry.contract.dataplane import DomainId
from registry.dataplane.drivers.classify import classify
from registry.dataplane.drivers.guard import Guard
from registry.dataplane.drivers.memory import MemoryDriver
from registry.dataplane.drivers.port import Area, Full, Missing, ObjectKey, Permanent, Transient

KEY = ObjectKey(Area.CONTENT, DomainId("default"), "ab" * 32)


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_no_errno_means_missing(number: int) -> None:
    error = classify("open", OSError(number, "injected"))
    assert isinstance(error, Transient | Permanent | Full)
    assert errno.errorcode[number] in str(error)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOSPC, ""), Full),
        (OSError(errno.EDQUOT, ""), Full),
        (OSError(errno.EIO, ""), Transient),
        (OSError(errno.EMFILE, ""), Transient),
        (MemoryError(), Transient),
        (FileNotFoundError(errno.ENOENT, ""), Permanent),
        (PermissionError(errno.EACCES, ""), Permanent),
        (OSError("no number"), Permanent),
        (ValueError("a bug"), Permanent),
        (Missing("the driver knows"), Missing),
    ],
)
def test_classification(error: Exception, kind: type[Exception]) -> None:
    assert type(classify("put", error)) is kind


async def test_the_observer_hears_of_every_operation() -> None:
    heard: list[tuple[str, float, str]] = []
    ticks = iter(range(100))
    guard = Guard(MemoryDriver(), lambda *said: heard.append(said), 8, timer=lambda: float(next(ticks)))
    await guard.put(KEY, b"x")
    with pytest.raises(Missing):
        await guard.size(KEY._replace(domain=DomainId("other")))
    opened = await guard.open(KEY)
    await opened.read(0, 1)
    opened.close()
    assert [key async for key, _ in guard.objects(Area.CONTENT)] == [KEY]
    assert heard == [
        ("put", 1.0, "ok"),
        ("size", 1.0, "Missing"),
        ("open", 1.0, "ok"),
        ("read", 1.0, "ok"),
        ("objects", 1.0, "ok"),
        ("objects", 1.0, "ok"),
    ]


async def test_operations_beyond_the_limit_wait_their_turn() -> None:
    class Slow(MemoryDriver):
        most = running = 0

        async def put(self, key: ObjectKey, data: bytes) -> bool:
            self.running += 1
            self.most = max(self.most, self.running)
            await asyncio.sleep(0)
            self.running -= 1
            return True

    slow = Slow()
    guard = Guard(slow, lambda *said: None, 3)
    await asyncio.gather(*(guard.put(KEY, b"x") for _ in range(20)))
    assert slow.most == 3
