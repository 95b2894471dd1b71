"""Where content is among the places, and how it is brought to hand."""

from __future__ import annotations

from collections.abc import Sequence

from registry.contract.dataplane import DomainId, Location, RestoreStatus, RetrievalTier
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.engine import AT_ONCE
from registry.dataplane.failures import absent
from registry.dataplane.places.asking import passing, worst
from registry.dataplane.places.site import Site

_TIERS = tuple(RetrievalTier)
#: Of two places the one that has gone further with a restore goes on with it.
_PROGRESS = (RestoreStatus.AVAILABLE, RestoreStatus.ONGOING, RestoreStatus.REQUESTED, None)


async def locations(sites: Sequence[Site], domain: DomainId, address: Digest) -> tuple[Location, ...]:
    """As `DataPlane.locations`: at hand before away, then by tier."""
    found, errors = await _ask(sites, domain, address)
    if errors:
        raise worst(errors)
    if not found:
        raise absent()
    return tuple(sorted((location for _, location in found), key=_order))


async def restore(sites: Sequence[Site], domain: DomainId, address: Digest) -> RestoreStatus:
    """As `DataPlane.restore`. A place that cannot say does not keep another from being asked."""
    found, errors = await _ask(sites, domain, address)
    if not found:
        raise worst(errors) if errors else absent()
    site, best = min(found, key=lambda entry: _order(entry[1]))
    if _needs_none(best):
        return RestoreStatus.AVAILABLE
    return await (await site.engine()).restore(domain, address)


async def _ask(
    sites: Sequence[Site], domain: DomainId, address: Digest
) -> tuple[list[tuple[Site, Location]], list[StoreError]]:
    found, errors = [], []
    for site in sites:
        try:
            (location,) = await (await site.engine()).locations(domain, address)
            found.append((site, location))
        except StoreError as error:
            if passing(error).kind is not ErrorKind.CONTENT_UNKNOWN:
                errors.append(error)
    return found, errors


def _needs_none(location: Location) -> bool:
    return location.tier in AT_ONCE and location.restore_status is None


def _order(location: Location) -> tuple[bool, int, int]:
    return (
        not _needs_none(location),
        _PROGRESS.index(location.restore_status),
        _TIERS.index(location.tier),
    )
