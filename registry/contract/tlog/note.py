"""Checkpoints: what a log says of itself, as a signed note (c2sp.org/tlog-checkpoint, c2sp.org/signed-note).

origin
size, decimal
root, base64

— key-name base64(key id || signature)
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Protocol

_LARGEST = 64 * 1024
_MOST_SIGNATURES = 64
_SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")
_KEY_ID = 4


class NoteError(ValueError):
    """No signed checkpoint, or not signed by who should have; the message is the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The first `size` entries of the log `origin` have the root hash `root` (32 bytes)."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note's text, which is what is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class Signature:
    """One line under a note: who signed (`key_id` has 4 bytes) and the signature's bytes."""

    name: str
    key_id: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint with its signatures, not yet verified."""

    checkpoint: Checkpoint
    text: str
    signatures: tuple[Signature, ...]


class Signer(Protocol):
    """A private key under a name."""

    @property
    def name(self) -> str: ...

    @property
    def key_id(self) -> bytes: ...

    def sign(self, text: bytes) -> bytes: ...


class Verifier(Protocol):
    """A public key under a name."""

    @property
    def name(self) -> str: ...

    @property
    def key_id(self) -> bytes: ...

    def verifies(self, text: bytes, signature: bytes) -> bool: ...


def write(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """The signed note."""
    text = checkpoint.text
    value = base64.b64encode(signer.key_id + signer.sign(text.encode())).decode()
    return f"{text}\n— {signer.name} {value}\n".encode()


def read(data: bytes) -> SignedCheckpoint:
    """Parse a signed checkpoint. Raises NoteError."""
    if len(data) > _LARGEST:
        raise NoteError("is larger than any checkpoint")
    try:
        note = data.decode()
    except UnicodeDecodeError:
        raise NoteError("is not text") from None
    if any(letter < " " and letter != "\n" for letter in note):
        raise NoteError("has control characters")
    text, blank, lines = note.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise NoteError("is torn: no signature ends it")
    text += "\n"
    signed = lines[:-1].split("\n")
    if len(signed) > _MOST_SIGNATURES:
        raise NoteError("has too many signatures")
    return SignedCheckpoint(_checkpoint(text), text, tuple(map(_signature, signed)))


def verify(signed: SignedCheckpoint, verifier: Verifier) -> None:
    """Raises NoteError when that key has not signed it, or its signature is wrong."""
    found = [
        signature
        for signature in signed.signatures
        if (signature.name, signature.key_id) == (verifier.name, verifier.key_id)
    ]
    if not found:
        others = ", ".join(f"{one.name}+{one.key_id.hex()}" for one in signed.signatures)
        raise NoteError(f"is signed by {others}, not by {verifier.name}+{verifier.key_id.hex()}")
    if not all(verifier.verifies(signed.text.encode(), one.value) for one in found):
        raise NoteError(f"is forged or damaged: the signature of {verifier.name} does not fit")


def _checkpoint(text: str) -> Checkpoint:
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise NoteError("has no origin, size and root")
    origin, size, root = lines[:3]
    if not _SIZE.fullmatch(size):
        raise NoteError("has no size on its second line")
    try:
        value = base64.b64decode(root, validate=True)
    except binascii.Error:
        value = b""
    if len(value) != 32:
        raise NoteError("has no root hash on its third line")
    return Checkpoint(origin, int(size), value)


def _signature(line: str) -> Signature:
    found = _SIGNATURE.fullmatch(line)
    if found is None:
        raise NoteError("has a line under it that is no signature")
    try:
        value = base64.b64decode(found[2], validate=True)
    except binascii.Error:
        value = b""
    if len(value) <= _KEY_ID:
        raise NoteError("has a signature that is none")
    return Signature(found[1], value[:_KEY_ID], value[_KEY_ID:])
