"""The settings of the ledger's export, from which a lost database is recovered."""

# ruff: noqa: RUF009  (setting is dataclasses.field with our metadata, evaluated once like it)

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from registry.server.values import DURATION, FLAG, PATH, setting


@dataclass(frozen=True, slots=True)
class Recovery:
    """What `artifact-store recover` will find."""

    export: bool = setting(
        True, FLAG, "Writes the ledger beside content, so that a lost database is recovered from there."
    )
    lag: float = setting(
        5.0,
        DURATION,
        "An event is safe so long after its commit, or when 256 wait; less costs more objects written.",
    )
    key: Path | None = setting(
        None,
        PATH,
        "PEM file with the Ed25519 key that signs checkpoints, the same for all replicas; made if absent.",
        none="a file in the data folder, or with PostgreSQL in the database",
    )
