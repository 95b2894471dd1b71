"""Every driver, opened empty and checked for leftovers afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from registry.dataplane import S3Settings
from registry.dataplane.drivers.guard import Guard
from registry.dataplane.drivers.local import LocalDriver
from registry.dataplane.drivers.memory import MemoryDriver
from registry.dataplane.drivers.opening import open_packed
from registry.dataplane.drivers.port import Area, Driver
from registry.dataplane.sealing.form import SealedForms
from registry.dataplane.settings import DataPlaneSettings, ignore
from registry.dataplane.workers import Workers
from tests.dataplane.sealed import sealing
from tests.drivers.leftovers import open_below, threads
from tests.objectstore.asking import keys, unfinished

DRIVERS: dict[str, Callable[[Path, Workers], Driver]] = {
    "memory": lambda root, workers: MemoryDriver(),
    "local": LocalDriver,
    # The suite's keys are not the digests of its bytes, which packs would tell: nothing is tiny here.
    "sealed": lambda root, workers: LocalDriver(root, workers, forms=SealedForms(sealing(root))),
    "packed": lambda root, workers: open_packed(root, workers, DataPlaneSettings(tiny_bytes=-1)),
}


#: Buckets of servers that differ: the fixtures that have a place in one.
BUCKETS = {"s3": "s3", "second s3": "second_s3"}


@pytest.fixture(
    params=[*sorted(DRIVERS), *(pytest.param(bucket, marks=pytest.mark.slow) for bucket in BUCKETS)]
)
async def driver(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Driver]:
    """A driver under guard. Fails when a stage, an unlisted object, a descriptor or a thread is left."""
    if request.param in BUCKETS:
        async for opened in _in_a_bucket(request.getfixturevalue(BUCKETS[request.param])):
            yield opened
        return
    root = tmp_path / "store"
    workers = Workers(4)
    guarded = Guard(DRIVERS[request.param](root, workers), ignore, 8)
    yield guarded
    listed = await _listed(guarded)
    workers.close()
    guarded.close()
    files = {path.relative_to(root) for path in root.rglob("*") if path.is_file()}
    names = {path.name.removesuffix(".sealed") for path in files if path.parts[0] not in ("index", "keys")}
    assert names <= listed | {"FORMAT", "SESSION"}
    assert open_below(tmp_path) == []
    assert threads() == []


async def _in_a_bucket(where: S3Settings) -> AsyncIterator[Driver]:
    from registry.dataplane.drivers.s3.opening import open_driver

    workers = Workers(4)
    opened = await open_driver(where, workers, 48 << 20)
    guarded = Guard(opened, ignore, 8)
    yield guarded
    listed = await _listed(guarded)
    assert opened.buffers.held == opened.buffers.flying == 0
    workers.close()
    guarded.close()
    await opened.aclose()
    assert {name.rpartition("/")[2] for name in await keys(where)} <= listed | {"FORMAT", "permit"}
    assert await unfinished(where) == []
    assert threads() == []


async def _listed(driver: Driver) -> set[str]:
    assert [stage async for stage in driver.stages()] == []
    return {key.hex for area in Area async for key, _ in driver.objects(area)}
