"""The places beside the primary one looked at and prepared, for commands and `doctor`."""

from __future__ import annotations

from dataclasses import dataclass

from registry.contract.errors import StoreError
from registry.dataplane import DataPlaneSettings, KeyRing, Secondary, open_secondary, prepare
from registry.server.location_rules import LocationRule
from registry.server.settings import Settings
from registry.server.settings_table import mask
from registry.server.storage import key_ring
from registry.server.storage_settings import secondary_of


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found of a place: `trouble` is a sentence, None where it can be read and written."""

    name: str
    url: str
    tier: str
    jurisdiction: str | None
    trouble: str | None


async def look_at(settings: Settings) -> list[Looked]:
    """Open each place and write a probe there."""
    keys = None if settings.storage.url is not None else key_ring(settings)
    return [
        Looked(
            rule.name, mask(rule.url), rule.tier, rule.jurisdiction, await _trouble(secondary_of(rule), keys)
        )
        for rule in settings.locations
    ]


async def _trouble(place: Secondary, keys: KeyRing | None) -> str | None:
    try:
        engine = await open_secondary(place, DataPlaneSettings(threads=1), keys)
        try:
            await engine.check_writable()
        finally:
            await engine.close()
    except StoreError as error:
        return error.message
    except OSError as error:
        return f"{error.filename or place.place.name}: {error.strerror or error}"
    return None


async def prepare_location(rule: LocationRule) -> None:
    """Make the place, where there is nothing yet. Raises StoreError."""
    await prepare(secondary_of(rule))
