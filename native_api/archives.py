"""A package as one tar or zip, streamed: memory stays at one piece, whatever the package's size.

Entries stand in the package's order with fixed owner, mode and time, so the same package gives the same
bytes. Names cannot lead out of the folder they are unpacked in: relative paths are checked when a package is
made, and the titles of foreign artifacts when they are read.
"""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import AsyncGenerator, AsyncIterable
from typing import BinaryIO, cast

from aiohttp import web

from native_api.exchange import NO_CACHE, Exchange
from native_api.resources import PackageName
from native_api.streaming import send_pieces
from registry.contract.model import FileEntry, Package, Reading
from registry.contract.store import Session
from registry.http.conditional import etag, not_modified
from registry.http.send import send_bytes

#: A file of a package and its bytes.
Entry = tuple[FileEntry, Reading]

#: So many files are looked at before the first byte leaves; to look at more would hold it up by seconds.
CHECKED = 1000

_MODE = 0o644
_BLOCK = tarfile.BLOCKSIZE


async def get_tar(exchange: Exchange, name: PackageName) -> web.StreamResponse:
    return await _send(exchange, name, "tar")


async def get_zip(exchange: Exchange, name: PackageName) -> web.StreamResponse:
    return await _send(exchange, name, "zip")


async def _send(exchange: Exchange, name: PackageName, kind: str) -> web.StreamResponse:
    request = exchange.request
    package = await exchange.session.packages.get(name.repository, name.reference)
    base = f"{name.repository.rpartition('/')[2]}-{str(name.reference).replace(':', '-')}"
    headers = {
        "ETag": etag(package.manifest_digest),
        "Cache-Control": NO_CACHE,
        "Content-Type": "application/x-tar" if kind == "tar" else "application/zip",
        "Content-Disposition": f'attachment; filename="{base}.{kind}"',
    }
    if not_modified(request, package.manifest_digest):
        return send_bytes(request, 304, headers=headers)
    if request.method == "GET":
        await _check(exchange.session, package)
    entries = _entries(exchange.session, package)
    pieces = tar_pieces(entries) if kind == "tar" else zip_pieces(entries)
    return await send_pieces(request, pieces, headers, stall_timeout=exchange.limits.stall_timeout)


async def tar_pieces(entries: AsyncIterable[Entry]) -> AsyncGenerator[bytes, None]:
    """POSIX.1-2001 (pax): long and non-ASCII names and sizes beyond 8 GiB in extended headers.

    Raises while iterating what reading the files raises, and EOFError when one is shorter or longer than its
    descriptor says.
    """
    async for file, reading in entries:
        entry = tarfile.TarInfo(file.relative_path)
        entry.size, entry.mode = file.size, _MODE
        yield entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        async for piece in _content(file, reading):
            yield piece
        if file.size % _BLOCK:
            yield bytes(_BLOCK - file.size % _BLOCK)
    yield bytes(2 * _BLOCK)


async def zip_pieces(entries: AsyncIterable[Entry]) -> AsyncGenerator[bytes, None]:
    """Stored, not deflated: most of what packages hold is compressed already. zip64 where sizes ask for it.

    Raises as `tar_pieces`.
    """
    sink = _Sink()
    with zipfile.ZipFile(cast(BinaryIO, sink), "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        async for file, reading in entries:
            entry = zipfile.ZipInfo(file.relative_path)
            entry.file_size = file.size
            entry.external_attr = _MODE << 16
            entry.create_system = 3  # Unix, on every platform that writes it
            with archive.open(entry, "w") as target:
                async for piece in _content(file, reading):
                    target.write(piece)
                    yield sink.take()
    yield sink.take()


async def _check(session: Session, package: Package) -> None:
    """Refuse what cannot be whole before its first byte. Raises as `Blobs.get`, and RESTORE_REQUIRED."""
    for file in package.files[:CHECKED]:
        reading = await session.blobs.get(package.repository, file.digest)
        opened = await reading.open_file()
        if opened is not None:
            opened.close()


async def _entries(session: Session, package: Package) -> AsyncGenerator[Entry, None]:
    """The files, opened when their turn comes. By digest: a path would be looked up among all."""
    for file in package.files:
        yield file, await session.blobs.get(package.repository, file.digest)


async def _content(file: FileEntry, reading: Reading) -> AsyncGenerator[bytes, None]:
    """The bytes of one file, exactly as many as its descriptor says."""
    left = file.size
    async for piece in reading.stream():
        left -= len(piece)
        if left < 0:
            break
        yield piece
    if left:
        raise EOFError(f"the stored content is not the {file.size} bytes its descriptor says")


class _Sink:
    """Where zipfile writes: no position to go back to, so it writes what can be read as a stream."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is buffered further down."""

    def take(self) -> bytes:
        """What was written since the last call."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data
