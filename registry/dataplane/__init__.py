"""The data plane: bytes by content address, embeddable without a server.

    store = open_local(Path("data"))
    content = await store.put(DEFAULT_DOMAIN, b"hello")
    await store.get(DEFAULT_DOMAIN, content.blake3, limit=1024)
    await store.close()

It knows `registry.contract` and no other package of the house. Open a store where its event loop runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from registry.contract.dataplane import DataPlane, Place
from registry.dataplane.drivers.folder.settings import FolderSettings
from registry.dataplane.drivers.opening import forget_index, open_packed
from registry.dataplane.drivers.port import DriverError
from registry.dataplane.drivers.s3.settings import S3Settings
from registry.dataplane.drivers.s3.values import Examination
from registry.dataplane.engines import local_engine, memory_engine, needing_the_sdk, s3_engine
from registry.dataplane.failures import Translated, store_error
from registry.dataplane.places.opening import open_places, open_secondary, prepare, seals
from registry.dataplane.places.settings import Secondary
from registry.dataplane.sealing.keyring import KeyRing, KeyState
from registry.dataplane.sealing.providers import (
    CommandProvider,
    KeyName,
    KeyProvider,
    LocalProvider,
    environment_provider,
    file_provider,
)
from registry.dataplane.settings import DataPlaneSettings
from registry.dataplane.workers import Workers

__all__ = [
    "CommandProvider",
    "DataPlaneSettings",
    "FolderSettings",
    "KeyName",
    "KeyProvider",
    "KeyRing",
    "KeyState",
    "LocalProvider",
    "S3Settings",
    "Secondary",
    "environment_provider",
    "examine_s3",
    "file_provider",
    "open_local",
    "open_memory",
    "open_s3",
    "open_secondary",
    "prepare",
    "rebuild_index",
    "seals",
]

_DEFAULTS = DataPlaneSettings()
#: What the ledger calls the place where bytes arrive, whatever medium that is.
_PRIMARY = Place("local")


def open_local(
    root: Path,
    *,
    settings: DataPlaneSettings = _DEFAULTS,
    keys: KeyRing | None = None,
    place: Place = _PRIMARY,
    others: Sequence[Secondary] = (),
) -> DataPlane:
    """Open the store in folder `root`, making it when absent. Several processes may open one store at once.

    `keys` says which domains are sealed and has their keys: a `KeyRing` of the same folder. Without, nothing
    is sealed, and domains that are can be neither read nor written. The folder is the primary `place`, and
    content may lie in `others` too.

    Raises StoreError INTERNAL when its format is unknown or damaged (the message says what to do), and
    OSError when the folder cannot be used.
    """
    engine = local_engine(root, settings, keys, place)
    return open_places(engine, others, settings, keys) if others else engine


def rebuild_index(
    root: Path, *, settings: DataPlaneSettings = _DEFAULTS, keys: KeyRing | None = None
) -> None:
    """Make the content index of the store in `root` anew from its packs. Nobody may have the store open.

    Of sealed domains it needs the `keys`.

    Raises StoreError UNAVAILABLE when somebody has, and what `open_local` raises.
    """
    workers = Workers(1)
    try:
        forget_index(root)
        open_packed(root, workers, settings, keys).close()
    except DriverError as error:
        raise store_error(error) from error
    finally:
        workers.close()


async def open_s3(
    where: S3Settings,
    *,
    settings: DataPlaneSettings = _DEFAULTS,
    place: Place = _PRIMARY,
    others: Sequence[Secondary] = (),
) -> DataPlane:
    """Open the store in a bucket, making it when there is none. Any number of processes may have it open.

    A quarter of the buffer budget is for bodies that arrive, the rest for segments on their way out. The
    bucket is the primary `place`, and content may lie in `others` too. Raises StoreError: UNAVAILABLE when
    the service cannot be reached, INTERNAL for what somebody has to change.
    """
    engine = await s3_engine(where, settings, place)
    return open_places(engine, others, settings, None) if others else engine


async def examine_s3(where: S3Settings) -> Examination:
    """Whether a store can live in that bucket: asks, writes and deletes there. Raises as `open_s3`."""
    with needing_the_sdk():
        from registry.dataplane.drivers.s3.examining import examine

    with Translated():
        return await examine(where)


def open_memory(*, settings: DataPlaneSettings = _DEFAULTS) -> DataPlane:
    """A store in memory, gone when closed."""
    return memory_engine(settings)
