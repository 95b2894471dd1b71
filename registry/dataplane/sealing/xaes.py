"""XAES-256-GCM: AES-256-GCM with nonces of 192 bits, which may be random (https://c2sp.org/XAES-256-GCM).

For what is sealed and opened in one piece: records of packs, and data keys. A nonce of AES-GCM itself has 96
bits, too few to be random under a key that seals every record of a domain for years.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

KEY = 32
NONCE = 24
TAG = 16
#: Bytes that a sealed message is longer than its content: nonce and tag.
OVERHEAD = NONCE + TAG

_HALF = 12
_BLOCK = 16


class Unauthentic(Exception):  # noqa: N818 - what it says of the bytes
    """The bytes are not those that were sealed, or not with this key and this associated data."""


class Xaes:
    """Seals with one key, of 32 bytes. Used in any thread."""

    def __init__(self, key: bytes) -> None:
        self._cipher = Cipher(AES(key), ECB())  # noqa: S305 - a block at a time, as CMAC is made
        block = int.from_bytes(self._encrypt(bytes(_BLOCK)))
        carry = 0x87 if block >> 127 else 0
        self._subkey = (block << 1 & (1 << 128) - 1) ^ carry

    def seal(self, data: bytes, associated: bytes, nonce: bytes | None = None) -> bytes:
        """Nonce, ciphertext and tag. A `nonce` is given by tests alone; it is random otherwise."""
        nonce = os.urandom(NONCE) if nonce is None else nonce
        return nonce + self._derived(nonce).encrypt(nonce[_HALF:], data, associated)

    def open(self, sealed: bytes | memoryview, associated: bytes) -> bytes:
        """The content again. Raises Unauthentic."""
        nonce = bytes(sealed[:NONCE])
        if len(sealed) < OVERHEAD:
            raise Unauthentic
        try:
            return self._derived(nonce).decrypt(nonce[_HALF:], memoryview(sealed)[NONCE:], associated)
        except InvalidTag:
            raise Unauthentic from None

    def _derived(self, nonce: bytes) -> AESGCM:
        first, second = (
            (int.from_bytes(bytes((0, counter, 0x58, 0)) + nonce[:_HALF]) ^ self._subkey).to_bytes(_BLOCK)
            for counter in (1, 2)
        )
        return AESGCM(self._encrypt(first + second))

    def _encrypt(self, blocks: bytes) -> bytes:
        return self._cipher.encryptor().update(blocks)
