"""How followers fare, as families of metrics with the follower's name as label."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from registry.contract.model import FollowerStatus
from registry.server.exposition import Family

#: Name without the common prefix, help, whether it only grows, and the number of one follower.
_FAMILIES: tuple[tuple[str, str, bool, Callable[[FollowerStatus], float]], ...] = (
    ("lag_events", "Events of the ledger not yet settled", False, lambda one: one.lag_events),
    ("lag_seconds", "Since the first event that is not settled", False, lambda one: one.lag_seconds),
    ("delivered", "Events that the receiver took", True, lambda one: one.delivered),
    ("failures", "Attempts that failed", True, lambda one: one.failures),
    ("dead_letters", "Events given up and not redelivered", False, lambda one: one.dead_letters),
    (
        "retrying",
        "1 while the receiver does not take what is due",
        False,
        lambda one: one.state == "retrying",
    ),
    ("stopped", "1 when the follower was stopped", False, lambda one: one.state == "stopped"),
)


def follower_families(statuses: Sequence[FollowerStatus]) -> list[Family]:
    """The families; none where no follower is set."""
    if not statuses:
        return []
    return [
        Family(
            f"follower_{name}", text, "follower", counts, {one.name: float(value(one)) for one in statuses}
        )
        for name, text, counts, value in _FAMILIES
    ]
