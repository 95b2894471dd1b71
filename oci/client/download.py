"""One blob into one file: resumed by range, checked over the whole, and only then given its name.

While it comes in, a blob lies beside its target as `.artifact-store-<start of its digest>.part`. A pull that
is cut off leaves that file, and the next one reads, hashes and continues it. Nothing is fsynced: a pull that
a crash interrupts is repeated, and then finds by digest what is whole.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from oci.client.errors import ClientError, ContentError, IntegrityError, ResponseError
from oci.client.hashing import hash_file
from oci.client.progress import Progress
from oci.client.registry import RegistryClient
from oci.client.source import PIECE
from registry.contract.digest import Digest, MultiHasher
from registry.contract.names import Repository


@dataclass(frozen=True, slots=True)
class Wanted:
    """A blob: the digest it is fetched by, further digests that it must have, its size in bytes."""

    digest: Digest
    size: int
    also: tuple[Digest, ...] = ()

    @property
    def digests(self) -> tuple[Digest, ...]:
        return (self.digest, *self.also)


class _Part:
    """The unfinished file and the hashes of all that is in it."""

    def __init__(self, descriptor: int, wanted: Wanted) -> None:
        self._descriptor = descriptor
        self._wanted = wanted
        self._hasher = MultiHasher(digest.algorithm for digest in wanted.digests)
        self.size = 0

    async def take_up(self) -> None:
        """Hash what an earlier run left; more than the blob can have is dropped."""
        found = os.fstat(self._descriptor).st_size
        if found > self._wanted.size:
            self.restart()
        else:
            self.size = await hash_file(self._descriptor, found, self._hasher)

    def restart(self) -> None:
        os.ftruncate(self._descriptor, 0)
        self._hasher = MultiHasher(digest.algorithm for digest in self._wanted.digests)
        self.size = 0

    def append(self, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            view = memoryview(piece)
            while view:
                written = os.pwrite(self._descriptor, view, self.size)
                self._hasher.update(view[:written])
                self.size += written
                view = view[written:]

    def mismatch(self) -> Digest | None:
        """The first digest that the bytes do not have."""
        got = self._hasher.digests()
        return next((want for want in self._wanted.digests if not got[want.algorithm].matches(want)), None)


async def pull_blob(
    registry: RegistryClient,
    repository: Repository,
    wanted: Wanted,
    target: Path,
    *,
    progress: Progress,
) -> bool:
    """Have the blob at `target`; False when a file with just these bytes is there already.

    `target`'s folder must exist. Raises ClientError; then `target` is as it was.
    """
    if await _is_there(target, wanted):
        progress.advance(wanted.size)
        return False
    with _translated(target):
        path = target.parent / f".artifact-store-{wanted.digest.hex[:32]}.part"
        with _locked(path) as descriptor:
            part = _Part(descriptor, wanted)
            await part.take_up()
            resumed = part.size > 0
            progress.advance(part.size)
            fetch = _Fetch(registry, repository, wanted, progress)
            await fetch.fill(part)
            wrong = part.mismatch()
            if wrong is not None and resumed:
                # What an earlier run left may be to blame: once more, from the start.
                fetch.restart(part)
                await fetch.fill(part)
                wrong = part.mismatch()
            if wrong is not None:
                path.unlink()
                raise IntegrityError(
                    f"{registry.transport.host} served bytes for {target.name} that are not {wrong}"
                )
            path.replace(target)
    return True


class _Fetch:
    """Brings a part to its full size."""

    def __init__(
        self, registry: RegistryClient, repository: Repository, wanted: Wanted, progress: Progress
    ) -> None:
        self._transport = registry.transport
        self._location = f"/v2/{repository}/blobs/{wanted.digest}"
        self._wanted = wanted
        self._progress = progress

    async def fill(self, part: _Part) -> None:
        """Read on, and on again after each break. Raises ClientError when that does not help."""
        failures = 0
        while part.size < self._wanted.size:
            before = part.size
            try:
                await self._read_on(part)
            except ClientError as error:
                failures = 1 if part.size > before else failures + 1
                if isinstance(error, ResponseError) and error.status == 416 and part.size:
                    self.restart(part)
                    error.transient = True
                await self._transport.backoff.wait(failures, error)

    def restart(self, part: _Part) -> None:
        """Begin again from nothing."""
        self._progress.advance(-part.size)
        part.restart()

    async def _read_on(self, part: _Part) -> None:
        host, size = self._transport.host, self._wanted.size
        headers = {"Range": f"bytes={part.size}-"} if part.size else {}
        async with self._transport.exchange(
            "GET", self._location, headers=headers, accept=(200, 206)
        ) as response:
            place = response.headers.get("Content-Range", "")
            if part.size and not place.startswith(f"bytes {part.size}-"):
                self.restart(part)  # the registry knows no ranges and sends all of it
            batch: list[bytes] = []
            held = 0
            try:
                async for piece in response.content.iter_any():
                    batch.append(piece)
                    held += len(piece)
                    if held >= PIECE or part.size + held > size:
                        self._check_room(part.size + held)
                        await _store(part, batch, self._progress)
                        batch, held = [], 0
            except ClientError:
                raise
            except Exception:
                await _store(part, batch, self._progress)  # what arrived before a break is kept
                raise
            await _store(part, batch, self._progress)
        if part.size < size:
            raise IntegrityError(
                f"{host} serves {part.size} bytes for {self._wanted.digest}, its manifest says {size}"
            )

    def _check_room(self, size: int) -> None:
        if size > self._wanted.size:
            raise IntegrityError(
                f"{self._transport.host} serves more bytes for {self._wanted.digest} "
                f"than the {self._wanted.size} of its manifest"
            )


async def _store(part: _Part, batch: list[bytes], progress: Progress) -> None:
    before = part.size
    try:
        await asyncio.to_thread(part.append, batch)
    except OSError as error:
        # Here, lest the transport takes a full disk for a broken connection.
        raise ContentError(f"cannot write: {error.strerror}") from None
    progress.advance(part.size - before)


async def _is_there(target: Path, wanted: Wanted) -> bool:
    hasher = MultiHasher(digest.algorithm for digest in wanted.digests)
    try:
        descriptor = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        if os.fstat(descriptor).st_size != wanted.size:
            return False
        await hash_file(descriptor, wanted.size, hasher)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    got = hasher.digests()
    return all(got[want.algorithm].matches(want) for want in wanted.digests)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ContentError(f"another pull is writing {path}; wait for it") from None
        yield descriptor
    finally:
        with suppress(OSError):
            os.close(descriptor)


@contextmanager
def _translated(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ContentError(f"cannot write {target}: {error.strerror}") from None
