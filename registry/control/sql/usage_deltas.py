"""Changes of the usage counters, gathered while events are applied and written once (decision 30)."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection

from registry.control.sql.statements import run

_REPOSITORY = """
UPDATE repository_usage SET logical = logical + :logical, exclusive = exclusive + :exclusive,
    objects = objects + :objects WHERE repository_id = :repository_id
"""
_STORE = """
UPDATE store_usage SET logical = logical + :logical, physical = physical + :physical,
    objects = objects + :objects
"""


@dataclass(slots=True)
class _Delta:
    logical: int = 0
    exclusive: int = 0
    objects: int = 0


@dataclass(slots=True)
class UsageDeltas:
    """Bytes and objects that came or went. Sizes in bytes."""

    logical: int = 0
    physical: int = 0
    objects: int = 0
    repositories: dict[int, _Delta] = field(default_factory=dict)

    def add_content(self, size: int) -> None:
        """The store holds content that it did not."""
        self.physical += size
        self.objects += 1

    def remove_content(self, size: int) -> None:
        """The store no longer holds content; no repository had it any more."""
        self.physical -= size
        self.objects -= 1

    def add_link(self, repository: int, others: list[int], size: int) -> None:
        """A repository has content that `others` (two of them at most) have too."""
        self._count(repository, others, size, 1)

    def remove_link(self, repository: int, others: list[int], size: int) -> None:
        """A repository no longer has content that `others` (two of them at most) still have."""
        self._count(repository, others, -size, -1)

    def add(self, other: UsageDeltas) -> None:
        """Take in what a mutation of the same transaction has changed."""
        self.logical += other.logical
        self.physical += other.physical
        self.objects += other.objects
        for repository, delta in other.repositories.items():
            mine = self._of(repository)
            mine.logical += delta.logical
            mine.exclusive += delta.exclusive
            mine.objects += delta.objects

    def write(self, connection: Connection) -> None:
        """Change the counters. Rows in the order of their ids, so that writers never wait in a circle."""
        for repository, delta in sorted(self.repositories.items()):
            if delta != _Delta():
                run(
                    connection,
                    _REPOSITORY,
                    repository_id=repository,
                    logical=delta.logical,
                    exclusive=delta.exclusive,
                    objects=delta.objects,
                )
        if self.logical or self.physical or self.objects:
            run(connection, _STORE, logical=self.logical, physical=self.physical, objects=self.objects)

    def _count(self, repository: int, others: list[int], size: int, objects: int) -> None:
        mine = self._of(repository)
        mine.logical += size
        mine.objects += objects
        if not others:
            mine.exclusive += size
        elif len(others) == 1:
            self._of(others[0]).exclusive -= size
        self.logical += size

    def _of(self, repository: int) -> _Delta:
        return self.repositories.setdefault(repository, _Delta())
