"""A sick medium: the right error, nothing changed, nothing leaked, and it goes on when healed."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.engine import Engine
from tests.dataplane.faulty import Faults, faulty_engine
from tests.dataplane.support import (
    IMPATIENT,
    all_stages,
    body,
    content_of,
    new_stage,
    open_engine,
    read_all,
)
from tests.drivers.leftovers import open_below

ERRORS = [
    (errno.ENOSPC, ErrorKind.STORAGE_FULL),
    (errno.EDQUOT, ErrorKind.STORAGE_FULL),
    (errno.EIO, ErrorKind.UNAVAILABLE),
    (errno.EMFILE, ErrorKind.UNAVAILABLE),
    (errno.EROFS, ErrorKind.INTERNAL),
    (errno.ENOENT, ErrorKind.INTERNAL),
]


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def sick(faults: Faults) -> AsyncIterator[Engine]:
    engine = faulty_engine(faults, IMPATIENT)
    yield engine
    assert engine.budget.held == 0
    await engine.close()


@pytest.mark.parametrize(("number", "kind"), ERRORS)
@pytest.mark.parametrize("operation", ["hold", "write", "settle"])
async def test_an_append_that_fails_keeps_what_was_written(
    sick: Engine, faults: Faults, operation: str, number: int, kind: ErrorKind
) -> None:
    data, stage = os.urandom(5 << 20), new_stage()
    faults.inject(operation, OSError(number, "injected"), after=1 if operation == "write" else 0)
    with pytest.raises(StoreError) as refused:
        await sick.append(stage, 0, body(*(data[at : at + 100_000] for at in range(0, len(data), 100_000))))
    assert refused.value.kind is kind
    faults.heal()
    offset = (await sick.staged(stage)).offset
    assert offset == {"hold": 0, "write": 2 << 20, "settle": len(data)}[operation]
    await sick.append(stage, offset, body(data[offset:]))
    assert await sick.commit(stage, None) == content_of(data)


@pytest.mark.parametrize(("number", "kind"), ERRORS)
@pytest.mark.parametrize("operation", ["hold", "read_stage", "commit"])
async def test_a_commit_that_fails_can_be_tried_again(
    sick: Engine, faults: Faults, operation: str, number: int, kind: ErrorKind
) -> None:
    stage = new_stage()
    await sick.append(stage, 0, body(b"precious"))
    faults.inject(operation, OSError(number, "injected"))
    with pytest.raises(StoreError) as refused:
        await sick.commit(stage, Digest.of(b"precious", Algorithm.SHA512))
    assert refused.value.kind is kind
    faults.heal()
    assert (await sick.commit(stage, None)).blake3 == content_of(b"precious").blake3


@pytest.mark.parametrize(("number", "kind"), ERRORS)
async def test_no_failing_read_looks_like_absence(
    sick: Engine, faults: Faults, number: int, kind: ErrorKind
) -> None:
    address = (await sick.put(DEFAULT_DOMAIN, b"precious")).blake3
    for operation in ("open", "read", "size", "delete", "admit", "set_aside", "put", "probe"):
        faults.heal()
        faults.inject(operation, OSError(number, "injected"))
        works: dict[str, list[Callable[[], Awaitable[object]]]] = {
            "open": [
                lambda: anext(sick.read(DEFAULT_DOMAIN, address)),
                lambda: sick.open_file(DEFAULT_DOMAIN, address),
            ],
            "read": [
                lambda: anext(sick.read(DEFAULT_DOMAIN, address)),
                lambda: sick.get(DEFAULT_DOMAIN, address, 100),
                lambda: sick.verify(DEFAULT_DOMAIN, address),
            ],
            "size": [
                lambda: sick.size(DEFAULT_DOMAIN, address),
                lambda: sick.locations(DEFAULT_DOMAIN, address),
            ],
            "delete": [lambda: sick.remove(DEFAULT_DOMAIN, address)],
            "set_aside": [lambda: sick.quarantine(DEFAULT_DOMAIN, address)],
            "admit": [lambda: sick.admit("a permit")],
            "put": [lambda: sick.put(DEFAULT_DOMAIN, b"more")],
            "probe": [sick.check_writable],
        }
        for work in works[operation]:
            with pytest.raises(StoreError) as refused:
                await work()
            assert refused.value.kind is kind, operation
    faults.heal()
    assert await sick.get(DEFAULT_DOMAIN, address, 100) == b"precious"


async def test_what_the_client_is_told_when_full(sick: Engine, faults: Faults) -> None:
    faults.inject("put", OSError(errno.ENOSPC, "injected"))
    with pytest.raises(StoreError, match="the storage is full; free some space") as refused:
        await sick.put(DEFAULT_DOMAIN, b"x")
    faults.inject("put", OSError(errno.EIO, "injected"))
    with pytest.raises(StoreError, match="try again later") as refused:
        await sick.put(DEFAULT_DOMAIN, b"x")
    assert refused.value.detail == {"retry_after": 5}


def leaked(root: Path) -> list[str]:
    """What is open below `root` and should not be: beside the index, and the log that is appended to."""
    found = [path for path in open_below(root) if "/index/" not in path and not path.endswith("/store")]
    packs = [path for path in found if path.endswith(".pack")]
    return [path for path in found if path not in packs[:1]]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """A disk of 4 MiB, or None where nobody may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    yield folder if mounted else None
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("kind", ["local", "sealed"])
async def test_a_full_disk(small_disk: Path | None, sick: Engine, faults: Faults, kind: str) -> None:
    """On a real small disk where we may mount one, else with the fault injected where the disk would."""
    store = sick if small_disk is None else open_engine(kind, small_disk / "store")
    faults.inject("write", OSError(errno.ENOSPC, "injected"), after=2)
    faults.inject("put", OSError(errno.ENOSPC, "injected"), after=1)
    kept = await store.put(DEFAULT_DOMAIN, b"precious")
    data, stage = os.urandom(6 << 20), new_stage()
    with pytest.raises(StoreError) as refused:
        await store.append(stage, 0, body(*(data[at : at + 65_536] for at in range(0, len(data), 65_536))))
    assert refused.value.kind is ErrorKind.STORAGE_FULL
    assert 1 << 20 <= (await store.staged(stage)).offset < len(data)
    for size in (1 << 20, 2 << 20):  # whole pieces and parts of one; nothing of it may stay
        with pytest.raises(StoreError) as refused:
            await store.put(DEFAULT_DOMAIN, os.urandom(size))
        assert refused.value.kind is ErrorKind.STORAGE_FULL
    assert [found for found, _ in await all_stages(store)] == [stage.id]
    if small_disk is not None:
        assert leaked(small_disk) == []
    assert await read_all(store, kept) == b"precious"
    await store.discard(stage)
    faults.heal()
    await store.put(DEFAULT_DOMAIN, data[: 2 << 20])
    assert await all_stages(store) == []
    if store is not sick:
        await store.close()


@pytest.mark.parametrize("kind", ["local", "sealed"])
async def test_no_descriptor_left_for_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A real EMFILE, met at every descriptor an upload opens, leaks none and is passing."""
    store = open_engine(kind, tmp_path)
    real, left = os.open, 0

    def scarce(*args: object, **options: object) -> int:
        nonlocal left
        if left == 0:
            raise OSError(errno.EMFILE, "injected")
        left -= 1
        return real(*args, **options)  # type: ignore[arg-type]

    stage, data = new_stage(), b"precious"
    failures = 0
    for allowed in range(40):
        monkeypatch.setattr(os, "open", scarce)
        left = allowed
        try:
            if (await store.staged(stage)).offset == 0:
                await store.append(stage, 0, body(data))
            assert await store.commit(stage, None) == content_of(data)
        except StoreError as error:
            assert error.kind is ErrorKind.UNAVAILABLE
            failures += 1
        else:
            break
        finally:
            monkeypatch.setattr(os, "open", real)
        assert leaked(tmp_path) == []
    assert failures > 5
    assert await read_all(store, content_of(data)) == data
    await store.close()
    assert open_below(tmp_path) == []
