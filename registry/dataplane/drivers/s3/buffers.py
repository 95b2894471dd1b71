"""Memory for segments under way, over all uploads: large segments where possible, nobody waits for the slow.

A segment is worth its copying from 5 MiB on (joining.py), so uploads gather that much before they write. When
all together hold too much, those that hold most go first: they have their segment full soonest and free it,
while many small segments would have to pass this process again at completion. Waiting ends, since what is
held is either being written, or is written now: with too little under way the largest are written as they
are. So a client that is slow or gone keeps memory only until somebody else needs it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

#: Sizes (bytes) of segments: the least is what S3 takes as a part of a multipart upload.
LEAST_SEGMENT = 5 << 20
MOST_SEGMENT = 16 << 20


class Gathering(Protocol):
    """An upload that fills a segment."""

    @property
    def gathered(self) -> int:
        """Bytes that are not yet being written."""
        ...

    def press(self) -> None:
        """Begin to write what is gathered, unless a write is under way."""
        ...


class Buffers:
    """At most `total` bytes, and one piece beyond it where a single upload needs that to go on."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._uploads: set[Gathering] = set()
        self._waiting: list[_Waiting] = []
        self.held = 0
        self.flying = 0
        self.high_water = 0

    @property
    def segment(self) -> int:
        """Bytes to gather: every upload fills one segment while it writes another, in half of the memory."""
        fair = self._total // (4 * max(1, len(self._uploads)))
        return min(MOST_SEGMENT, max(LEAST_SEGMENT, fair))

    def join(self, upload: Gathering) -> None:
        self._uploads.add(upload)

    def leave(self, upload: Gathering) -> None:
        self._uploads.discard(upload)

    async def take(self, upload: Gathering | None, size: int) -> None:
        """Wait until `size` bytes more may be held, and count them. None goes first: a completion."""
        waiting = _Waiting(upload, size, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._grant()
        if not waiting.turn.done():
            self._press()
        try:
            await waiting.turn
        except BaseException:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            else:
                self.give(size)
            raise

    def fly(self, size: int) -> None:
        """So many bytes of those held are being written now."""
        self.flying += size

    def land(self, size: int) -> None:
        """They are written, or lost to an error: others may have their room."""
        self.flying -= size
        self.give(size)

    def give(self, size: int) -> None:
        """Bytes are no longer held. Of none: others may have what was gathered meanwhile."""
        self.held -= size
        self._grant()
        if self._waiting:
            self._press()

    def _grant(self) -> None:
        for waiting in sorted(self._waiting, key=_Waiting.rank):
            if self.held and self.held + waiting.size > self._total:
                return
            self._waiting.remove(waiting)
            if not waiting.turn.done():
                self.held += waiting.size
                self.high_water = max(self.high_water, self.held)
                waiting.turn.set_result(None)

    def _press(self) -> None:
        for upload in sorted(self._uploads, key=lambda upload: -upload.gathered):
            if self.flying >= self._total // 8:
                return
            upload.press()


@dataclass(eq=False, frozen=True, slots=True)
class _Waiting:
    upload: Gathering | None
    size: int
    turn: asyncio.Future[None]

    def rank(self) -> tuple[bool, int]:
        """Completions first, then who holds most; of equals who came first."""
        return (self.upload is not None, 0 if self.upload is None else -self.upload.gathered)
