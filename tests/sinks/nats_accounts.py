"""An operator, accounts and a user of NATS, as its own tool makes them: Ed25519 keys and signed claims."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import nkeys  # type: ignore[import-untyped]


class _Pair:
    """A key pair by its prefix: operator, account or user."""

    def __init__(self, prefix: int) -> None:
        self.seed = nkeys.encode_seed(os.urandom(32), prefix)
        self._pair = nkeys.from_seed(bytearray(self.seed))
        self.public = bytes(self._pair.public_key).decode()

    def claim(self, subject: str, name: str, nats: dict[str, Any]) -> str:
        """A JWT about `subject`, signed by this pair (NATS ADR-14)."""
        body: dict[str, Any] = {
            "iat": int(time.time()),
            "iss": self.public,
            "name": name,
            "nats": {"version": 2, **nats},
            "sub": subject,
        }
        digest = hashlib.sha512(json.dumps(body).encode()).digest()[:32]
        body["jti"] = base64.b32encode(digest).decode().rstrip("=")
        head = _encode(json.dumps({"typ": "JWT", "alg": "ed25519-nkey"}).encode())
        signed = f"{head}.{_encode(json.dumps(body).encode())}"
        return f"{signed}.{_encode(self._pair.sign(signed.encode()))}"


def make_operator(folder: Path) -> tuple[str, Path]:
    """Lines for a server's configuration, and the credentials file of a user of its one account."""
    operator, user = _Pair(nkeys.PREFIX_BYTE_OPERATOR), _Pair(nkeys.PREFIX_BYTE_USER)
    account, system = _Pair(nkeys.PREFIX_BYTE_ACCOUNT), _Pair(nkeys.PREFIX_BYTE_ACCOUNT)
    unlimited = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1)
    storage = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1)
    own = operator.claim(operator.public, "operator", {"type": "operator"})
    limits = {**unlimited, **storage, "wildcards": True}
    held = operator.claim(account.public, "account", {"type": "account", "limits": limits})
    watched = operator.claim(system.public, "system", {"type": "account", "limits": unlimited})
    used = account.claim(user.public, "user", {"type": "user", "subs": -1, "data": -1, "payload": -1})
    path = folder / "user.creds"
    path.write_text(
        f"-----BEGIN NATS USER JWT-----\n{used}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{bytes(user.seed).decode()}\n------END USER NKEY SEED------\n"
    )
    known = f"{account.public}: {held}, {system.public}: {watched}"
    lines = (f"operator: {own}", "resolver: MEMORY", f"resolver_preload {{ {known} }}")
    return "\n".join((*lines, f"system_account: {system.public}")), path


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
