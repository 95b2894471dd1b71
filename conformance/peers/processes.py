"""What a server and all that it started cost, as Linux's /proc tells it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(frozen=True)
class Cost:
    """CPU seconds since the start, of processes that ended too; memory in MiB, `peak_mib` since the start."""

    cpu: float
    rss_mib: float
    peak_mib: float


def cost_of(root: int) -> Cost:
    """The cost of the process `root` and its descendants."""
    cpu = rss = peak = 0.0
    for pid in _tree(root):
        try:
            fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            status = (_PROC / str(pid) / "status").read_text()
        except FileNotFoundError:
            continue  # ended since; its parent has its seconds
        cpu += sum(map(int, fields[11:15])) / _TICK
        memory = dict(line.split(":", 1) for line in status.splitlines())
        rss += int(memory.get("VmRSS", "0").split()[0]) / 1024
        peak += int(memory.get("VmHWM", "0").split()[0]) / 1024
    return Cost(cpu, rss, peak)


def stored_mib(folder: Path) -> float:
    """What the files below `folder` take on the disk, in MiB."""
    blocks = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                blocks += os.lstat(os.path.join(place, name)).st_blocks
            except FileNotFoundError:
                continue
    return blocks * 512 / 2**20


def _tree(root: int) -> Iterator[int]:
    yield root
    try:
        tasks = list((_PROC / str(root) / "task").iterdir())
    except FileNotFoundError:
        return
    for task in tasks:
        try:
            children = (task / "children").read_text().split()
        except FileNotFoundError:
            continue
        for child in children:
            yield from _tree(int(child))
