"""Which location content belongs to, as the operator's rules say it. Nothing here is read or written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from registry.contract.names import Repository

_DAY = 24 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class Facts:
    """What a rule asks of content: `size` in bytes, and in microseconds `age` since it was stored, `unread`
    for how long it surely was not asked for, and `rested` since it was last known to be needed.

    The last two differ where nobody counted reads: that is not known as unread, and not as needed either.
    """

    size: int
    age: int
    unread: int
    rested: int


@dataclass(frozen=True, slots=True)
class TierRule:
    """Content of repositories that match one of the globs goes `to` a location, by the ledger's name for it,
    when it is of such a size (bytes), at least so old and for at least so long unread (microseconds)."""

    to: str
    match: tuple[str, ...] = ("*",)
    at_least: int = 0
    at_most: int | None = None
    after: int = 0
    unread: int = 0

    def wants(self, repository: Repository, facts: Facts) -> bool:
        """Whether all that the rule asks for is so."""
        return (
            self.at_least <= facts.size
            and (self.at_most is None or facts.size <= self.at_most)
            and self.after <= facts.age
            and self.unread <= facts.unread
            and any(fnmatchcase(repository, pattern) for pattern in self.match)
        )


@dataclass(frozen=True, slots=True)
class TierPolicy:
    """The rules, in order. Nothing moves that was stored, pushed or asked for within the last `rest`
    microseconds. With `restore_on_read` a read of what is away asks for its restore."""

    rules: tuple[TierRule, ...] = ()
    rest: int = _DAY
    restore_on_read: bool = False

    @property
    def youngest(self) -> int:
        """The least age (microseconds) at which anything can move."""
        return max(self.rest, min((rule.after for rule in self.rules), default=0))

    def place_for(self, repository: Repository, facts: Facts) -> str | None:
        """Where this repository wants it: the first rule that fits says it. None: where it is."""
        if min(facts.age, facts.rested) < self.rest:
            return None
        return next((rule.to for rule in self.rules if rule.wants(repository, facts)), None)


def most_reluctant(wishes: Iterable[str | None], rank: Callable[[str], int]) -> str | None:
    """Where content goes that several repositories have: who lets it stay is heard first, then whoever wants
    it nearest (least `rank`).

    A pull that has to wait for a restore costs more than the space that another's policy would save. Content
    that no repository has stays: it is on its way out, or in.
    """
    nearest: str | None = None
    for wish in wishes:
        if wish is None:
            return None
        if nearest is None or rank(wish) < rank(nearest):
            nearest = wish
    return nearest
