"""Progress as a terminal and as a log sees it, on a clock of the test's."""

from __future__ import annotations

import io

from registry.server.cli.progress_line import ProgressLine

_MIB = 1024 * 1024


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def _show(stream: io.StringIO, seconds: list[float]) -> str:
    times = iter([0.0, *seconds])
    with ProgressLine("push", 10 * _MIB, stream, lambda: next(times)) as progress:
        for _ in seconds:
            progress.advance(_MIB)
    return stream.getvalue()


def test_short_work_says_nothing() -> None:
    assert _show(Terminal(), [0.1, 0.2, 0.4]) == ""
    assert _show(io.StringIO(), [1, 5, 9]) == ""


def test_a_terminal_has_one_line_that_is_gone_at_the_end() -> None:
    shown = _show(Terminal(), [0.1, 1.0, 1.05, 2.0])
    assert "\n" not in shown
    lines = shown.split("\r")
    assert [line.strip() for line in lines] == [
        "",
        "push  20% 2.0 MiB of 10.0 MiB, 2.0 MiB/s, 4 s left",
        "push  40% 4.0 MiB of 10.0 MiB, 2.0 MiB/s, 3 s left",
        "",
        "",
    ]


def test_a_log_has_a_line_now_and_then() -> None:
    shown = _show(io.StringIO(), [5.0, 10.0, 12.0, 20.0])
    assert shown.splitlines() == [
        "push  20% 2.0 MiB of 10.0 MiB, 204.8 KiB/s, 40 s left",
        "push  40% 4.0 MiB of 10.0 MiB, 204.8 KiB/s, 30 s left",
    ]
