"""FLOE: random-access authenticated encryption in segments (https://c2sp.org/FLOE, eprint 2025/2275).

AES-256-GCM with keys derived by HKDF-Expand-SHA-384. A message is a header and segments of one length, of
which the last may be shorter. Each segment has a random IV, and its position and whether it is the last are
authenticated, so that none can be cut off, moved, or taken from another message. It was chosen before
chunked-encryption because a segment may be sealed again, which the tail of an upload is at every append:
there the nonce is the segment's number, and sealing twice would give the key away (decision 37).
"""

from __future__ import annotations

import hmac
import os
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from registry.dataplane.sealing.xaes import Unauthentic

_FINAL = struct.Struct(">I")
_PARAMETERS = struct.Struct(">BBII")
_PLACE = struct.Struct(">QB")
_INTERNAL = _FINAL.pack(0xFFFFFFFF)
_IV = 32
_HEADER_TAG = 32
_AEAD_IV = 12
_AEAD_TAG = 16
_AEAD_KEY = 32
_KDF_KEY = 48

#: Bytes of a header.
HEADER = _PARAMETERS.size + _IV + _HEADER_TAG
#: Bytes that a segment is longer than its content.
OVERHEAD = _FINAL.size + _AEAD_IV + _AEAD_TAG
#: Bits of a position that do not change the segment's key.
_ROTATION = 20


class Floe:
    """The parameters: `segment` is the length of a sealed segment in bytes (ENC_SEG_LEN), `rotation` binary
    logarithm of how many segments share a key."""

    def __init__(self, segment: int, rotation: int = _ROTATION) -> None:
        self.segment = segment
        self.content = segment - OVERHEAD
        self.rotation = rotation
        self.parameters = _PARAMETERS.pack(0, 0, segment, _IV)

    def begin(self, key: bytes, associated: bytes) -> tuple[Message, bytes]:
        """A new message, and its header. `key` has 32 bytes; `associated` is authenticated and not stored."""
        iv = os.urandom(_IV)
        return Message(self, key, iv, associated), self._header(key, iv, associated)

    def open(self, key: bytes, associated: bytes, header: bytes) -> Message:
        """The message with that header. Raises Unauthentic."""
        iv = header[_PARAMETERS.size : -_HEADER_TAG]
        if len(header) != HEADER or not hmac.compare_digest(header, self._header(key, iv, associated)):
            raise Unauthentic
        return Message(self, key, iv, associated)

    def derive(self, key: bytes, iv: bytes, purpose: bytes, associated: bytes, length: int) -> bytes:
        """FLOE_KDF: HKDF-Expand of at most 48 bytes, which are its first block."""
        return hmac.digest(key, self.parameters + iv + purpose + associated + b"\x01", "sha384")[:length]

    def _header(self, key: bytes, iv: bytes, associated: bytes) -> bytes:
        return self.parameters + iv + self.derive(key, iv, b"HEADER_TAG:", associated, _HEADER_TAG)


class Message:
    """One message: seals and opens its segments in any order. Used in any thread."""

    def __init__(self, floe: Floe, key: bytes, iv: bytes, associated: bytes) -> None:
        self.iv = iv
        self._floe = floe
        self._associated = associated
        self._key = floe.derive(key, iv, b"MESSAGE_KEY:", associated, _KDF_KEY)
        self._last: tuple[int, AESGCM] | None = None

    def seal(self, position: int, data: bytes | memoryview, final: bool) -> bytes:
        """A segment. All but the final one have the full length of content."""
        iv = os.urandom(_AEAD_IV)
        sealed = self._cipher(position).encrypt(iv, data, _PLACE.pack(position, final))
        first = _FINAL.pack(OVERHEAD + len(data)) if final else _INTERNAL
        return b"".join((first, iv, sealed))

    def open(self, position: int, segment: memoryview, final: bool) -> bytes:
        """The content of a segment. Raises Unauthentic for any that is not the one sealed at its position."""
        expected = _FINAL.pack(len(segment)) if final else _INTERNAL
        fits = OVERHEAD <= len(segment) <= self._floe.segment if final else len(segment) == self._floe.segment
        if not fits or segment[: _FINAL.size] != expected:
            raise Unauthentic
        iv = segment[_FINAL.size : _FINAL.size + _AEAD_IV]
        try:
            return self._cipher(position).decrypt(
                iv, segment[_FINAL.size + _AEAD_IV :], _PLACE.pack(position, final)
            )
        except InvalidTag:
            raise Unauthentic from None

    def _cipher(self, position: int) -> AESGCM:
        turn = position >> self._floe.rotation << self._floe.rotation
        last = self._last
        if last is None or last[0] != turn:
            purpose = b"DEK:" + turn.to_bytes(8, "big")
            key = self._floe.derive(self._key, self.iv, purpose, self._associated, _AEAD_KEY)
            last = self._last = turn, AESGCM(key)
        return last[1]


def final_length(segment: bytes) -> int:
    """The length that a final segment says it has, by its first 4 bytes; 0xFFFFFFFF for others."""
    length: int = _FINAL.unpack(segment)[0]
    return length
