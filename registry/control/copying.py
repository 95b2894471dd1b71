"""One content brought from one store of bytes to another, where it arrives whole and right or not at all.

What arrives is hashed on its way in and takes its address only when it is what the address says: a copy needs
no second reading to be known as good.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from registry.contract.dataplane import DataPlane, DomainId, Stage
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError

#: Up to so many bytes a copy goes through memory in one piece: a log of tiny blobs and a bucket take such
#: with one write.
_SMALL = 1 << 20

#: What says that staged bytes cannot be gone on with: they are others than those of the source, or more.
_SPOILT = frozenset({ErrorKind.DIGEST_MISMATCH, ErrorKind.RANGE_UNSATISFIABLE})


class Origin(Protocol):
    """What a copy is made from. See `DataPlane`."""

    async def get(self, domain: DomainId, address: Digest, limit: int) -> bytes: ...

    def read(self, domain: DomainId, address: Digest, start: int = 0) -> AsyncIterator[bytes]: ...


async def copy(
    source: Origin, target: DataPlane, domain: DomainId, address: Digest, size: int, stage: str
) -> None:
    """Bring content of `size` bytes to `target`; durable on return.

    `stage` is a UUID: where a copy with the same one was broken off, this goes on with what has arrived.
    Raises CONTENT_UNKNOWN and DIGEST_MISMATCH when the source does not have the bytes, or not those, and then
    leaves nothing at the target; and what reading, appending and committing raise.
    """
    if size <= _SMALL:
        await target.put(domain, await source.get(domain, address, size))
        return
    arriving = Stage(domain, stage)
    begun = (await target.staged(arriving)).offset
    try:
        await target.append(arriving, begun, source.read(domain, address, begun))
        await target.commit(arriving, address)
    except StoreError as error:
        if error.kind is ErrorKind.CONTENT_UNKNOWN or error.kind in _SPOILT:
            await target.discard(arriving)
        if not begun or error.kind not in _SPOILT:
            raise
        await copy(source, target, domain, address, size, stage)


async def holds(target: DataPlane, domain: DomainId, address: Digest, size: int) -> bool:
    """Whether the target has content of that size under the address. Raises what is unsure."""
    try:
        return await target.size(domain, address) == size
    except StoreError as error:
        if error.kind is not ErrorKind.CONTENT_UNKNOWN:
            raise
        return False
