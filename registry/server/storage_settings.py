"""What the settings of places for content mean to the data plane."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from registry.contract.dataplane import Place, RetrievalTier
from registry.server.location_rules import PRIMARY, LocationRule
from registry.server.settings_groups import Storage

if TYPE_CHECKING:
    from registry.dataplane import S3Settings, Secondary


def bucket_of(storage: Storage) -> S3Settings | None:
    """The bucket as the data plane takes it; None for files. Raises ValueError with a sentence."""
    if storage.url is None:
        return None
    # Late: a server on files starts without it.
    from registry.dataplane.drivers.s3 import settings as s3

    try:
        place = s3.bucket_of(storage.url)
    except ValueError as error:
        raise ValueError(f"storage.url cannot be used: {error}") from None
    if (storage.access_key is None) != (storage.secret_key is None):
        raise ValueError("storage.access_key and storage.secret_key go together; one of them is missing")
    if (storage.lock_mode is None) == bool(storage.lock_days):
        raise ValueError("storage.lock_mode and storage.lock_days go together; one of them is missing")
    if storage.sse_key is not None and storage.sse != "aws:kms":
        raise ValueError("storage.sse_key is for storage.sse aws:kms")
    return dataclasses.replace(
        place,
        ca=storage.ca,
        access_key=storage.access_key,
        secret_key=storage.secret_key,
        storage_class=storage.storage_class,
        sse="AES256" if storage.sse == "aes256" else storage.sse,
        sse_key=storage.sse_key,
        lock_mode=storage.lock_mode.upper() if storage.lock_mode else None,
        lock_days=storage.lock_days,
        redirect_bytes=storage.redirect_bytes,
        redirect_for=storage.redirect_for,
        redirect_endpoint=storage.redirect_endpoint,
    )


def primary_of(storage: Storage) -> Place:
    """The place where bytes arrive."""
    return Place(PRIMARY, RetrievalTier(storage.tier), storage.jurisdiction)


def secondary_of(rule: LocationRule) -> Secondary:
    """A place beside it, as the data plane takes it. Raises ValueError with a sentence."""
    from registry.dataplane.drivers.folder.settings import FolderSettings
    from registry.dataplane.places.settings import Secondary

    place = Place(rule.name, RetrievalTier(rule.tier), rule.jurisdiction, primary=False)
    if rule.scheme == "file":
        return Secondary(place, rule.path)
    if rule.scheme == "folder":
        return Secondary(place, FolderSettings(rule.path, rule.restore_days, rule.restore_command))
    return Secondary(place, _bucket(rule))


def _bucket(rule: LocationRule) -> S3Settings:
    storage = Storage(
        url=rule.url,
        access_key=rule.access_key,
        secret_key=rule.secret_key,
        ca=rule.ca,
        storage_class=rule.storage_class,
        sse=rule.sse,
        sse_key=rule.sse_key,
    )
    try:
        found = bucket_of(storage)
    except ValueError as error:
        raise ValueError(f"the location {rule.name}: {error}".replace("storage.", "")) from None
    if found is None:
        raise ValueError(f"the location {rule.name} has no bucket")
    return dataclasses.replace(
        found, restore_days=rule.restore_days, restore_tier=rule.restore_tier.capitalize()
    )
