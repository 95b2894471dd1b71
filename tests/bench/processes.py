"""CPU time of processes by the scheduler's own count, in microseconds."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

#: A process by its id, and all that it has started.
Roots = Mapping[str, int]


def cpu_of(roots: Roots) -> dict[str, dict[int, float]]:
    """For each name, the microseconds of each process of that tree so far.

    Threads and processes that have ended are not counted, so that what is measured should keep its own.
    """
    return {name: {pid: _one(pid) for pid in _tree(root)} for name, root in roots.items()}


def spent(
    before: Mapping[str, Mapping[int, float]], after: Mapping[str, Mapping[int, float]]
) -> dict[str, float]:
    """Microseconds between two counts, by name."""
    return {
        name: sum(count - before[name].get(pid, 0.0) for pid, count in counts.items())
        for name, counts in after.items()
    }


def _tree(root: int) -> list[int]:
    found = [root]
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*"):
            with suppress(OSError):
                found += map(int, (task / "children").read_text().split())
    return found


def _one(pid: int) -> float:
    count = 0.0
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with suppress(OSError):
            count += int((task / "schedstat").read_text().split()[0]) / 1000
    return count
