"""The `Sealer` port: the step between a record's (compressed) payload and the bytes that are stored.

Every payload that holds content passes it, in both directions, and nothing above or below it knows keys.
"""

from __future__ import annotations

from typing import Protocol

from registry.contract.dataplane import DomainId

#: The seal number of payloads that are stored as they are.
PLAIN = 0


class Sealer(Protocol):
    """Turns payloads to stored bytes and back, by domain. Called in any thread, several at a time."""

    def seal(self, domain: DomainId, kind: int, digest: bytes, payload: bytes) -> tuple[int, bytes]:
        """The seal number (1 to 255, or PLAIN) that the record carries, and the bytes to store.

        `kind` and `digest` are the record's own, and may be bound in as associated data: they stay with the
        payload when a rewrite moves it, whereas pack and offset do not. Raises a DriverError.
        """
        ...

    def unseal(self, domain: DomainId, kind: int, digest: bytes, seal: int, stored: bytes) -> bytes:
        """The payload again.

        Raises Corrupt when the bytes are not those sealed, Erased when
        the key was destroyed, Transient and Permanent where it cannot be had."""
        ...

    def at_hand(self, domain: DomainId, seal: int, stored: bytes) -> bool:
        """Whether `unseal` needs nobody outside this process, and so no longer than it takes to compute."""
        ...
