"""Archives: whole objects by name, created once or replaced, in a folder and in a bucket alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.contract.archive import Archive
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane import S3Settings, open_s3
from registry.dataplane.archives import bucket_archive, folder_archive


@pytest.fixture(params=["folder", "bucket"])
async def archive(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Archive]:
    if request.param == "folder":
        opened = folder_archive(tmp_path)
    else:
        where: S3Settings = request.getfixturevalue("s3")
        await (await open_s3(where)).close()
        opened = bucket_archive(where)
    yield opened
    await opened.close()


async def names(archive: Archive, prefix: str = "") -> set[str]:
    return {name async for name in archive.names(prefix)}


async def test_an_object_is_created_once(archive: Archive) -> None:
    assert await archive.get("tile/0/000.p/8") is None
    assert await archive.create("tile/0/000.p/8", b"first")
    assert not await archive.create("tile/0/000.p/8", b"second")
    assert await archive.get("tile/0/000.p/8") == b"first"


async def test_of_many_who_create_at_once_one_does(archive: Archive) -> None:
    data = [str(number).encode() * 1000 for number in range(8)]
    made = await asyncio.gather(*(archive.create("a/b", one) for one in data))
    assert sum(made) == 1
    assert await archive.get("a/b") == data[made.index(True)]
    assert await names(archive) == {"a/b"}


async def test_an_object_is_replaced_and_deleted(archive: Archive) -> None:
    await archive.replace("checkpoint", b"one")
    await archive.replace("checkpoint", b"")
    assert await archive.get("checkpoint") == b""
    await archive.delete("checkpoint")
    await archive.delete("checkpoint")
    assert await archive.get("checkpoint") is None
    assert await archive.create("checkpoint", b"again")


async def test_names_are_listed_by_prefix(archive: Archive) -> None:
    for name in ("checkpoint", "tile/0/000", "tile/0/000.p/1", "tile/entries/x001/000"):
        await archive.replace(name, b"x")
    assert await names(archive, "tile/0/000.p/") == {"tile/0/000.p/1"}
    assert await names(archive, "tile/") == {"tile/0/000", "tile/0/000.p/1", "tile/entries/x001/000"}
    assert len(await names(archive)) == 4
    assert await names(archive, "nothing/") == set()


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "../a", "a/../b", ".hidden", "A", "a b", "a" * 501])
async def test_no_other_name_becomes_a_path(archive: Archive, name: str) -> None:
    for call in (
        archive.get(name),
        archive.create(name, b""),
        archive.replace(name, b""),
        archive.delete(name),
    ):
        with pytest.raises(StoreError) as refused:
            await call
        assert refused.value.kind is ErrorKind.NAME_INVALID


async def test_a_store_that_is_not_there_is_no_empty_archive(tmp_path: Path, s3: S3Settings) -> None:
    for archive in (folder_archive(tmp_path / "unmounted"), bucket_archive(s3)):
        with pytest.raises(StoreError) as refused:
            await archive.get("checkpoint")
        assert refused.value.kind is ErrorKind.INTERNAL
        await archive.close()
    with pytest.raises(StoreError):
        await folder_archive(tmp_path / "unmounted").create("checkpoint", b"")
    assert not (tmp_path / "unmounted").exists()
