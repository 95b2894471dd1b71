"""What a follower is: a name that its place is kept by, a sink, and which events it is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from registry.contract.delivery import Sink


@dataclass(frozen=True, slots=True)
class Follower:
    """One receiver of the ledger's events, as it is set. `open_sink` touches no network."""

    name: str
    open_sink: Callable[[], Sink]
    #: Where it delivers to, for people; no password in it.
    target: str = ""
    #: Globs of kinds, such as `tag.*`; none means all.
    kinds: tuple[str, ...] = ()
    #: Globs of repositories; with some, events of the store as a whole are left out. None means all.
    repositories: tuple[str, ...] = ()
    #: A follower that is new begins with the next event; otherwise with the ledger's first.
    from_now: bool = False
    #: So often an event is refused before it is a dead letter.
    attempts: int = 16
    #: The `source` of its CloudEvents; None for the ledger's own name.
    source: str | None = None

    def wants(self, kind: str, scope: str | None) -> bool:
        """Whether an event of that kind and repository is delivered."""
        return _any(kind, self.kinds) and _any(scope, self.repositories)


def _any(value: str | None, patterns: tuple[str, ...]) -> bool:
    return not patterns or (value is not None and any(fnmatchcase(value, pattern) for pattern in patterns))
