"""A bounded cache of immutable bytes by content address: never stale, because content never changes."""

from __future__ import annotations

from collections import OrderedDict

from registry.contract.dataplane import DomainId
from registry.contract.digest import Digest


class ByteCache:
    """Least recently used bytes go first. `capacity` is in bytes; nothing above a quarter of it is kept."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held = 0
        self._entries: OrderedDict[tuple[DomainId, Digest], bytes] = OrderedDict()

    def get(self, domain: DomainId, address: Digest) -> bytes | None:
        data = self._entries.get((domain, address))
        if data is not None:
            self._entries.move_to_end((domain, address))
        return data

    def add(self, domain: DomainId, address: Digest, data: bytes) -> None:
        if len(data) > self._capacity // 4:
            return
        self.drop(domain, address)
        self._entries[(domain, address)] = data
        self._held += len(data)
        while self._held > self._capacity:
            _, oldest = self._entries.popitem(last=False)
            self._held -= len(oldest)

    def drop(self, domain: DomainId, address: Digest) -> None:
        data = self._entries.pop((domain, address), None)
        if data is not None:
            self._held -= len(data)
