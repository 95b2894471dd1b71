"""How locations fare, as families of metrics with the location's name as label."""

from __future__ import annotations

from collections.abc import Mapping

from registry.control.tiers.status import TierStatus
from registry.server.exposition import Family


def tier_families(status: TierStatus) -> list[Family]:
    """The families, of every location that holds something."""
    restores: dict[str, float] = {}
    for location, _, count in status.restores:
        restores[location] = restores.get(location, 0.0) + count
    texts: Mapping[str, tuple[str, Mapping[str, float]]] = {
        "bytes": (
            "Bytes of content there, by the ledger; each content counts at each location that has it",
            {name: float(amount.bytes) for name, amount in status.held.items()},
        ),
        "objects": ("Contents there", {name: float(amount.objects) for name, amount in status.held.items()}),
        "restores": ("Contents there whose restore was asked for", restores),
    }
    return [
        Family(f"location_{name}", text, "location", False, values) for name, (text, values) in texts.items()
    ]
