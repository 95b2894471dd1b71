"""Where the ledger is exported to, as it is set."""

from __future__ import annotations

from dataclasses import dataclass, field

from registry.contract.archive import Archive


@dataclass(frozen=True, slots=True)
class Export:
    """An archive, and how its checkpoints are signed."""

    archive: Archive
    #: The private key in PEM; None keeps one in the database, made with the first checkpoint.
    key: str | None = field(default=None, repr=False)
    #: An event is in a checkpoint so many seconds after its commit, or as soon as its bundle of 256 is full.
    lag: float = 5.0
