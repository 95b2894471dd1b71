"""The catalogue: what the vault has taken, told without the vault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from registry.contract.dataplane import DomainId
from registry.dataplane.drivers.folder.layout import CATALOGUE, catalogue_place
from registry.dataplane.drivers.folder.notes import Notes
from registry.dataplane.drivers.port import Area, Corrupt, ObjectKey
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.paths import is_address, is_domain

_SIZE, _SUFFIX = "size", "suffix"


class Entry(NamedTuple):
    """An object in the vault: bytes of content, and what the name of its file ends with."""

    size: int
    suffix: str


class Catalogue:
    """Blocking, in any thread. An entry is durable before its bytes count as held. Raises OSError."""

    def __init__(self, tree: Tree, notes: Notes) -> None:
        self._tree = tree
        self._notes = notes

    def add(self, key: ObjectKey, entry: Entry) -> None:
        self._notes.write(catalogue_place(key), {_SIZE: entry.size, _SUFFIX: entry.suffix})

    def find(self, key: ObjectKey) -> Entry | None:
        """None for what the vault has never taken. Raises Corrupt."""
        note = self._notes.read(catalogue_place(key))
        if note is None:
            return None
        size, suffix = note.get(_SIZE), note.get(_SUFFIX)
        if not isinstance(size, int) or not isinstance(suffix, str):
            raise Corrupt(f"the catalogue's entry of {key.hex} is damaged; put it back from a backup")
        return Entry(size, suffix)

    def remove(self, key: ObjectKey) -> None:
        self._notes.drop(catalogue_place(key))

    def domains(self) -> list[DomainId]:
        return [DomainId(name) for name in filter(is_domain, self._tree.names((CATALOGUE,)))]

    def shards(self, domain: DomainId) -> list[str]:
        return self._tree.names((CATALOGUE, domain))

    def among(self, domain: DomainId, shard: str) -> Iterator[tuple[ObjectKey, int]]:
        """The entries of one folder. Raises Corrupt."""
        for name in self._tree.names((CATALOGUE, domain, shard)):
            if is_address(name) and name.startswith(shard):
                key = ObjectKey(Area.CONTENT, domain, name)
                entry = self.find(key)
                if entry is not None:  # gone since
                    yield key, entry.size
