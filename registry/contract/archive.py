"""The `Archive` port: small named objects beside content, for what must outlive the database.

It knows names and bytes, as the data plane knows domains and digests: what they mean is the caller's affair.
Names are segments of `a-z`, `0-9`, `.`, `_` and `-` with single slashes between, none beginning with a dot.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol


class Archive(Protocol):
    """Everything raises StoreError UNAVAILABLE, STORAGE_FULL or INTERNAL; NAME_INVALID for other names.

    Made without touching storage. What returns is durable.
    """

    async def get(self, name: str) -> bytes | None:
        """The object's bytes, None when it surely is not there. For objects of at most 17 MiB."""
        ...

    async def create(self, name: str, data: bytes) -> bool:
        """Write an object for good where there is none. False where there is one, which stays as it was."""
        ...

    async def replace(self, name: str, data: bytes) -> None:
        """Write an object, whole or not at all, whatever was there."""
        ...

    async def delete(self, name: str) -> None:
        """Delete an object; nothing happens when there is none."""
        ...

    def names(self, prefix: str) -> AsyncIterator[str]:
        """Every name that begins with `prefix`, empty or with a slash at its end; in no order."""
        ...

    async def close(self) -> None:
        """Let go of connections. Idempotent."""
        ...
