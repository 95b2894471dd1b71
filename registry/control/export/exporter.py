"""One process's hand on the export: bundles, tiles and checkpoints, written in an order that a kill may cut.

1. Bundles and tiles that were not there; what is there already must be the same.
2. The checkpoint, which makes them count.
3. The database's note of it. One that is older than the checkpoint is caught up with from the ledger.
4. Partial tiles that are full now are deleted.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace

from registry.contract.tlog import ed25519, note, tiles
from registry.contract.tlog.ed25519 import SignerKey
from registry.contract.tlog.merkle import WIDTH, Tree, leaf_hash
from registry.contract.tlog.note import Checkpoint, NoteError
from registry.contract.tlog.tiles import CHECKPOINT, Place
from registry.control.export import lineage, reading
from registry.control.export.settings import Export
from registry.control.export.state import Exported, fault
from registry.control.sql import followers
from registry.control.work import Work

_LOG = logging.getLogger(__name__)

#: Followers' places, an object that is replaced: they are no part of the ledger.
FOLLOWERS = "followers.json"
#: The public key that signs, for who wants to note it down. Nothing trusts it.
VERIFIER = "verifier"
#: Bundles from one checkpoint to the next while there is much to catch up with.
_STRIDE = 64
#: Deletions on their way at once.
_DELETIONS = 16


class Exporter:
    """Belongs to who holds the work. `open` comes first."""

    def __init__(self, work: Work, export: Export, lease: float) -> None:
        """`lease` are the seconds for which the work is held without a sign of life."""
        self._work = work
        self._core = work.core
        self._archive = export.archive
        self._configured = export.key
        self._lease = lease
        self._tree = Tree()
        self._known = Exported()
        #: The bytes of the checkpoint as it was last seen.
        self._stored: bytes | None = None
        #: Ids of the keys that have signed it.
        self._signed_by: set[bytes] = set()
        #: Names of partial tiles that are written already.
        self._written: set[str] = set()
        self._followers: bytes | None = None

    @property
    def size(self) -> int:
        """How many events the last checkpoint covers."""
        return self._tree.size

    async def open(self) -> None:
        """Compare what is stored with the ledger. Raises StoreError CONFLICT when it is another's."""
        known = self._known = Exported.of(await self._work.load())
        self._stored = await self._archive.get(CHECKPOINT)
        self._written.clear()
        if self._stored is None:
            if known.size:
                _LOG.warning("the storage has no checkpoint any more: all of the ledger is exported anew")
            self._tree = Tree()
            return
        signed = reading.parsed(self._stored)
        stored = signed.checkpoint
        self._signed_by = {one.key_id for one in signed.signatures}
        self._tree = await lineage.grown(self._core, self._archive, stored, known)
        if known.size < stored.size or known.fault:
            await self._settle(known.size)

    async def advance(self, head: int) -> None:
        """Export all up to the event `head`. Raises StoreError, CONFLICT for what must stop the export."""
        if await self._archive.get(CHECKPOINT) != self._stored:
            await self.open()  # somebody else has written: who was paused, or another store
        while self.size < head:
            await self._step(min(head, (self.size // WIDTH + _STRIDE) * WIDTH))

    async def _step(self, end: int) -> None:
        tree = self._tree.copy()
        for index in range(tree.size // WIDTH, -(-end // WIDTH)):
            start = index * WIDTH
            entries = await lineage.ledger_entries(self._core, start, min(start + WIDTH, end))
            await self._write(Place(None, index, len(entries)), tiles.join(entries))
            for entry in entries[tree.size - start :]:
                for tile in tree.append(leaf_hash(entry)):
                    await self._write(Place(tile.level, tile.index), tile.data)
        for tile in tree.partial():
            await self._write(Place(tile.level, tile.index, len(tile.hashes)), tile.data)
        await self._commit(tree)

    async def _write(self, place: Place, data: bytes) -> None:
        if place.name in self._written:
            return
        if not await self._archive.create(place.name, data) and await self._archive.get(place.name) != data:
            raise fault(
                f"{place.name} is in storage with other bytes than this ledger's: another store exports to "
                "the same place, or the database is older than the storage"
            )
        if place.width < WIDTH:
            self._written.add(place.name)

    async def _commit(self, tree: Tree) -> None:
        """Make what was written count."""
        signer = await self._signer()
        data = note.write(Checkpoint(signer.name, tree.size, tree.root()), signer)
        if not self._work.proven_within(self._lease / 2):
            await self._work.prolong()  # whoever slept through its lease writes no checkpoint
        if signer.key_id not in self._signed_by:
            await self._archive.replace(VERIFIER, f"{signer.public}\n".encode())
        await self._archive.replace(CHECKPOINT, data)
        self._signed_by = {signer.key_id}
        before, self._stored, self._tree = self.size, data, tree
        await self._save_followers()
        await self._settle(before)

    async def _settle(self, before: int) -> None:
        """What follows from a checkpoint: partial tiles of `before` go that are full now, and it is noted."""
        for place in (*tiles.rightmost(before), *tiles.bundles(before, before // WIDTH)):
            if place.width < WIDTH and Place(place.level, place.index).end <= self.size:
                await self._sweep(place)
        root, at = self._tree.root(), self._core.clock.now()
        self._known = replace(self._known, size=self.size, root=root, at=at, fault=None)
        await self._work.save(self._known.state())

    async def _sweep(self, place: Place) -> None:
        names = [name async for name in self._archive.names(place.partials)]
        for start in range(0, len(names), _DELETIONS):
            await asyncio.gather(*map(self._archive.delete, names[start : start + _DELETIONS]))
        self._written.difference_update(names)

    async def _signer(self) -> SignerKey:
        origin = await lineage.read_origin(self._core)
        if origin is None:
            raise fault("an empty ledger has nothing to export")
        pem = self._configured or self._known.key
        if pem is None:
            pem = ed25519.new_key()
            self._known = replace(self._known, key=pem)
            await self._work.save(self._known.state())
        try:
            return ed25519.signer(pem, origin)
        except NoteError as error:
            raise fault(f"the key for checkpoints {error}") from None

    async def _save_followers(self) -> None:
        """Where followers are, so that they go on there after a recovery; written when it has changed."""
        found = await self._core.database.read(followers.rows)
        places = [{"name": row.name, "cursor": row.place.cursor, "stopped": row.stopped} for row in found]
        data = json.dumps({"followers": places}).encode()
        if places and data != self._followers:
            await self._archive.replace(FOLLOWERS, data)
            self._followers = data
