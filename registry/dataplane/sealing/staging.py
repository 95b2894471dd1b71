"""The stage of an upload in a sealed file: plaintext never reaches the disk, and every write ends it whole.

Full segments are written once. What is left over is sealed as the final segment behind them, and sealed again
together with what comes next, with a new random IV. Its first bytes say how long it is: one that a killed
process wrote in part is told by that from a whole one, and the stage then ends with the full segments.
Power loss: only full segments are firm, so that the durable mark (drivers/staging.py) never covers the rest.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from registry.contract.dataplane import DomainId
from registry.dataplane.drivers.forms import Step
from registry.dataplane.drivers.port import Piece, Pieces
from registry.dataplane.sealing import files
from registry.dataplane.sealing.datakey import DataKey
from registry.dataplane.sealing.files import BINDING, CONTENT, HEAD, SEGMENT
from registry.dataplane.sealing.floe import OVERHEAD, Message, final_length
from registry.dataplane.sealing.keyring import KeyRing


def staged_length(fd: int, stored: int) -> int:
    """Bytes of content in a stage's file, whether or not somebody is writing to it. Needs no key."""
    full, rest = divmod(max(stored - HEAD, 0), SEGMENT)
    if rest >= OVERHEAD:
        said = os.pread(fd, 4, files.offset_of(full))
        if len(said) == 4 and final_length(said) == rest:
            return full * CONTENT + rest - OVERHEAD
    return full * CONTENT


class SealedStage:
    """Implements `StageForm`. The key is asked for when content is written or read: dropping needs none."""

    def __init__(self, ring: KeyRing, domain: DomainId, fd: int, stored: int) -> None:
        """Take over a file of `stored` bytes, without what a killed process wrote in part."""
        self._ring = ring
        self._domain = domain
        self._fd = fd
        self._begin(staged_length(fd, stored))
        self._whole = self.length > 0 and stored == files.stored_size(self.length)
        if not self._whole and stored > self.firm:
            os.ftruncate(fd, self.firm)

    def _begin(self, length: int) -> None:
        self.length = length
        self.firm = files.offset_of(length // CONTENT) if length else 0
        self._file: _File | None = None

    def extended(self, pieces: Pieces) -> Step:
        file = self._opened()
        data = memoryview(b"".join((file.tail, *pieces)))
        first = self.length // CONTENT
        full = len(data) // CONTENT
        buffers: list[Piece] = [file.head] if file.head else []
        for number in range(full):
            part = data[number * CONTENT : (number + 1) * CONTENT]
            buffers.append(file.message.seal(first + number, part, False))
        tail = bytes(data[full * CONTENT :])
        buffers.append(file.message.seal(first + full, tail, True))
        self._next = tail
        return Step(self.firm, buffers, first * CONTENT + len(data), files.offset_of(first + full))

    def took(self, step: Step) -> None:
        file = self._opened()
        file.head, file.tail = b"", self._next
        self.length, self.firm, self._whole = step.length, step.firm, True

    def restored(self) -> Sequence[Piece]:
        if not self.length:
            return ()
        file = self._opened()
        return (file.message.seal(self.length // CONTENT, file.tail, True),)

    def cut(self, size: int) -> None:
        full = max(size - HEAD, 0) // SEGMENT
        self._begin(full * CONTENT)
        self._whole = False

    def finished(self, address: bytes) -> Sequence[Step]:
        steps = []
        if not self._whole:  # nothing was ever sent, or the tail was lost: end the message here
            step = self.extended(())
            self.took(step)
            steps.append(step)
        file = self._opened()
        bound = files.binding(file.key, file.message, address, self.length)
        return (*steps, Step(BINDING, (bound,), self.length, self.firm))

    def read(self, start: int, length: int) -> bytes:
        return files.read(self._fd, self._opened().message, self.length, start, length)

    def _opened(self) -> _File:
        if self._file is None:
            if self.length:
                message, key, _ = files.opened(self._ring, self._domain, self._fd)
                begin = self.length // CONTENT * CONTENT
                tail = b""
                if self._whole:
                    tail = files.read(self._fd, message, self.length, begin, self.length - begin)
                self._file = _File(message, key, b"", tail)
            else:
                begun = files.begin(self._ring, self._domain)
                self._file = _File(begun.message, begun.key, begun.head, b"")
        return self._file


@dataclass(slots=True)
class _File:
    """What a stage goes on with: `head` while the file has none, `tail` what is behind the full segments."""

    message: Message
    key: DataKey
    head: bytes
    tail: bytes
