"""Small contents are read once: copied, and kept in memory for what the views take from them next."""

from __future__ import annotations

from collections.abc import AsyncIterator

from registry.contract.dataplane import DataPlane, DomainId
from registry.contract.digest import Digest
from registry.control.cache import ByteCache

#: Bytes of the last contents that are kept, and of the largest: manifests are smaller, nearly all of them.
ROOM = 16 << 20
_SMALL = 64 << 10


class Passing:
    """What is copied, on its way from `origin`."""

    def __init__(self, origin: DataPlane, cache: ByteCache) -> None:
        self._origin = origin
        self._cache = cache

    async def get(self, domain: DomainId, address: Digest, limit: int) -> bytes:
        data = await self._origin.get(domain, address, limit)
        if len(data) <= _SMALL:
            self._cache.add(domain, address, data)
        return data

    def read(self, domain: DomainId, address: Digest, start: int = 0) -> AsyncIterator[bytes]:
        return self._origin.read(domain, address, start)


class Arrived:
    """What has been copied to `target`: from memory, or from there. Verified in either case."""

    def __init__(self, target: DataPlane, cache: ByteCache) -> None:
        self._target = target
        self._cache = cache

    async def get(self, domain: DomainId, address: Digest, limit: int) -> bytes:
        data = self._cache.get(domain, address)
        return data if data is not None else await self._target.get(domain, address, limit)
