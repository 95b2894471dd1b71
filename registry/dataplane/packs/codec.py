"""Content to stored payload and back: compress, seal, store; unseal, decompress, compare with the digest."""

from __future__ import annotations

from enum import IntEnum

from registry.contract.dataplane import DomainId
from registry.contract.digest import blake3_of
from registry.dataplane.drivers.port import Corrupt, Permanent
from registry.dataplane.packs.compression import compress, decompress
from registry.dataplane.packs.records import Kind, Record
from registry.dataplane.sealer import Sealer


class Codec(IntEnum):
    """How a payload is compressed, below the seal."""

    RAW = 0
    ZSTD = 1


#: What a record's digest is the BLAKE3 of: its content. A recipe's is the address of the object instead.
_SELF_DIGEST = frozenset({Kind.BLOB, Kind.CHUNK, Kind.LIST})


class Records:
    """Makes and opens records of one store."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def encode(
        self,
        domain: DomainId,
        kind: Kind,
        digest: bytes,
        data: bytes | memoryview,
        *,
        size: int | None = None,
        level: int | None = None,
    ) -> tuple[Record, bytes]:
        """A record of `data` and its payload; `level` is zstd's, None stores without. `size` is what the
        record says as `raw`, by default the length of `data`."""
        squeezed = compress(data, level) if level is not None else None
        payload = bytes(data) if squeezed is None else squeezed
        seal, stored = self._sealer.seal(domain, kind, digest, payload)
        codec = Codec.RAW if squeezed is None else Codec.ZSTD
        raw = len(data) if size is None else size
        same = stored is payload and squeezed is None and kind in _SELF_DIGEST
        check = digest if same and size is None else blake3_of(stored)
        return Record(kind, codec, seal, len(stored), raw, digest, check), stored

    def at_hand(self, domain: DomainId, record: Record, stored: bytes) -> bool:
        """Whether `decode` needs nobody outside this process."""
        return self._sealer.at_hand(domain, record.seal, stored)

    def decode(self, domain: DomainId, record: Record, stored: bytes) -> bytes:
        """The content of a record, verified. Raises Corrupt, Erased, Transient, Permanent."""
        if record.kind not in _SELF_DIGEST and blake3_of(stored) != record.check:
            raise Corrupt("the bytes held are not those that were stored")
        payload = self._unsealed(domain, record, stored)
        if record.codec == Codec.ZSTD:
            payload = decompress(payload, record.raw)
        elif record.codec != Codec.RAW:
            raise Permanent(f"a record has codec {record.codec}, which this program does not know")
        if record.kind in _SELF_DIGEST:
            found = blake3_of(payload)
            if found != record.digest:
                raise Corrupt(f"the bytes held are blake3:{found.hex()}")
        return payload

    def _unsealed(self, domain: DomainId, record: Record, stored: bytes) -> bytes:
        try:
            return self._sealer.unseal(domain, record.kind, record.digest, record.seal, stored)
        except Permanent:
            if blake3_of(stored) != record.check:  # a flipped bit names a key that nobody has
                raise Corrupt("the bytes held are not those that were stored") from None
            raise
