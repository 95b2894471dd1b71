"""Content by its address alone, and where it lies (A1, A7)."""

from __future__ import annotations

from registry.contract.dataplane import Location, RestoreStatus, RetrievalTier
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind
from registry.contract.model import Reading
from registry.control import recording
from registry.control.access import Action, Caller
from registry.control.reading import absence, open_reading, refuse_gone
from registry.control.sql import lookups
from registry.control.sql.lookups import BlobRow
from registry.control.tiers import restoring

_SOON = tuple(RetrievalTier)

_LOCATIONS = """
SELECT location, retrieval_tier, restore_status, restored_until FROM storage_locations
WHERE blob_id = :blob_id ORDER BY location
"""


class ContentService:
    """Implements `registry.contract.store.Contents`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._core = caller.core

    async def get(self, address: Digest) -> Reading:
        blob = await self._find(address)
        reading = await open_reading(
            self._core, self._caller.principal.id, blob, address, ErrorKind.CONTENT_UNKNOWN
        )
        if not await recording.keep_content(self._core, self._caller.principal.id, blob.domain, blob.address):
            raise absence(ErrorKind.CONTENT_UNKNOWN, address)
        return reading

    async def locations(self, address: Digest) -> tuple[Location, ...]:
        blob = await self._find(address)
        rows = await self._core.database.fetch(_LOCATIONS, {"blob_id": blob.id})
        found = [
            Location(name, RetrievalTier(tier), RestoreStatus(status) if status else None, until)
            for name, tier, status, until in rows
        ]
        return tuple(sorted(found, key=lambda one: (_SOON.index(one.tier), one.name)))

    async def restore(self, address: Digest) -> RestoreStatus:
        blob = await self._find(address)
        return await restoring.ask(self._core, self._caller.principal.id, blob.domain, blob.address)

    async def _find(self, address: Digest) -> BlobRow:
        self._caller.may(Action.PULL)
        row = await self._core.database.fetch_one(
            lookups.BLOB_OF_STORE,
            {
                "digest": str(address),
                "domain": "",
                "principal": self._caller.principal.id,
                "now": self._core.clock.now(),
            },
        )
        if row is None:
            raise absence(ErrorKind.CONTENT_UNKNOWN, address)
        blob = BlobRow.of(row)
        refuse_gone(blob.state, ErrorKind.CONTENT_UNKNOWN, address)
        return blob
