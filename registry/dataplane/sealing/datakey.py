"""A domain's data key, unwrapped: one key for each thing that is sealed with it, derived."""

from __future__ import annotations

import hmac

from registry.dataplane.sealing.providers import KeyName
from registry.dataplane.sealing.xaes import Xaes

#: Length in bytes of a data key, and of the keys derived from it.
LENGTH = 32


class DataKey:
    """What seals the records and files of one domain. FORMAT.md, "Keys", has the derivation."""

    def __init__(self, name: KeyName, key: bytes) -> None:
        """`key` are 32 random bytes."""
        self.name = name
        self.files = expand(key, b"artifact-store files 1")
        self.addresses = expand(key, b"artifact-store addresses 1")
        self.records = Xaes(expand(key, b"artifact-store records 1"))


def expand(key: bytes, info: bytes, length: int = LENGTH) -> bytes:
    """HKDF-Expand (RFC 5869) with SHA-384, of at most 48 bytes, which are its first block."""
    return hmac.digest(key, info + b"\x01", "sha384")[:length]
