"""A stage in the bucket: segments one after the other, each an object named by its offset.

What counts is the chain from offset 0: a segment that begins where the one before it ends. Nothing else is
written down anywhere, so every replica that lists the segments knows the stage. Two that write to one stage
at once want the same next key, and a conditional PUT lets one of them have it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from registry.dataplane.drivers.port import StageInfo
from registry.dataplane.drivers.s3.values import Listed, Source


@dataclass(slots=True)
class Chain:
    """The segments of a stage. `touched` is the last change, microseconds since the epoch."""

    segments: list[Source] = field(default_factory=list)
    length: int = 0
    touched: int = 0

    def add(self, key: str, size: int, etag: str, touched: int) -> None:
        """Append a segment."""
        self.segments.append(Source(key, etag, size, 0, size))
        self.length += size
        self.touched = max(self.touched, touched)

    def info(self) -> StageInfo:
        """Length, last change, and a revision that is another one when any byte is."""
        digest = hashlib.sha256()
        for segment in self.segments:
            digest.update(f"{segment.size} {segment.etag}\n".encode())
        return StageInfo(self.length, self.touched, digest.hexdigest())


def chain_of(found: Iterable[tuple[int | None, Listed]]) -> Chain:
    """The chain among a stage's objects, given by offset (None for what is no segment) in order of keys."""
    chain = Chain()
    for offset, listed in found:
        if offset is not None and offset == chain.length and listed.size:
            chain.add(listed.key, listed.size, listed.etag, listed.touched)
        else:
            chain.touched = max(chain.touched, listed.touched)
    return chain
