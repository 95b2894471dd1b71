"""Content taken from one place to another, and let go where another has it for sure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from registry.contract.dataplane import DomainId
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.engine import Engine
from registry.dataplane.failures import no_such_place
from registry.dataplane.places.asking import passing, worst
from registry.dataplane.places.permits import require_permit
from registry.dataplane.places.site import Site


class _SourceError(Exception):
    """The place that is read from failed, not the one that is written to."""

    def __init__(self, error: StoreError) -> None:
        self.error = error


class Moving:
    """`DataPlane.copy` and `release`, for who is alone with the content."""

    def __init__(self, sites: Sequence[Site], sealed: Callable[[DomainId], bool]) -> None:
        """`sites` are in the order of reading; `sealed` tells domains whose bytes may not lie open."""
        self._sites = sites
        self._sealed = sealed

    async def copy(self, domain: DomainId, address: Digest, to: str) -> int:
        """As `DataPlane.copy`; CONFLICT where a sealed domain's bytes would lie open."""
        target = self.site(to)
        if self._sealed(domain) and not target.seals:
            raise StoreError(
                ErrorKind.CONFLICT, f"the domain {domain} is sealed, and the location {to} cannot seal"
            )
        engine = await target.engine()
        held = await held_surely(engine, domain, address)
        if held is not None:
            return held
        if await engine.quarantine(domain, address):  # healed in the moment between
            return await engine.size(domain, address)
        return await self.fetch(domain, address, target)

    async def fetch(self, domain: DomainId, address: Digest, target: Site) -> int:
        """Bring content to a place that does not hold it, from the best that can give it."""
        engine, errors = await target.engine(), []
        for source in self._sites:
            if source is target:
                continue
            try:
                return await engine.receive(domain, address, _from(source, domain, address))
            except _SourceError as failure:
                errors.append(passing(failure.error))
            except StoreError as error:
                if error.kind is not ErrorKind.DIGEST_MISMATCH:
                    raise
                errors.append(_corrupt(address, source))
        raise worst(errors or [_corrupt(address, target)])

    async def release(self, domain: DomainId, address: Digest, place: str, permit: str | None) -> int:
        """As `DataPlane.release`."""
        site = self.site(place)
        engine = await site.engine()
        try:
            size = await engine.size(domain, address)
        except StoreError as error:
            if error.kind is not ErrorKind.CONTENT_UNKNOWN:
                raise
            return 0
        require_permit(site, permit)
        await self._require_another(site, domain, address, size, permit)
        return await engine.remove(domain, address, permit)

    async def _require_another(
        self, site: Site, domain: DomainId, address: Digest, size: int, permit: str | None
    ) -> None:
        """Raises CONFLICT unless another place surely holds the content, UNAVAILABLE when one cannot say."""
        errors = []
        for other in self._sites:
            if other is site:
                continue
            try:
                engine = await other.engine()
                # Else one that was stopped long ago could still delete there what this relies on.
                require_permit(other, permit)
                if await held_surely(engine, domain, address) == size:
                    return
            except StoreError as error:
                errors.append(passing(error))
        if errors:
            raise worst(errors)
        raise StoreError(
            ErrorKind.CONFLICT, f"nothing was deleted: no place but {site.place.name} surely holds {address}"
        )

    def site(self, name: str) -> Site:
        """Raises BAD_REQUEST."""
        for site in self._sites:
            if site.place.name == name:
                return site
        raise no_such_place(name, (site.place.name for site in self._sites))


async def held_surely(engine: Engine, domain: DomainId, address: Digest) -> int | None:
    """The size of content that a place holds for sure, None when it does not.

    All bytes are read where they are at hand. What is away was read back before it went, and the place has to
    know it still. Raises what is unsure.
    """
    try:
        found = await engine.verify(domain, address)
    except StoreError as error:
        if error.kind is ErrorKind.CONTENT_UNKNOWN:
            return None
        if error.kind is not ErrorKind.RESTORE_REQUIRED:
            raise
        return await engine.size(domain, address)
    return found.size if found.fault is None else None


async def _from(source: Site, domain: DomainId, address: Digest) -> AsyncIterator[bytes]:
    try:
        async for piece in (await source.engine()).read(domain, address):
            yield piece
    except StoreError as error:
        raise _SourceError(error) from error


def _corrupt(address: Digest, site: Site) -> StoreError:
    return StoreError(
        ErrorKind.CONTENT_UNKNOWN, f"what {site.place.name} holds of {address} is not that content"
    )
