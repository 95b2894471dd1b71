"""What can be set on such a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FolderSettings:
    """A folder whose bytes have to be fetched. FORMAT.md beside the data plane has its protocol."""

    path: Path
    """The desk: it stays mounted, whatever happens to the vault within it."""

    restore_days: int = 7
    """How long fetched bytes stay at hand, counted from their arrival or the last time that they were asked
    for: long enough to read them, short enough that the desk's disk need not hold the whole archive."""

    command: tuple[str, ...] = ()
    """Program and arguments that fetch one file; run with the file's path in the vault and the path to write
    behind them. Empty: somebody else watches the folder of requests."""

    fetches: int = 4
    """Programs run at once by one process: a drive reads one tape at a time."""
