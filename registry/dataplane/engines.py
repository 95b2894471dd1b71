"""Engines put together: a driver under its guard, the workers, and what the medium can do besides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from registry.contract.dataplane import Place
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.drivers.folder.driver import FolderDriver
from registry.dataplane.drivers.folder.settings import FolderSettings
from registry.dataplane.drivers.guard import Guard
from registry.dataplane.drivers.memory import MemoryDriver
from registry.dataplane.drivers.opening import open_packed
from registry.dataplane.drivers.s3.settings import S3Settings
from registry.dataplane.engine import Engine
from registry.dataplane.failures import Translated
from registry.dataplane.sealing.form import SealedForms
from registry.dataplane.sealing.keyring import KeyRing
from registry.dataplane.settings import DataPlaneSettings
from registry.dataplane.workers import Workers


def local_engine(root: Path, settings: DataPlaneSettings, keys: KeyRing | None, place: Place) -> Engine:
    """A folder on a local disk. Raises as `open_local`."""
    with _workers(settings) as workers:
        driver = open_packed(root, workers, settings, keys)
        guarded = Guard(driver, settings.observer, settings.operations)
        return Engine(guarded, workers, settings, place, driver.jobs)


def folder_engine(
    where: FolderSettings, settings: DataPlaneSettings, keys: KeyRing | None, place: Place
) -> Engine:
    """A folder whose bytes have to be fetched. What was fetched is compared before it is given out."""
    with _workers(settings) as workers:
        driver = FolderDriver(where, workers, SealedForms(keys or KeyRing(where.path)))
        guarded = Guard(driver, settings.observer, settings.operations)
        careful = replace(settings, verify_reads=True)
        return Engine(guarded, workers, careful, place, remote=driver, restoring=driver)


async def s3_engine(
    where: S3Settings, settings: DataPlaneSettings, place: Place, location: str | None = None
) -> Engine:
    """A bucket; with the name of a `location`, one that was prepared as that. Raises as `open_s3`."""
    with needing_the_sdk():
        from registry.dataplane.drivers.s3.opening import open_driver

    bodies = settings.buffer_budget // 4
    with _workers(settings) as workers:
        driver = await open_driver(where, workers, settings.buffer_budget - bodies, location)
        # Who waits for memory holds a turn as well: more turns than uploads, or readers would wait with them.
        guarded = Guard(driver, settings.observer, max(settings.operations, where.connections))
        smaller = replace(settings, buffer_budget=bodies)
        return Engine(guarded, workers, smaller, place, remote=driver, restoring=driver)


def memory_engine(settings: DataPlaneSettings) -> Engine:
    guarded = Guard(MemoryDriver(), settings.observer, settings.operations)
    return Engine(guarded, Workers(settings.threads), settings, Place("local"))


@contextmanager
def needing_the_sdk() -> Iterator[None]:
    """Late imports: the SDK takes 0.3 s to load, and only who asks for a bucket needs it installed."""
    try:
        yield
    except ImportError as error:
        raise StoreError(
            ErrorKind.INTERNAL, f"storage on S3 needs `pip install artifact-store[s3]` ({error})"
        ) from None


@contextmanager
def _workers(settings: DataPlaneSettings) -> Iterator[Workers]:
    """Threads for an engine, ended when none comes of it."""
    workers = Workers(settings.threads)
    try:
        with Translated():
            yield workers
    except BaseException:
        workers.close()
        raise
