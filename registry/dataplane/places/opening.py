"""Places opened and prepared: what a medium needs to be one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.drivers.folder.settings import FolderSettings
from registry.dataplane.drivers.folder.vault import Vault
from registry.dataplane.drivers.s3.settings import S3Settings
from registry.dataplane.engine import Engine
from registry.dataplane.engines import folder_engine, local_engine, needing_the_sdk, s3_engine
from registry.dataplane.failures import Translated
from registry.dataplane.marker import check_folder, prepare_folder
from registry.dataplane.places.settings import Secondary
from registry.dataplane.places.site import Site
from registry.dataplane.places.store import PlacedStore
from registry.dataplane.sealing.keyring import KeyRing, nothing
from registry.dataplane.settings import DataPlaneSettings

#: Only copies and reads of what was moved pass here, so each place has less of both, the latter in bytes.
_THREADS = 4
_BUFFERS = 16 << 20


def open_places(
    primary: Engine, others: Sequence[Secondary], settings: DataPlaneSettings, keys: KeyRing | None
) -> PlacedStore:
    """The store of the `primary` and the `others`, each opened when it is needed."""
    lesser = replace(
        settings,
        threads=min(_THREADS, settings.threads),
        buffer_budget=min(_BUFFERS, settings.buffer_budget),
    )
    sites = [
        Site(other.place, partial(open_secondary, other, lesser, keys), seals=seals(other))
        for other in others
    ]
    return PlacedStore(primary, sites, nothing if keys is None else keys.seals)


def seals(other: Secondary) -> bool:
    """Whether content of sealed domains can lie there: buckets hold all content as it is (decision 61)."""
    return not isinstance(other.medium, S3Settings)


async def open_secondary(other: Secondary, settings: DataPlaneSettings, keys: KeyRing | None) -> Engine:
    """Open a place that was prepared. Sealed domains are sealed there with the same keys as in the primary.

    Raises StoreError with a sentence, UNAVAILABLE when it is not there, and OSError.
    """
    name, medium = other.place.name, other.medium
    if isinstance(medium, S3Settings):
        return await s3_engine(medium, settings, other.place, name)
    if isinstance(medium, FolderSettings):
        check_folder(medium.path, name)
        return await asyncio.to_thread(folder_engine, medium, settings, keys, other.place)
    check_folder(medium, name)
    # In a thread: after a crash its index may have to be compared with packs.
    return await asyncio.to_thread(local_engine, medium, settings, keys, other.place)


async def prepare(other: Secondary) -> None:
    """Make the place, once, where there is nothing yet; nothing happens when it was prepared before.

    Raises StoreError: CONFLICT for what holds something else, UNAVAILABLE, INTERNAL.
    """
    name, medium = other.place.name, other.medium
    if isinstance(medium, S3Settings):
        with needing_the_sdk():
            from registry.dataplane.drivers.s3 import opening

        with Translated():
            await opening.prepare(medium, name)
        return
    root = medium.path if isinstance(medium, FolderSettings) else medium
    try:
        prepare_folder(root, name)
        if isinstance(medium, FolderSettings):
            Vault(root).prepare()
    except OSError as error:
        raise StoreError(ErrorKind.INTERNAL, f"{root} cannot be used: {error.strerror}") from error
