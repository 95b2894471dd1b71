"""Signatures of webhooks as Standard Webhooks 1.0 has them, in three header fields.

HMAC-SHA256 over `id.timestamp.body` with each of the secrets, so that one can be replaced while receivers
still know the other.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

_PREFIX = "whsec_"
_LEAST = 24
_MOST = 64


class SecretError(ValueError):
    """A secret that cannot be used; the message says why and never what it is."""


def parse_secrets(text: str) -> tuple[bytes, ...]:
    """The secrets in `text`, parted by white space, the first the newest. Raises SecretError."""
    words = text.split()
    if not words:
        raise SecretError("there is no secret")
    return tuple(_parse(word) for word in words)


def _parse(word: str) -> bytes:
    try:
        secret = base64.b64decode(word.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        secret = b""
    if not word.startswith(_PREFIX) or not _LEAST <= len(secret) <= _MOST:
        raise SecretError(
            f"a secret is {_PREFIX} and {_LEAST} to {_MOST} random bytes in base64; "
            f'make one with: echo "{_PREFIX}$(openssl rand -base64 32)"'
        )
    return secret


def signed_headers(secrets: Sequence[bytes], identity: str, seconds: int, body: bytes) -> Mapping[str, str]:
    """The three header fields. `identity` has no full stop, `seconds` is the time of this attempt."""
    content = f"{identity}.{seconds}.".encode() + body
    signatures = (
        base64.b64encode(hmac.digest(secret, content, hashlib.sha256)).decode() for secret in secrets
    )
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
