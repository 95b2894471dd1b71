"""Ed25519 keys that sign notes (c2sp.org/signed-note, signature type 1). The home of that algorithm.

A private key is kept as PKCS #8 in PEM (RFC 5958), a public one as the text of a verifier key:
`name+<key id, 8 hex digits>+base64(0x01 || key)`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from registry.contract.tlog.note import NoteError

_TYPE = b"\x01"
_KEY = 32


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key (32 bytes) under a name."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        return _key_id(self.name, self.public)

    def verifies(self, text: bytes, signature: bytes) -> bool:
        """Whether the signature is this key's, over that text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except InvalidSignature:
            return False
        return True

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_TYPE + self.public).decode()}"


@dataclass(frozen=True, slots=True)
class SignerKey:
    """A private key under a name."""

    name: str
    _key: Ed25519PrivateKey

    @property
    def public(self) -> VerifierKey:
        raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return VerifierKey(self.name, raw)

    @property
    def key_id(self) -> bytes:
        return self.public.key_id

    def sign(self, text: bytes) -> bytes:
        """The signature over the text, 64 bytes."""
        return self._key.sign(text)


def new_key() -> str:
    """A random private key, as PEM."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def signer(pem: str, name: str) -> SignerKey:
    """The private key in a PEM text, under that name. Raises NoteError."""
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError):
        raise NoteError("is no private key in PEM without a password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise NoteError("is a key of another algorithm than Ed25519")
    return SignerKey(name, key)


def verifier(text: str) -> VerifierKey:
    """The public key of a text `name+id+key`. Raises NoteError."""
    name, _, rest = text.strip().partition("+")
    identifier, _, encoded = rest.partition("+")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raw = b""
    if not name or raw[:1] != _TYPE or len(raw) != 1 + _KEY:
        raise NoteError("is no verifier key of Ed25519, name+id+key")
    found = VerifierKey(name, raw[1:])
    if found.key_id.hex() != identifier:
        raise NoteError("is damaged: its id is not that of its key")
    return found


def _key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _TYPE + public).digest()[:4]
