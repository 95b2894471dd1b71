"""Memory for segments: bounded, large segments first, and nobody waits for ever."""

from __future__ import annotations

import asyncio

import pytest

from registry.dataplane.drivers.s3.buffers import LEAST_SEGMENT, MOST_SEGMENT, Buffers


class Upload:
    """Gathers as a hold does; what it writes is written when the test says so."""

    def __init__(self, buffers: Buffers, *, full: int = 1 << 30) -> None:
        self._buffers = buffers
        self._full = full
        self.gathered = 0
        self.flying = 0
        self.written: list[int] = []
        buffers.join(self)

    async def add(self, size: int) -> None:
        await self._buffers.take(self, size)
        self.gathered += size
        if self.gathered >= self._full:
            self.press()

    def press(self) -> None:
        if self.gathered and not self.flying:
            self.flying, self.gathered = self.gathered, 0
            self._buffers.fly(self.flying)

    def land(self) -> None:
        size, self.flying = self.flying, 0
        if size:
            self.written.append(size)
            self._buffers.land(size)


async def landing(uploads: list[Upload]) -> None:
    """A service that writes, a turn of the loop each."""
    while True:
        for upload in uploads:
            await asyncio.sleep(0)
            upload.land()


async def test_many_uploads_stay_within_the_memory_and_their_segments_are_large() -> None:
    buffers = Buffers(1000)
    uploads = [Upload(buffers, full=100) for _ in range(50)]

    async def send(upload: Upload) -> None:
        for _ in range(100):
            await upload.add(10)
        upload.press()

    service = asyncio.create_task(landing(uploads))
    await asyncio.gather(*(send(upload) for upload in uploads))
    while any(upload.flying or upload.gathered for upload in uploads):
        for upload in uploads:
            upload.press()
        await asyncio.sleep(0)
    service.cancel()
    assert buffers.high_water <= 1000
    assert buffers.held == buffers.flying == 0
    assert all(sum(upload.written) == 1000 for upload in uploads)
    sizes = [size for upload in uploads for size in upload.written]
    # 50 equal shares would be segments of 20.
    assert sum(size for size in sizes if size >= 60) >= 0.9 * sum(sizes)


async def test_the_memory_of_who_stalls_is_there_for_others() -> None:
    buffers = Buffers(1000)
    stalled, busy = Upload(buffers), Upload(buffers)
    await stalled.add(990)
    waiting = asyncio.create_task(busy.add(20))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert stalled.flying == 990
    stalled.land()
    await waiting
    assert buffers.held == 20


async def test_memory_gathered_just_now_is_there_for_who_waited_already() -> None:
    """The upload could not be pressed while its bytes were on their way, and sends nothing more."""
    buffers = Buffers(1000)
    stalled, busy = Upload(buffers), Upload(buffers)
    await buffers.take(stalled, 990)
    waiting = asyncio.create_task(busy.add(20))
    await asyncio.sleep(0)
    assert stalled.flying == 0
    stalled.gathered = 990
    buffers.give(0)
    assert stalled.flying == 990
    stalled.land()
    await waiting


async def test_a_completion_goes_before_the_uploads() -> None:
    buffers = Buffers(1000)
    first, second = Upload(buffers), Upload(buffers)
    await first.add(1000)
    upload = asyncio.create_task(second.add(500))
    await asyncio.sleep(0)
    completion = asyncio.create_task(buffers.take(None, 800))
    await asyncio.sleep(0)
    first.land()
    await completion
    await asyncio.sleep(0)
    assert not upload.done()
    buffers.give(800)
    await upload


async def test_one_piece_larger_than_all_memory_goes_through_alone() -> None:
    buffers = Buffers(100)
    upload = Upload(buffers)
    await upload.add(1000)
    assert buffers.held == 1000


@pytest.mark.parametrize("granted", [False, True])
async def test_who_gives_up_waiting_holds_nothing(granted: bool) -> None:
    buffers = Buffers(100)
    first, second = Upload(buffers), Upload(buffers)
    await first.add(100)
    waiting = asyncio.create_task(second.add(50))
    await asyncio.sleep(0)
    if granted:
        first.land()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    first.land()
    assert buffers.held == 0


def test_the_more_uploads_the_smaller_their_segments_but_never_too_small_to_copy() -> None:
    buffers = Buffers(64 << 20)
    sizes = []
    for _ in range(20):
        Upload(buffers)
        sizes.append(buffers.segment)
    assert sizes[0] == MOST_SEGMENT
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == LEAST_SEGMENT
