"""Stored bytes ready to be read, with the check that they are really there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

from registry.contract.dataplane import DomainId, OpenFile
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.control import recording
from registry.control.core import Core
from registry.control.sql import lookups, movable
from registry.control.sql.lookups import AWAY, ERASED, MISSING, BlobRow
from registry.control.tiers import restoring

#: Content up to this size (bytes) is read when it is asked for: that costs no more than to look whether it is
#: there, and it is verified, and cached as manifests are.
_SMALL = 64 * 1024


@dataclass(frozen=True, slots=True)
class StoredReading:
    """Implements `registry.contract.model.Reading` over the data plane.

    Content that is `away` has a size and a digest, and its bytes are RESTORE_REQUIRED (decision 11), which
    may ask for them to be brought back. Bytes that turn out lost or corrupt when they are read are told as
    `open_reading` does it. `data` are all the bytes, verified, of content of at most _SMALL bytes that is not
    away.
    """

    digest: Digest
    size: int
    blob_id: int
    domain: DomainId
    address: Digest
    away: bool
    core: Core
    actor: str
    data: bytes | None = None

    async def open_file(self) -> OpenFile | None:
        if self.away:
            raise await self._away()
        if self.data is not None:
            return None
        try:
            return await self.core.dataplane.open_file(self.domain, self.address)
        except StoreError as error:
            await self._tell(error)
            raise

    async def link(self) -> str | None:
        if self.away or not await may_be_linked(self.core, self.domain, self.blob_id):
            return None
        return await self.core.dataplane.link(self.domain, self.address)

    async def stream(self, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        if self.away:
            raise await self._away()
        if self.data is not None:
            piece = self.data[start:] if length is None else self.data[start : start + length]
            if piece:  # an empty one would end a chunked answer
                yield piece
            return
        try:
            async for piece in self.core.dataplane.read(self.domain, self.address, start, length):
                yield piece
        except StoreError as error:
            await self._tell(error)
            raise

    async def _away(self) -> StoreError:
        await restoring.ask_for_reader(self.core, self.actor, self.domain, self.address, self.blob_id)
        return recording.restore_required(self.address)

    async def _tell(self, error: StoreError) -> None:
        if error.kind is ErrorKind.CONTENT_UNKNOWN:
            await _tell_lost(self.core, self.actor, self.domain, self.address)
        elif error.kind is ErrorKind.RESTORE_REQUIRED:
            await restoring.learn(self.core, self.actor, self.domain, self.address)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Implements `registry.contract.store.FileReading`."""

    digest: Digest
    size: int
    relative_path: str
    media_type: str
    content: StoredReading

    async def open_file(self) -> OpenFile | None:
        return await self.content.open_file()

    async def link(self) -> str | None:
        return await self.content.link()

    def stream(self, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        return self.content.stream(start, length)


async def open_reading(
    core: Core, actor: str, blob: BlobRow, digest: Digest, absent: ErrorKind
) -> StoredReading:
    """Ready `blob` for reading as `digest`; raises `absent` when its bytes are gone, or of another length.

    Raises ERASED too. Absence is written down before it is said, so that HEAD answers alike from then on and
    a push heals it.
    """
    refuse_gone(blob.state, absent, digest)
    core.reads.note(blob.id)
    data, away = None, blob.state == AWAY
    if not away and blob.size <= _SMALL:
        try:
            data = await read_whole(core, actor, blob.domain, blob.address, _SMALL)
        except StoreError as error:
            if error.kind is not ErrorKind.RESTORE_REQUIRED:
                raise
            away = True  # what was restored has gone again, and nobody has seen it yet
            await restoring.learn(core, actor, blob.domain, blob.address)
        if data is None and not away:
            raise absence(absent, digest)
    elif not away:
        try:
            found = await core.dataplane.size(blob.domain, blob.address)
            if found != blob.size:
                raise StoreError(ErrorKind.CONTENT_UNKNOWN, f"{found} of {blob.size} bytes are held")
        except StoreError as error:
            if error.kind is not ErrorKind.CONTENT_UNKNOWN:
                raise
            await recording.note_missing(
                core, actor, blob.domain, blob.address, "absent or cut short when read"
            )
            raise absence(absent, digest) from error
    return StoredReading(digest, blob.size, blob.id, blob.domain, blob.address, away, core, actor, data)


async def may_be_linked(core: Core, domain: DomainId, blob_id: int) -> bool:
    """Whether a URL of the storage may be handed out: never for bytes that lie where they must not.

    The URL may be that of any place that has them, so all must be allowed.
    """
    if not core.placement.restricts_domain(domain):
        return True
    held = await core.database.read(partial(movable.places, low=blob_id, high=blob_id))
    return all(
        core.placement.refusal(domain, core.places.find(one.location)) is None
        for one in held.get(blob_id, ())
    )


async def read_whole(core: Core, actor: str, domain: DomainId, address: Digest, limit: int) -> bytes | None:
    """A small object by the cache or the data plane, verified; None when they are gone, which is noted."""
    data = core.manifest_cache.get(domain, address)
    if data is not None:
        return data
    try:
        data = await core.dataplane.get(domain, address, limit)
    except StoreError as error:
        if error.kind is ErrorKind.TOO_LARGE:
            if not await _has_grown(core, domain, address, limit):
                raise
        elif error.kind is not ErrorKind.CONTENT_UNKNOWN:
            raise
        await _tell_lost(core, actor, domain, address)
        return None
    core.manifest_cache.add(domain, address, data)
    return data


async def _tell_lost(core: Core, actor: str, domain: DomainId, address: Digest) -> None:
    """Write down that a read found bytes absent or corrupt, unless right ones are there by now.

    Corrupt ones are moved away: with the right length they would be taken for those that a push brings.
    """
    if not await core.dataplane.quarantine(domain, address):
        await recording.note_missing(core, actor, domain, address, "absent or corrupt when read")


async def _has_grown(core: Core, domain: DomainId, address: Digest, limit: int) -> bool:
    """Whether bytes beyond `limit` are corrupt, since the content itself is not as large."""
    parameters = {"domain": domain, "content_address": str(address)}
    row = await core.database.fetch_one(lookups.BLOB_BY_ADDRESS, parameters)
    return row is not None and BlobRow.of(row).size <= limit


def refuse_gone(state: str, absent: ErrorKind, digest: Digest | str) -> None:
    """Raises ERASED or `absent` for content that the ledger says is gone, whatever a cache may still have."""
    if state == ERASED:
        raise StoreError(
            ErrorKind.ERASED,
            f"{digest} was erased: the keys of its domain were destroyed",
            detail={"digest": str(digest)},
        )
    if state == MISSING:
        raise absence(absent, digest)


def absence(kind: ErrorKind, digest: Digest | str) -> StoreError:
    """What is not there, said in one way for everybody."""
    return StoreError(kind, f"{digest} is not known here", detail={"digest": str(digest)})
