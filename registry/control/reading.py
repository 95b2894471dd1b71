"""Stored bytes ready to be read, with the check that they are really there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from registry.contract.dataplane import DomainId, OpenFile
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.control import recording
from registry.control.core import Core
from registry.control.sql import lookups
from registry.control.sql.lookups import AWAY, ERASED, MISSING, BlobRow

#: Content up to this size (bytes) is read when it is asked for: that costs no more than to look whether it is
#: there, and it is verified, and cached as manifests are.
_SMALL = 64 * 1024


@dataclass(frozen=True, slots=True)
class StoredReading:
    """Implements `registry.contract.model.Reading` over the data plane.

    Content that is `away` has a size and a digest, and its bytes are RESTORE_REQUIRED (decision 11). Bytes
    that turn out lost or corrupt when they are read are told as `open_reading` does it. `data` are all the
    bytes, verified, of content of at most _SMALL bytes that is not away.
    """

    digest: Digest
    size: int
    domain: DomainId
    address: Digest
    away: bool
    core: Core
    actor: str
    data: bytes | None = None

    async def open_file(self) -> OpenFile | None:
        if self.away:
            raise recording.restore_required(self.address)
        if self.data is not None:
            return None
        try:
            return await self.core.dataplane.open_file(self.domain, self.address)
        except StoreError as error:
            await self._tell(error)
            raise

    async def link(self) -> str | None:
        return None if self.away else await self.core.dataplane.link(self.domain, self.address)

    async def stream(self, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        if self.away:
            raise recording.restore_required(self.address)
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

    async def _tell(self, error: StoreError) -> None:
        if error.kind is ErrorKind.CONTENT_UNKNOWN:
            await _tell_lost(self.core, self.actor, self.domain, self.address)


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
    data = None
    if blob.state != AWAY and blob.size <= _SMALL:
        data = await read_whole(core, actor, blob.domain, blob.address, _SMALL)
        if data is None:
            raise absence(absent, digest)
    elif blob.state != AWAY:
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
    away = blob.state == AWAY
    return StoredReading(digest, blob.size, blob.domain, blob.address, away, core, actor, data)


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
