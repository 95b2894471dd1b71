"""Who may delete, at several places (decision 39).

The primary is asked first and has to agree. A place that cannot be reached just then gets no deletions with
that permit at all: a permit that does not count there cannot tell who may. The next work names another, when
the place is back.
"""

from __future__ import annotations

from collections.abc import Sequence

from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.engine import Engine
from registry.dataplane.failures import RETRY_AFTER
from registry.dataplane.places.asking import each
from registry.dataplane.places.site import Site


async def admit(primary: Site, others: Sequence[Site], permit: str) -> None:
    """As `DataPlane.admit`, and raises what the primary does."""
    for site in (primary, *others):
        site.admitted = None

    async def count(_: Site, engine: Engine) -> None:
        await engine.admit(permit)

    await count(primary, await primary.engine())
    primary.admitted = permit
    for site, answer in zip(others, await each(others, count), strict=True):
        if answer is None:
            site.admitted = permit


def require_permit(site: Site, permit: str | None) -> None:
    """Raises UNAVAILABLE where the permit was not admitted."""
    if permit is not None and site.admitted != permit:
        raise StoreError(
            ErrorKind.UNAVAILABLE,
            f"the location {site.place.name} could not be told who may delete there; the next run does it",
            detail={"retry_after": RETRY_AFTER},
        )
