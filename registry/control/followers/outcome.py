"""What follows from a delivery: where the follower is then, when it tries again, what becomes of the event.

Waiting times belong to the receiver, attempts to the event. A receiver that is away costs nothing, since the
ledger keeps what it misses: the follower waits for as long as it takes. An event that is refused again and
again would keep all others waiting, so it becomes a dead letter. The waiting time starts afresh with a
success only, so that a receiver which refuses everything costs one dead letter in so many long waits.
"""

from __future__ import annotations

from dataclasses import dataclass

from registry.contract.delivery import Failure, Trouble
from registry.control.core import SECOND
from registry.control.sql.followers import Place

#: The first wait, doubled with each failure up to the longest.
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 300.0
#: What a receiver may ask for with Retry-After.
_LONGEST_ASKED = 3600.0


@dataclass(frozen=True, slots=True)
class After:
    """What is to be written down after a failure. `buried`: the event is a dead letter now."""

    place: Place
    buried: bool = False
    stopped: bool = False


def after_success(cursor: int) -> Place:
    """The place when everything up to `cursor` is settled, and nothing stands in the way."""
    return Place(cursor)


def after_failure(before: Place, seq: int, failure: Failure, allowed: int, now: int, chance: float) -> After:
    """The place when all before `seq` is settled and that was not taken.

    `before` is the place as it was, `allowed` how often an event may be refused, `chance` random in [0, 1).
    """
    again = before.failing == seq
    attempts = (before.attempts if again else 0) + 1
    since = before.failing_since if again and before.failing_since is not None else now
    streak = before.streak + 1
    due = now + int(_wait(streak, failure, chance) * SECOND)
    if failure.trouble is Trouble.REFUSED and attempts >= allowed:
        return After(Place(seq, streak=streak, next_attempt_at=due, reason=failure.reason), buried=True)
    place = Place(seq - 1, seq, since, attempts, streak, due, failure.reason)
    return After(place, stopped=failure.trouble is Trouble.GONE)


def after_letters(before: Place, failure: Failure, now: int, chance: float) -> After:
    """The place when dead letters could not be given again."""
    streak = before.streak + 1
    due = now + int(_wait(streak, failure, chance) * SECOND)
    place = Place(
        before.cursor, before.failing, before.failing_since, before.attempts, streak, due, failure.reason
    )
    return After(place, stopped=failure.trouble is Trouble.GONE)


def _wait(streak: int, failure: Failure, chance: float) -> float:
    """Seconds: exponential, and random in its upper half, so that followers do not return all at once."""
    wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(streak - 1, 30))
    wait *= (1 + chance) / 2
    return max(wait, min(failure.retry_after or 0.0, _LONGEST_ASKED))
