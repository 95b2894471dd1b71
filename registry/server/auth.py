"""Who asks: from a request to a Principal.

For now everybody is one open principal, and the server therefore stays on loopback or behind a proxy that
decides who comes through (`listen.check_exposure`).
"""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from registry.contract.model import Principal


class Authenticator(Protocol):
    """Tells who a request comes from. Raises StoreError UNAUTHENTICATED for credentials that do not hold."""

    async def authenticate(self, request: web.BaseRequest) -> Principal: ...


class OpenAuthenticator:
    """Everybody is the same principal, and may do everything."""

    def __init__(self, principal: Principal) -> None:
        self._principal = principal

    async def authenticate(self, request: web.BaseRequest) -> Principal:
        return self._principal
