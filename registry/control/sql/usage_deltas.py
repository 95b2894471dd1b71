"""Changes of the usage counters, gathered while events are applied and written once (decision 30)."""

from __future__ import annotations

from dataclasses import dataclass, field

from registry.control.sql.changes import Changes

_REPOSITORY = """
UPDATE repository_usage SET logical = logical + :logical, exclusive = exclusive + :exclusive,
    objects = objects + :objects WHERE repository_id = :repository_id
"""
_STORE = """
UPDATE store_usage SET logical = logical + :logical, physical = physical + :physical,
    objects = objects + :objects
"""
_PLACE = """
INSERT INTO location_usage (location, bytes, objects) VALUES (:location, :bytes, :objects)
ON CONFLICT (location) DO UPDATE SET bytes = location_usage.bytes + excluded.bytes,
    objects = location_usage.objects + excluded.objects
"""
#: A replay writes none for what came and went within its step.
_EMPTY_PLACES = "DELETE FROM location_usage WHERE objects = 0"


@dataclass(slots=True)
class _Held:
    bytes: int = 0
    objects: int = 0


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
    places: dict[str, _Held] = field(default_factory=dict)

    def add_content(self, size: int) -> None:
        """The store holds content that it did not."""
        self.physical += size
        self.objects += 1

    def remove_content(self, size: int) -> None:
        """The store no longer holds content; no repository had it any more."""
        self.physical -= size
        self.objects -= 1

    def add_place(self, location: str, size: int) -> None:
        """A location holds content that it did not."""
        self._count_place(location, size, 1)

    def remove_place(self, location: str, size: int) -> None:
        """A location no longer holds content."""
        self._count_place(location, -size, -1)

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
        for location, held in other.places.items():
            self._count_place(location, held.bytes, held.objects)

    def write(self, changes: Changes) -> None:
        """Change the counters. Rows in the order of their ids, so that writers never wait in a circle."""
        for repository, delta in sorted(self.repositories.items()):
            if delta != _Delta():
                changes.run(
                    _REPOSITORY,
                    repository_id=repository,
                    logical=delta.logical,
                    exclusive=delta.exclusive,
                    objects=delta.objects,
                )
        if self.logical or self.physical or self.objects:
            changes.run(_STORE, logical=self.logical, physical=self.physical, objects=self.objects)
        for location, held in sorted(self.places.items()):
            if held != _Held():
                changes.run(_PLACE, location=location, bytes=held.bytes, objects=held.objects)
        if any(held.objects < 0 for held in self.places.values()):
            changes.send()
            changes.run(_EMPTY_PLACES)

    def _count(self, repository: int, others: list[int], size: int, objects: int) -> None:
        mine = self._of(repository)
        mine.logical += size
        mine.objects += objects
        if not others:
            mine.exclusive += size
        elif len(others) == 1:
            self._of(others[0]).exclusive -= size
        self.logical += size

    def _count_place(self, location: str, size: int, objects: int) -> None:
        held = self.places.setdefault(location, _Held())
        held.bytes += size
        held.objects += objects

    def _of(self, repository: int) -> _Delta:
        return self.repositories.setdefault(repository, _Delta())
