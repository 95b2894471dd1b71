"""The data plane as the settings say: the data folder with the keys of sealed domains, or a bucket, and more
places beside it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from registry.contract.dataplane import DataPlane, DomainId
from registry.dataplane import (
    CommandProvider,
    DataPlaneSettings,
    KeyProvider,
    KeyRing,
    environment_provider,
    file_provider,
    open_local,
    open_s3,
)
from registry.dataplane.settings import ignore
from registry.server.settings import Settings, environment
from registry.server.settings_groups import Keys
from registry.server.storage_settings import bucket_of, primary_of, secondary_of


async def open_dataplane(
    settings: Settings, *, observer: Callable[[str, float, str], None] = ignore
) -> DataPlane:
    """Open the bucket's where one is set, else the data folder's.

    `observer` is told how long each storage operation took. Raises StoreError and OSError
    with a sentence, also for keys that cannot be had.
    """
    chosen = DataPlaneSettings(
        buffer_budget=settings.limits.buffer_bytes,
        verify_reads=settings.care.verify_reads,
        rewrite_threshold=settings.pack.dead,
        rewrite_grace=settings.pack.grace,
        observer=observer,
    )
    place = primary_of(settings.storage)
    others = [secondary_of(rule) for rule in settings.locations]
    bucket = bucket_of(settings.storage)
    if bucket is not None:
        return await open_s3(bucket, settings=chosen, place=place, others=others)
    keys = key_ring(settings)
    return open_local(settings.server.data, settings=chosen, keys=keys, place=place, others=others)


def open_copy(settings: Settings, folder: Path) -> DataPlane:
    """Open the data plane in `folder`, a backup or another store, with the same keys. Raises as above."""
    return open_local(folder, keys=key_ring(settings, folder))


def key_ring(
    settings: Settings,
    root: Path | None = None,
    sealed: Callable[[DomainId], bool] | None = None,
    *,
    providers: bool = True,
) -> KeyRing:
    """The keys of the data folder, or of the one in `root`, where those domains are `sealed`.

    Without `providers` keys can be told and destroyed, and nothing be read. Raises StoreError INTERNAL and
    OSError where a provider's key cannot be had.
    """
    names = {domain.name for domain in settings.domains if domain.sealed}
    keys = settings.keys if providers else Keys()
    return KeyRing(
        root or settings.server.data,
        None if keys.provider is None else provider_of(keys.provider),
        former=() if keys.former is None else (provider_of(keys.former),),
        sealed=sealed or names.__contains__,
    )


def provider_of(reference: str) -> KeyProvider:
    """The provider that a setting names. Raises as `key_ring`."""
    kind, _, rest = reference.partition(":")
    if kind == "file":
        return file_provider(Path(rest).expanduser())
    if kind == "environment":
        return environment_provider(rest, environment())
    name, _, program = rest.partition("=")
    return CommandProvider(shlex.split(program), name)
