"""Sealed records of packs: each sealed whole, with a nonce of its own, by XAES-256-GCM.

A record is short (a tiny blob, a chunk, a recipe) and only ever read whole, so that one call of the cipher
does it. What it is (domain, kind, digest) is bound in; where it lies is not, since rewriting moves it.
"""

from __future__ import annotations

from registry.contract.dataplane import DomainId
from registry.dataplane.drivers.port import Corrupt, Permanent
from registry.dataplane.sealer import PLAIN
from registry.dataplane.sealing.keyring import KeyRing
from registry.dataplane.sealing.providers import KeyName
from registry.dataplane.sealing.xaes import Unauthentic

#: The seal number of a payload that is: id of the data key (16 bytes), nonce, ciphertext, tag.
SEALED = 1

_ID = 16


class RecordSealer:
    """The `Sealer` of stores with a key ring: leaves the records of other domains as they are."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def seal(self, domain: DomainId, kind: int, digest: bytes, payload: bytes) -> tuple[int, bytes]:
        if not self._ring.seals(domain):
            return PLAIN, payload
        key = self._ring.current(domain)
        return SEALED, key.name.id + key.records.seal(payload, _associated(domain, kind, digest))

    def unseal(self, domain: DomainId, kind: int, digest: bytes, seal: int, stored: bytes) -> bytes:
        if seal == PLAIN:
            return stored
        if seal != SEALED:
            raise Permanent(f"a record has seal {seal}, which this program does not know")
        key = self._ring.find(KeyName(domain, stored[:_ID]))
        try:
            return key.records.open(memoryview(stored)[_ID:], _associated(domain, kind, digest))
        except Unauthentic:
            raise Corrupt("the bytes held are not those that were sealed") from None

    def at_hand(self, domain: DomainId, seal: int, stored: bytes) -> bool:
        return seal == PLAIN or self._ring.at_hand(KeyName(domain, stored[:_ID]))


def _associated(domain: DomainId, kind: int, digest: bytes) -> bytes:
    return bytes((kind,)) + digest + domain.encode("ascii")
