"""Digests: the one table of algorithms, the parsed `Digest` and the incremental `MultiHasher`.

Grammar: OCI image-spec, descriptor.md, "Digests". Only a digest's own hex ever becomes a path.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from blake3 import blake3

from registry.contract.errors import ErrorKind, StoreError


class Hasher(Protocol):
    """What hashlib and blake3 objects have in common. `update` releases the GIL for large input."""

    def update(self, data: bytes | bytearray | memoryview, /) -> object: ...

    def hexdigest(self) -> str: ...


class Algorithm(StrEnum):
    """The digest algorithms this store knows (commitment A2)."""

    BLAKE3 = "blake3"
    SHA256 = "sha256"
    SHA512 = "sha512"


@dataclass(frozen=True, slots=True)
class _Implementation:
    hex_length: int
    new: Callable[[], Hasher]


_IMPLEMENTATIONS: dict[Algorithm, _Implementation] = {
    Algorithm.BLAKE3: _Implementation(64, blake3),
    Algorithm.SHA256: _Implementation(64, hashlib.sha256),
    Algorithm.SHA512: _Implementation(128, hashlib.sha512),
}

#: Every blob gets these in one pass; SHA-512 is computed when somebody names content by it.
ALWAYS = (Algorithm.BLAKE3, Algorithm.SHA256)

_GRAMMAR = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")
_LOWER_HEX = re.compile(r"[0-9a-f]+")
_LONGEST = 1024


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A parsed digest. `str(digest)` is `<algorithm>:<lower-case hex>`."""

    algorithm: Algorithm
    hex: str

    def __str__(self) -> str:
        return f"{self.algorithm.value}:{self.hex}"

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Parse `text`; raises StoreError DIGEST_INVALID for bad grammar and unknown algorithms alike."""
        if len(text) > _LONGEST or not _GRAMMAR.fullmatch(text):
            raise StoreError(
                ErrorKind.DIGEST_INVALID, "a digest looks like sha256:<64 lower-case hex digits>"
            )
        name, _, encoded = text.partition(":")
        algorithm = parse_algorithm(name)
        if len(encoded) != _IMPLEMENTATIONS[algorithm].hex_length or not _LOWER_HEX.fullmatch(encoded):
            raise StoreError(
                ErrorKind.DIGEST_INVALID,
                f"a {name} digest has {_IMPLEMENTATIONS[algorithm].hex_length} lower-case hex digits",
            )
        return cls(algorithm, encoded)

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview, algorithm: Algorithm) -> Digest:
        """The digest of `data`, computed in the calling thread."""
        hasher = new_hasher(algorithm)
        hasher.update(data)
        return cls(algorithm, hasher.hexdigest())

    def matches(self, other: Digest) -> bool:
        """Compare in constant time."""
        return self.algorithm is other.algorithm and hmac.compare_digest(self.hex, other.hex)


def parse_algorithm(name: str) -> Algorithm:
    """The algorithm called `name`; raises StoreError DIGEST_INVALID when this store does not know it."""
    try:
        return Algorithm(name)
    except ValueError:
        known = ", ".join(algorithm.value for algorithm in Algorithm)
        raise StoreError(
            ErrorKind.DIGEST_INVALID, f"unknown digest algorithm; this store knows {known}"
        ) from None


def blake3_of(data: bytes | bytearray | memoryview) -> bytes:
    """The 32 bytes of the BLAKE3 of `data`, for what is stored by its binary form."""
    return blake3(data).digest()


def new_hasher(algorithm: Algorithm) -> Hasher:
    """A fresh incremental hasher."""
    return _IMPLEMENTATIONS[algorithm].new()


class MultiHasher:
    """Several digests of one stream in one pass over the bytes."""

    def __init__(self, algorithms: Iterable[Algorithm] = ALWAYS) -> None:
        self._hashers = {algorithm: new_hasher(algorithm) for algorithm in algorithms}

    @property
    def algorithms(self) -> frozenset[Algorithm]:
        return frozenset(self._hashers)

    def hasher(self, algorithm: Algorithm) -> Hasher:
        """One of the hashers, for a caller that updates them on threads of its own."""
        return self._hashers[algorithm]

    def update(self, data: bytes | bytearray | memoryview) -> None:
        for hasher in self._hashers.values():
            hasher.update(data)

    def digests(self) -> dict[Algorithm, Digest]:
        return {algorithm: Digest(algorithm, h.hexdigest()) for algorithm, h in self._hashers.items()}
