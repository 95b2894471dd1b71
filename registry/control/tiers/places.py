"""The data plane's places by the names that the ledger has for them, and which of them a domain may use.

The ledger calls the place where bytes arrive `local`, whatever medium that is: a store that is taken to
another medium has not moved by its own account, and nothing has to be said of each of its contents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from registry.contract.dataplane import DomainId, Location, Place, RetrievalTier
from registry.contract.errors import ErrorKind, StoreError

#: Where bytes arrive, to the ledger.
PRIMARY = "local"

_NEARNESS = {tier: number for number, tier in enumerate(RetrievalTier)}


class Places:
    """What `DataPlane.places` says, by the ledger's names."""

    def __init__(self, configured: tuple[Place, ...]) -> None:
        self._named = {PRIMARY if place.primary else place.name: place for place in configured}
        order = sorted(self._named, key=lambda name: _NEARNESS[self._named[name].tier])
        self._ranks = {name: number for number, name in enumerate(order)}

    @property
    def several(self) -> bool:
        """Whether there is anywhere to move to."""
        return len(self._named) > 1

    @property
    def names(self) -> tuple[str, ...]:
        """All, the nearest first."""
        return tuple(self._ranks)

    @property
    def primary(self) -> Place:
        """Where bytes arrive."""
        return self._named[PRIMARY]

    def find(self, name: str) -> Place | None:
        """The place of that name; None where the settings know it no more."""
        return self._named.get(name)

    def rank(self, name: str) -> int:
        """How near a place is: 0 is the nearest. Places of one tier in the order in which they were set."""
        return self._ranks[name]

    def name_of(self, location: Location) -> str:
        """The ledger's name for where the data plane says that bytes are."""
        return PRIMARY if location.name == self.primary.name else location.name


@dataclass(frozen=True, slots=True)
class Placement:
    """Which jurisdictions the bytes of a domain may lie under. A domain that is not named may lie anywhere.

    Closed in doubt: a place of which nobody has said whose law it stands under is allowed to no domain that
    names any.
    """

    jurisdictions: Mapping[DomainId, frozenset[str]] = field(default_factory=dict)

    @property
    def restricts(self) -> bool:
        """Whether there is any such rule."""
        return bool(self.jurisdictions)

    def restricts_domain(self, domain: DomainId) -> bool:
        """Whether there is such a rule for the domain."""
        return domain in self.jurisdictions

    def refusal(self, domain: DomainId, place: Place | None) -> str | None:
        """Why bytes of the domain may not lie there, a sentence; None when they may."""
        allowed = self.jurisdictions.get(domain)
        if allowed is None or (place is not None and place.jurisdiction in allowed):
            return None
        wanted = ", ".join(sorted(allowed)) or "no jurisdiction at all"
        if place is None:
            return (
                f"bytes of the domain {domain} may lie under {wanted} alone, and nothing is set of that place"
            )
        found = f"under {place.jurisdiction}" if place.jurisdiction else "where no jurisdiction is set"
        return f"bytes of the domain {domain} may lie under {wanted} alone, and {place.name} is {found}"

    def check(self, domain: DomainId, place: Place | None) -> None:
        """Raises DENIED with that sentence."""
        refusal = self.refusal(domain, place)
        if refusal is not None:
            raise StoreError(ErrorKind.DENIED, refusal)

    def check_arrivals(self, places: Places) -> None:
        """What a start needs: bytes of every such domain may arrive. Raises INTERNAL, naming the settings."""
        for domain in sorted(self.jurisdictions):
            refusal = self.refusal(domain, places.primary)
            if refusal is not None:
                raise StoreError(
                    ErrorKind.INTERNAL,
                    f"{refusal}, and that is where all bytes arrive: set storage.jurisdiction to where the "
                    "storage really is, or serve this domain from another store",
                )
