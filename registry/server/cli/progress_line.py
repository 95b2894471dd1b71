"""Progress on stderr: one line that is rewritten on a terminal, a line now and then anywhere else.

Written here, and not taken from rich or tqdm, because all it takes is one line: the libraries cost 190 and
94 ms of start-up, and neither writes plain lines into a log by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from registry.server.cli.console import in_bytes

#: Seconds before anything is shown, and between two updates on a terminal and elsewhere.
_PATIENCE = 0.5
_ON_TERMINAL = 0.1
_IN_LOG = 10.0


class ProgressLine:
    """Counts towards `total` bytes. A context manager; `stream` None shows nothing."""

    def __init__(
        self, what: str, total: int, stream: TextIO | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what = what
        self._total = total
        self._stream = stream
        self._clock = clock
        self._terminal = stream is not None and stream.isatty()
        self._count = 0
        self._started = clock()
        self._next = self._started + (_PATIENCE if self._terminal else _IN_LOG)
        self._width = 0

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None and self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()

    def advance(self, count: int) -> None:
        """`count` bytes more are done; fewer, when they have to be sent again."""
        self._count += count
        now = self._clock()
        if self._stream is None or now < self._next:
            return
        self._next = now + (_ON_TERMINAL if self._terminal else _IN_LOG)
        line = self._line(now)
        if self._terminal:
            self._stream.write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def _line(self, now: float) -> str:
        share = f"{100 * self._count // self._total:3}%" if self._total else "100%"
        rate = self._count / max(now - self._started, 1e-6)
        left = f", {(self._total - self._count) / rate:.0f} s left" if rate > 0 else ""
        done = f"{in_bytes(self._count)} of {in_bytes(self._total)}"
        return f"{self._what} {share} {done}, {in_bytes(rate)}/s{left}"
