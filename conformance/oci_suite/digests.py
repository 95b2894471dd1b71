"""Digests by name of their algorithm, and fresh bytes to take them of."""

import hashlib
import itertools
import random
from collections.abc import Callable, Mapping

import blake3

HASHES: Mapping[str, Callable[[bytes], str]] = {
    "sha256": lambda data: hashlib.sha256(data).hexdigest(),
    "sha512": lambda data: hashlib.sha512(data).hexdigest(),
    "blake3": lambda data: blake3.blake3(data).hexdigest(),
}


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    """`<algorithm>:<hex>` of the bytes."""
    return f"{algorithm}:{HASHES[algorithm](data)}"


def matches(data: bytes, digest: str) -> bool:
    """Whether a digest, of an algorithm this suite knows, is that of the bytes."""
    algorithm = digest.partition(":")[0]
    return algorithm in HASHES and digest_of(data, algorithm) == digest


class Source:
    """Bytes and labels that no other check of this or any other run has had."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)
        self._count = itertools.count(1)

    def blob(self, size: int) -> bytes:
        """Random bytes."""
        return self._random.randbytes(size)

    def label(self, stem: str) -> str:
        """A word with a number of its own."""
        return f"{stem}{next(self._count)}"

    def absent(self, algorithm: str = "sha256") -> str:
        """The digest of bytes that were never pushed."""
        return digest_of(self.blob(64), algorithm)
