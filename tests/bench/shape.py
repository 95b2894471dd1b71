"""What a store filled in bulk holds: every byte follows from the shape, nothing need be remembered."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

import blake3

from registry.contract.manifest import OCI_EMPTY, OCI_MANIFEST

#: The config of every manifest.
EMPTY = b"{}"
_TYPE = "application/vnd.example.bulk"


@dataclass(frozen=True, slots=True)
class Shape:
    """How much of what. `size` is a blob's in bytes.

    `garbage` percent of the blobs are named by no manifest; the others are shared out among the manifests,
    each a layer of one, or of several where there are more manifests than blobs. Tag number t points at
    manifest t, and from the beginning again where there are more tags than manifests. All `referrers` have
    manifest 0 as their subject.
    """

    blobs: int
    manifests: int = 0
    tags: int = 0
    referrers: int = 0
    garbage: int = 0
    size: int = 1024

    def __post_init__(self) -> None:
        """Raises ValueError for what cannot be."""
        if self.manifests and not self.named:
            raise ValueError("manifests need blobs to name: more blobs, or less garbage")
        if (self.tags or self.referrers) and not self.manifests:
            raise ValueError("tags and referrers need manifests to point at")
        if not 0 <= self.garbage <= 100:
            raise ValueError("garbage is a percentage")

    @property
    def named(self) -> int:
        """Blobs 0 to `named` - 1 are layers of manifests; those from there on are garbage."""
        return self.blobs * (100 - self.garbage) // 100

    def blob(self, number: int) -> bytes:
        """Bytes that nothing compresses, no two alike."""
        return blake3.blake3(b"blob %d" % number).digest(length=self.size)

    def manifest(self, number: int) -> bytes:
        """An image manifest with the empty config."""
        each = -(-self.named // self.manifests)
        layers = [self.blob((number * each + place) % self.named) for place in range(each)]
        return document(layers, {"dev.example.number": str(number)})

    def referrer(self, number: int) -> bytes:
        """An artifact about manifest 0."""
        about = {"subject": descriptor(self.manifest(0), OCI_MANIFEST), "artifactType": _TYPE}
        return document([], {"dev.example.number": str(number)}, about)

    def tag(self, number: int) -> tuple[str, int]:
        """A tag's name and the number of the manifest that it points at."""
        return f"v{number:07d}", number % self.manifests

    def contents(self) -> int:
        """Objects in the store: blobs, manifests, referrers and one config."""
        return self.blobs + self.manifests + self.referrers + bool(self.manifests)


def digest_of(data: bytes) -> str:
    """The digest that clients use."""
    return f"sha256:{sha256(data).hexdigest()}"


def batches(count: int, size: int) -> Iterator[range]:
    """The numbers below `count`, `size` at a time."""
    for start in range(0, count, size):
        yield range(start, min(start + size, count))


def descriptor(data: bytes, media_type: str = "application/octet-stream") -> dict[str, object]:
    """What a manifest says of bytes."""
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def document(
    layers: list[bytes], annotations: dict[str, str], more: Mapping[str, object] | None = None
) -> bytes:
    """An image manifest with the empty config."""
    fields = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(EMPTY, OCI_EMPTY),
        "layers": [descriptor(layer) for layer in layers],
        "annotations": annotations,
        **(more or {}),
    }
    return json.dumps(fields).encode()
