"""What can be set on the data plane, each with its unit, default and reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

#: Called after every driver operation with its name, seconds, and outcome (`ok` or the error's class name).
Observer = Callable[[str, float, str], None]


def ignore(operation: str, seconds: float, outcome: str) -> None:
    """The observer that does not look."""


@dataclass(frozen=True, slots=True)
class DataPlaneSettings:
    """Settings of one store."""

    threads: int = 16
    """Worker threads for hashing and disk work. More than cores, because a thread in fsync does nothing,
    and commits that wait together share one journal commit."""

    buffer_budget: int = 64 << 20
    """Bytes of upload bodies in memory, over all uploads of the process (decision 12)."""

    batch: int = 1 << 20
    """Bytes gathered before a write, at most 1 MiB; fewer when many uploads share the budget."""

    patience: float = 5.0
    """Seconds to wait for another append to the same stage before UPLOAD_BUSY: as long as a vanished
    client's last bytes may take to be written."""

    running_hashes: int = 1024
    """Unfinished uploads whose digests so far stay in memory (about 3 KiB each). Beyond it the one unused
    longest is read again at its commit."""

    operations: int = 128
    """Driver operations under way at once; others wait their turn, so that a slow medium gathers no crowd."""

    observer: Observer = ignore
    """Where timings of driver operations go, for metrics."""
