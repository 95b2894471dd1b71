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

    tiny_bytes: int = 64 << 10
    """Objects of at most so many bytes never become files: they go to the log of tiny blobs. A file costs two
    syncs and 4 KiB at least, and past this size the bytes themselves cost more than that. -1 for none."""

    pack_bytes: int = 64 << 20
    """A pack is closed when it has so many bytes: large enough that a million tiny blobs are some twenty
    files, small enough to rewrite for a few dead bytes, and to read through after a crash in 0.1 s."""

    pack_files: int = 128
    """Open packs kept for the next read, a descriptor each."""

    chunk_least: int = 16 << 10
    chunk_average: int = 64 << 10
    chunk_most: int = 256 << 10
    """Sizes (bytes) of the chunks that packing cuts. Smaller ones find more duplicates and compress worse;
    chunks of other sizes than those stored share next to nothing with them."""

    zstd_level: int = 3
    """Level of zstd in packs where the policy names none: at 1 a tenth more bytes for half the time."""

    rewrite_threshold: float = 0.25
    """Part of a pack's payload that is dead when the pack is worth rewriting: with a quarter, a byte freed
    costs at most three copied, and a third more than what lives is stored at most."""

    rewrite_grace: float = 3600.0
    """Seconds that a pack is left alone after something in it died, so that who was just reading it ends."""

    verify_reads: bool = False
    """Read a whole blob through and compare it before its first byte leaves, which costs about 0.25 s of CPU
    a GiB and that long a wait. What is in packs is verified in any case, chunk by chunk."""

    operations: int = 128
    """Driver operations under way at once; others wait their turn, so that a slow medium gathers no crowd."""

    observer: Observer = ignore
    """Where timings of driver operations go, for metrics."""
