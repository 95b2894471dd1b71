"""Content in several places looked after as one: verified, set right, and deleted."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence

from registry.contract.dataplane import DomainId, Verification
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.engine import Engine
from registry.dataplane.places.asking import each, passing, worst
from registry.dataplane.places.moving import Moving
from registry.dataplane.places.permits import require_permit
from registry.dataplane.places.site import Site

_LOG = logging.getLogger(__name__)

#: Which failure of a removal is told when there are several.
_FIRST = (ErrorKind.CONFLICT, ErrorKind.UNAVAILABLE, ErrorKind.INTERNAL, ErrorKind.HELD)


class Caring:
    """For who is alone with the content. `sites` are in the order of reading."""

    def __init__(self, sites: Sequence[Site], primary: Site, moving: Moving) -> None:
        self._sites = sites
        self._primary = primary
        self._others = [site for site in sites if site is not primary]
        self._moving = moving

    async def verify(self, domain: DomainId, address: Digest) -> Verification:
        """As `DataPlane.verify`: a fault in any place is one, whatever the others hold."""
        errors: list[StoreError] = []
        found: list[Verification] = []
        for site in self._sites:
            try:
                verification = await (await site.engine()).verify(domain, address)
            except StoreError as error:
                errors.append(passing(error))
                continue
            if verification.fault is not None:
                fault = f"{site.place.name}: {verification.fault}"
                return dataclasses.replace(verification, fault=fault)
            found.append(verification)
        if not found:
            raise worst(errors)
        return found[0]

    async def quarantine(self, domain: DomainId, address: Digest) -> bool:
        """As `DataPlane.quarantine`."""
        errors: list[StoreError] = []
        sound, away, wrong = False, False, []
        for site in self._sites:
            try:
                engine = await site.engine()
                await engine.size(domain, address)
                if await engine.quarantine(domain, address):
                    sound = True
                else:
                    wrong.append(site)
            except StoreError as error:
                away = away or passing(error).kind is ErrorKind.RESTORE_REQUIRED
                if error.kind not in (ErrorKind.RESTORE_REQUIRED, ErrorKind.CONTENT_UNKNOWN):
                    errors.append(error)
        if sound:
            await self._heal(domain, address, wrong)
        elif errors and not away:
            raise worst(errors)
        return sound or away

    async def _heal(self, domain: DomainId, address: Digest, wrong: Sequence[Site]) -> None:
        for site in wrong:
            try:
                await self._moving.fetch(domain, address, site)
            except StoreError as error:
                _LOG.warning("%s could not be healed in %s: %s", address, site.place.name, error)

    async def remove(self, domain: DomainId, address: Digest, permit: str | None) -> int:
        """As `DataPlane.remove`: from the primary first, since what keeps it there keeps it everywhere."""
        freed = await (await self._primary.engine()).remove(domain, address, permit)

        async def remove(site: Site, engine: Engine) -> int:
            require_permit(site, permit)
            return await engine.remove(domain, address, permit)

        answers = await each(self._others, remove)
        failed = [answer for answer in answers if isinstance(answer, StoreError)]
        if failed:
            raise min(
                failed, key=lambda error: _FIRST.index(error.kind) if error.kind in _FIRST else len(_FIRST)
            )
        return freed + sum(answer for answer in answers if not isinstance(answer, StoreError))
