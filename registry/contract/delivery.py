"""What delivers the ledger's events somewhere: the port between a follower and NATS, a webhook or a plugin.

A follower reads the ledger and keeps the place; a sink speaks to one receiver and keeps nothing. Another
receiver needs a sink and no more: `registry.sinks` finds it by the scheme of the URL it is set with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from registry.contract.cloudevents import CloudEvent


class Trouble(StrEnum):
    """Why an event was not taken, as far as what happens next depends on it."""

    #: The receiver cannot be reached, or asked for time. Nothing is wrong with the event: it waits.
    AWAY = "away"
    #: The receiver was given the event and did not take it. After so many attempts it is a dead letter.
    REFUSED = "refused"
    #: The receiver said that it wants no events any more. The follower stops.
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an event was not taken. `reason` is a sentence without secrets; `retry_after` is in seconds."""

    trouble: Trouble
    reason: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """The first `taken` events are with the receiver for good; `failure` is what became of the one after.

    Without a failure and with fewer taken than given, the rest is to be given again at once.
    """

    taken: int
    failure: Failure | None = None


class Sink(Protocol):
    """One receiver. Used by one task at a time; made without touching the network."""

    @property
    def window(self) -> int:
        """How many events `deliver` is given at once, at most."""
        ...

    async def deliver(self, events: Sequence[CloudEvent]) -> Delivery:
        """Give `events` to the receiver in their order; return when it is known what became of them.

        Within fifteen seconds or so, though not all may have been tried then; after twenty it is broken off.
        No event is given before those ahead of it are taken, or will be if it is. The same event may come
        again: receivers know it by its id. Raises nothing but what is a fault of the program.
        """
        ...

    async def check(self) -> str:
        """For `doctor`: a sentence about the receiver. Raises StoreError UNAVAILABLE with what is wrong."""
        ...

    async def close(self) -> None:
        """Let go of connections. Idempotent; `deliver` opens them again."""
        ...
