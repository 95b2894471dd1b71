"""The data plane: bytes by content address, embeddable without a server.

    store = open_local(Path("data"))
    content = await store.put(DEFAULT_DOMAIN, b"hello")
    await store.get(DEFAULT_DOMAIN, content.blake3, limit=1024)
    await store.close()

It knows `registry.contract` and no other package of the house. Open a store where its event loop runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from registry.contract.dataplane import DataPlane, Place
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.drivers.guard import Guard
from registry.dataplane.drivers.memory import MemoryDriver
from registry.dataplane.drivers.opening import forget_index, open_packed
from registry.dataplane.drivers.port import DriverError
from registry.dataplane.drivers.s3.settings import S3Settings
from registry.dataplane.drivers.s3.values import Examination
from registry.dataplane.engine import Engine
from registry.dataplane.failures import Translated, store_error
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
    "KeyName",
    "KeyProvider",
    "KeyRing",
    "KeyState",
    "LocalProvider",
    "S3Settings",
    "environment_provider",
    "examine_s3",
    "file_provider",
    "open_local",
    "open_memory",
    "open_s3",
    "rebuild_index",
]

_DEFAULTS = DataPlaneSettings()


def open_local(
    root: Path, *, settings: DataPlaneSettings = _DEFAULTS, keys: KeyRing | None = None
) -> DataPlane:
    """Open the store in folder `root`, making it when absent. Several processes may open one store at once.

    `keys` says which domains are sealed and has their keys: a `KeyRing` of the same folder. Without, nothing
    is sealed, and domains that are can be neither read nor written.

    Raises StoreError INTERNAL when its format is unknown or damaged (the message says what to do), and
    OSError when the folder cannot be used.
    """
    workers = Workers(settings.threads)
    try:
        driver = open_packed(root, workers, settings, keys)
    except DriverError as error:
        workers.close()
        raise store_error(error) from error
    except BaseException:
        workers.close()
        raise
    guarded = Guard(driver, settings.observer, settings.operations)
    return Engine(guarded, workers, settings, Place("local"), driver.jobs)


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


async def open_s3(where: S3Settings, *, settings: DataPlaneSettings = _DEFAULTS) -> DataPlane:
    """Open the store in a bucket, making it when there is none. Any number of processes may have it open.

    A quarter of the buffer budget is for bodies that arrive, the rest for segments on their way out. Raises
    StoreError: UNAVAILABLE when the service cannot be reached, INTERNAL for what somebody has to change.
    """
    with _needing_the_sdk():
        from registry.dataplane.drivers.s3.opening import open_driver

    workers = Workers(settings.threads)
    bodies = settings.buffer_budget // 4
    try:
        driver = await open_driver(where, workers, settings.buffer_budget - bodies)
    except DriverError as error:
        workers.close()
        raise store_error(error) from error
    except BaseException:
        workers.close()
        raise
    # Who waits for memory holds a turn as well: more turns than uploads, or readers would wait with them.
    guarded = Guard(driver, settings.observer, max(settings.operations, where.connections))
    return Engine(guarded, workers, replace(settings, buffer_budget=bodies), Place("s3"), remote=driver)


async def examine_s3(where: S3Settings) -> Examination:
    """Whether a store can live in that bucket: asks, writes and deletes there. Raises as `open_s3`."""
    with _needing_the_sdk():
        from registry.dataplane.drivers.s3.examining import examine

    with Translated():
        return await examine(where)


@contextmanager
def _needing_the_sdk() -> Iterator[None]:
    """Late imports: the SDK takes 0.3 s to load, and only who asks for a bucket needs it installed."""
    try:
        yield
    except ImportError as error:
        raise StoreError(
            ErrorKind.INTERNAL, f"storage on S3 needs `pip install artifact-store[s3]` ({error})"
        ) from None


def open_memory(*, settings: DataPlaneSettings = _DEFAULTS) -> DataPlane:
    """A store in memory, gone when closed."""
    workers = Workers(settings.threads)
    return Engine(
        Guard(MemoryDriver(), settings.observer, settings.operations), workers, settings, Place("memory")
    )
