"""Archives: whole, readable by common tools, the same every time, in bounded memory, never silently short."""

from __future__ import annotations

import asyncio
import contextlib
import io
import subprocess
import tarfile
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from native_api import Limits
from native_api.archives import CHECKED, Entry, tar_pieces, zip_pieces
from registry.contract.dataplane import OpenFile
from registry.contract.digest import Algorithm, Digest
from registry.contract.model import FileEntry
from tests.native_api.world import ROOT, World, open_world

PACKAGES = f"{ROOT}/packages"
FILES = {
    "a.txt": b"hello",
    "empty": b"",
    "deep/er/ü 漢字.bin": bytes(range(256)) * 5000,
    f"long/{'x' * 200}/{'y' * 200}.txt": b"long",
    "block": b"z" * 512,
}


async def test_a_tar_holds_every_file(world: World) -> None:
    await world.put_package("team/app:v1", FILES)
    answer = await world.http.get(f"{PACKAGES}/team/app:v1/archive.tar")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/x-tar")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="app-v1.tar"'
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        members = archive.getmembers()
        assert {m.name: archive.extractfile(m).read() for m in members} == FILES  # type: ignore[union-attr]
    assert all((m.mode, m.mtime, m.uid, m.uname) == (0o644, 0, 0, "") for m in members)


async def test_a_zip_holds_every_file(world: World) -> None:
    package = await world.put_package("team/app:v1", FILES)
    answer = await world.http.get(f"{PACKAGES}/team/app@{package['manifest_digest']}/archive.zip")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == FILES


async def test_gnu_tar_takes_it(world: World, tmp_path: Path) -> None:
    await world.put_package("app:v1", FILES)
    answer = await world.http.get(f"{PACKAGES}/app:v1/archive.tar")
    subprocess.run(["tar", "-xf", "-"], input=answer.content, cwd=tmp_path, check=True)
    assert {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()} >= set(FILES)


@pytest.mark.parametrize("kind", ["tar", "zip"])
async def test_the_same_package_gives_the_same_bytes(world: World, kind: str) -> None:
    await world.put_package("one:v1", FILES)
    await world.put_package("two:v1", FILES)
    one = await world.http.get(f"{PACKAGES}/one:v1/archive.{kind}")
    two = await world.http.get(f"{PACKAGES}/two:v1/archive.{kind}")
    assert one.content == two.content
    assert one.headers["ETag"] == two.headers["ETag"]
    again = await world.http.get(
        f"{PACKAGES}/one:v1/archive.{kind}", headers={"If-None-Match": one.headers["ETag"]}
    )
    assert again.status_code == 304


@pytest.mark.parametrize("kind", ["tar", "zip"])
async def test_a_package_of_no_files_is_an_empty_archive(world: World, kind: str) -> None:
    await world.put_package("app:v1", {})
    answer = await world.http.get(f"{PACKAGES}/app:v1/archive.{kind}")
    if kind == "tar":
        with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
            assert archive.getnames() == []
    else:
        assert zipfile.ZipFile(io.BytesIO(answer.content)).namelist() == []


def cut_short(folder: Path, size: int) -> None:
    """Truncate the stored content of that size."""
    (found,) = (path for path in folder.rglob("*") if path.is_file() and path.stat().st_size == size)
    found.write_bytes(b"cut")


@pytest.mark.parametrize("kind", ["tar", "zip"])
async def test_bytes_that_are_lost_are_told_before_the_first_byte(
    world: World, tmp_path: Path, kind: str
) -> None:
    await world.put_package("app:v1", {"a": b"a" * 600_000, "b": b"b" * 600_001})
    cut_short(tmp_path / "content", 600_001)
    answer = await world.http.get(f"{PACKAGES}/app:v1/archive.{kind}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("kind", ["tar", "zip"])
async def test_bytes_that_go_missing_midway_break_the_connection(
    world: World, tmp_path: Path, kind: str
) -> None:
    # What comes after the files that are looked at first is found lost when its turn comes.
    small, large = await world.put_content(b"a"), await world.put_content(b"b" * 600_001)
    files = [{"relative_path": f"a/{number:04}", "content_address": small} for number in range(CHECKED)]
    files.append({"relative_path": "b", "content_address": large})
    assert (await world.http.put(f"{PACKAGES}/app:v1", json={"files": files})).status_code == 201
    cut_short(tmp_path / "content", 600_001)
    with pytest.raises(httpx.RemoteProtocolError):
        await world.http.get(f"{PACKAGES}/app:v1/archive.{kind}")
    assert (await world.http.get(f"{PACKAGES}/app:v1")).status_code == 200


@dataclass
class Zeros:
    """A reading of `size` zero bytes that never exist at once; `held` is what it has given out."""

    size: int
    given: int = 0

    @property
    def digest(self) -> Digest:
        return Digest(Algorithm.SHA256, "0" * 64)

    def entry(self, path: str) -> Entry:
        return FileEntry(path, self.digest, self.size, "application/octet-stream"), self

    async def open_file(self) -> OpenFile | None:
        return None

    async def link(self) -> str | None:
        return None

    async def stream(self, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        piece = bytes(1 << 20)
        for at in range(0, self.size, len(piece)):
            part = piece[: self.size - at]
            self.given += len(part)
            yield part


async def each(*entries: Entry) -> AsyncIterator[Entry]:
    for entry in entries:
        yield entry


@pytest.mark.parametrize("pieces_of", [tar_pieces, zip_pieces])
async def test_pieces_leave_as_they_come(pieces_of: Any) -> None:
    zeros = Zeros(64 << 20)
    out = 0
    async for piece in pieces_of(each(zeros.entry("big"))):
        out += len(piece)
        assert len(piece) <= (1 << 20) + 1024
        assert zeros.given - out <= 0
    assert out >= zeros.size


@pytest.mark.parametrize("pieces_of", [tar_pieces, zip_pieces])
@pytest.mark.parametrize("really", [99, 101])
async def test_content_of_another_size_is_an_error(pieces_of: Any, really: int) -> None:
    zeros = Zeros(really)
    file, _ = zeros.entry("a")
    with pytest.raises(EOFError):
        async for _ in pieces_of(each((replace(file, size=100), zeros))):
            pass


async def test_a_zip_of_more_than_four_gibibytes_is_a_zip64(tmp_path: Path) -> None:
    zeros = Zeros((4 << 30) + 5)
    last = Zeros(3)
    target = tmp_path / "big.zip"
    with target.open("wb") as file:
        async for piece in zip_pieces(each(zeros.entry("big"), last.entry("after"))):
            if len(piece) == 1 << 20:
                file.seek(len(piece), io.SEEK_CUR)  # a hole: the file takes no space
            else:
                file.write(piece)
    with zipfile.ZipFile(target) as archive:
        assert [info.file_size for info in archive.infolist()] == [zeros.size, 3]
        assert archive.read("after") == b"\0\0\0"


async def test_a_reader_that_stalls_is_cut_off(tmp_path: Path) -> None:
    async with open_world(tmp_path, limits=Limits(stall_timeout=0.3)) as world:
        await world.put_package("app:v1", {"a": bytes(24 << 20)})
        quiet = len(asyncio.all_tasks())
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port, limit=2**16)
        writer.write(f"GET {PACKAGES}/app:v1/archive.zip HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(1.5)
        got = 0
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(1 << 20):
                got += len(piece)
        assert got < 24 << 20
        writer.close()
        async with asyncio.timeout(5):
            while len(asyncio.all_tasks()) > quiet:
                await asyncio.sleep(0.05)
