"""What nobody needs any more goes: fetched bytes whose time is over, files that the vault should not have."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from registry.contract.dataplane import DomainId
from registry.dataplane.drivers.folder.catalogue import Catalogue, Entry
from registry.dataplane.drivers.folder.layout import DELETIONS, UNSETTLED, note_place
from registry.dataplane.drivers.folder.notes import Note, Notes
from registry.dataplane.drivers.folder.vault import Vault
from registry.dataplane.drivers.local import LocalDriver
from registry.dataplane.drivers.port import Area, ObjectKey
from registry.dataplane.paths import is_address, is_domain


class Tidying:
    """For one location. Blocking, in any thread. Times are microseconds since the epoch. Raises OSError."""

    def __init__(
        self,
        desk: LocalDriver,
        catalogue: Catalogue,
        notes: Notes,
        vault: Vault,
        *,
        until: Callable[[int], int],
        now: Callable[[], int],
    ) -> None:
        """`until` says how long counts what came to the desk at a moment."""
        self._desk = desk
        self._catalogue = catalogue
        self._notes = notes
        self._vault = vault
        self._until = until
        self._now = now

    def all(self, before: int) -> int:
        """Everything there is to do about what was begun `before`. Returns how much that was."""
        broken_off = self._notes.reap(before) + self._vault.reap(before)
        return broken_off + self._desk_cleared(before) + self._vault_cleared(before)

    def _desk_cleared(self, before: int) -> int:
        count = 0
        for domain in filter(is_domain, self._desk.tree.names((Area.CONTENT.value,))):
            for shard in self._desk.tree.names((Area.CONTENT.value, domain)):
                names = self._desk.tree.names((Area.CONTENT.value, domain, shard))
                for address in filter(is_address, {name.partition(".")[0] for name in names}):
                    count += self._expired(ObjectKey(Area.CONTENT, DomainId(domain), address), before)
        return count

    def _expired(self, key: ObjectKey, before: int) -> bool:
        with suppress(FileNotFoundError):
            since = self._desk.loose.id(key).changed // 1000
            # Without an entry it is what a crash on the way to the vault has left.
            if self._until(since) <= self._now() or (since < before and self._catalogue.find(key) is None):
                self._desk.loose.delete(key)
                return True
        return False

    def leave(self, key: ObjectKey, entry: Entry) -> None:
        """Delete a file of the vault, or ask whoever has it now to do so."""
        if not self._vault.delete(key, entry.suffix):
            source = str(self._vault.path(key, entry.suffix))
            note: Note = {"from": source, "size": entry.size, "suffix": entry.suffix}
            self._notes.write(note_place(DELETIONS, key), note)

    def _vault_cleared(self, before: int) -> int:
        """Files without an entry go: deleted while they were not at hand, or cut off on their way."""
        count = 0
        for folder, settle in ((UNSETTLED, self._settled), (DELETIONS, self._deleted)):
            for domain in filter(is_domain, self._desk.tree.names((folder,))):
                for name in filter(is_address, self._desk.tree.names((folder, domain))):
                    key = ObjectKey(Area.CONTENT, DomainId(domain), name)
                    note = self._notes.read(note_place(folder, key))
                    # One that is under way may have come to any step.
                    if note is not None and int(note.get("begun", before - 1)) < before:
                        count += settle(key, note) and self._notes.drop(note_place(folder, key))
        return count

    def _settled(self, key: ObjectKey, note: Note) -> bool:
        if self._catalogue.find(key) is not None:
            return True
        suffix = str(note["suffix"])
        if "size" in note:  # it was leaving, and may have been on a tape
            self.leave(key, Entry(int(note["size"]), suffix))
            return True
        return self._vault.delete(key, suffix) or self._vault.is_there()

    def _deleted(self, key: ObjectKey, note: Note) -> bool:
        """With an entry it has come again since, and its file is wanted."""
        return self._catalogue.find(key) is not None or self._vault.delete(key, str(note["suffix"]))
