"""Whether bytes may lie at a place that is no location of the store: a backup's folder, another store."""

from __future__ import annotations

from registry.contract.dataplane import Place
from registry.contract.errors import StoreError
from registry.server.settings import Settings
from registry.server.tiering import placement_of


def refusal_of(settings: Settings, name: str, jurisdiction: str | None) -> str | None:
    """Why content of some domain may not be copied there, a sentence; None when all of it may.

    `jurisdiction` is whose law the place stands under; None where nobody said.
    """
    placement = placement_of(settings)
    elsewhere = Place(name, jurisdiction=jurisdiction, primary=False)
    for domain in sorted(placement.jurisdictions):
        refusal = placement.refusal(domain, elsewhere)
        if refusal is not None:
            return refusal
    return None


def start_trouble(settings: Settings, primary: Place) -> str | None:
    """Why a server of these settings does not start: bytes would arrive outside. None when it does."""
    from registry.control.tiers.places import Places

    try:
        placement_of(settings).check_arrivals(Places((primary,)))
    except StoreError as error:
        return error.message
    return None
