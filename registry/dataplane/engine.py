"""The engine: the `DataPlane` protocol over any driver.

Appends are described in appending.py and intake.py, what a commit owes to power loss in the driver port and
drivers/staging.py. The engine adds digests, claims, and the contract's errors.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

from registry.contract.dataplane import (
    Content,
    DomainId,
    Location,
    OpenFile,
    Packed,
    Packing,
    Place,
    RestoreStatus,
    RetrievalTier,
    Rewritten,
    Stage,
    StageStatus,
    StorageUse,
    Verification,
)
from registry.contract.digest import ALWAYS, Algorithm, Digest, MultiHasher
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.appending import Appending
from registry.dataplane.claims import Claims
from registry.dataplane.drivers.port import (
    LARGEST_PIECE,
    Area,
    Busy,
    Corrupt,
    Driver,
    Hold,
    Missing,
    ObjectKey,
    OpenObject,
    Piece,
    Restoring,
    StageInfo,
    StageKey,
    Standing,
)
from registry.dataplane.failures import Translated, no_such_place, offset_mismatch
from registry.dataplane.hashing import RunningHashes, absorb, fault_of, hash_all
from registry.dataplane.intake import Budget
from registry.dataplane.paths import checked_domain, object_key, stage_key
from registry.dataplane.righting import Righting
from registry.dataplane.settings import DataPlaneSettings
from registry.dataplane.workers import Workers

T = TypeVar("T")

#: Tiers that give their bytes at once.
AT_ONCE = frozenset({RetrievalTier.HOT, RetrievalTier.WARM})

#: Seconds between two tries to take a stage that another process holds.
_RETRY = 0.02


class Maintenance(Protocol):
    """Jobs that tidy a store; see `DataPlane.pack` and `rewrite`. They raise DriverErrors."""

    def pack(
        self, packing: Packing, chosen: AsyncIterable[tuple[DomainId, Digest]] | None
    ) -> AsyncGenerator[Packed, None]: ...

    def rewrite(self, threshold: float, grace: float) -> AsyncGenerator[Rewritten, None]: ...

    async def loose(self, domain: DomainId, addresses: Sequence[Digest]) -> list[Digest]: ...

    async def dead(self, threshold: float) -> int: ...

    def faults(self) -> AsyncGenerator[str, None]: ...


class Remote(Protocol):
    """What a medium over a network can do besides. It raises DriverErrors."""

    async def link(self, key: ObjectKey) -> str | None:
        """See `DataPlane.link`. Raises Missing."""
        ...

    async def reap(self, before: int) -> int:
        """See `DataPlane.reap`."""
        ...

    async def aclose(self) -> None:
        """End the connections. Called after `Driver.close`, once."""
        ...


@dataclass(frozen=True, slots=True)
class OpenBlob:
    """A whole blob as an open file; implements `OpenFile`."""

    fd: int
    _object: OpenObject

    @property
    def size(self) -> int:
        return self._object.size

    def close(self) -> None:
        self._object.close()


class Engine:
    """One store. Owns `workers` and `driver` and closes both; belongs to one event loop."""

    def __init__(
        self,
        driver: Driver,
        workers: Workers,
        settings: DataPlaneSettings,
        place: Place,
        jobs: Maintenance | None = None,
        remote: Remote | None = None,
        restoring: Restoring | None = None,
    ) -> None:
        """`jobs` pack and rewrite; without, all blobs stay whole. `remote` is for a medium over a network,
        `restoring` for one that does not have everything at hand."""
        self._driver = driver
        self._jobs = jobs
        self._remote = remote
        self._restoring = restoring
        self._workers = workers
        self._settings = settings
        self._place = place
        self._claims = Claims(settings.patience)
        self._running = RunningHashes(settings.running_hashes)
        self.budget = Budget(settings.buffer_budget, min(settings.batch, LARGEST_PIECE))
        self._active = 0
        self._idle = asyncio.Event()
        self._closed = False
        self._righting = Righting(driver, workers, settings.patience)

    # --- bytes come in ---------------------------------------------------------------------------------

    async def append(
        self, stage: Stage, offset: int, body: AsyncIterable[bytes], limit: int | None = None
    ) -> int:
        key = stage_key(stage)
        with self._changing():
            async with self._claims.claim(key):
                length = (await self._info(key)).length
                if length != offset:
                    raise offset_mismatch(length)
                appending = Appending(
                    key,
                    stage.announced,
                    offset,
                    workers=self._workers,
                    budget=self.budget,
                    running=self._running,
                    take_hold=self._hold,
                )
                return await appending.run(body, limit)

    async def staged(self, stage: Stage) -> StageStatus:
        with Translated():
            info = await self._info(stage_key(stage))
            return StageStatus(info.length, info.touched)

    async def identify(self, stage: Stage, expected: Digest | None) -> Content:
        key = stage_key(stage)
        with self._changing():
            async with self._claims.claim(key), self._held(key) as hold:
                content = await self._identify(key, hold, stage.announced, expected)
                if content.size == 0:
                    await hold.drop()
                return content

    async def commit(self, stage: Stage, expected: Digest | None) -> Content:
        key = stage_key(stage)
        with self._changing():
            async with self._claims.claim(key), self._held(key) as hold:
                content = await self._identify(key, hold, stage.announced, expected)
                address = object_key(key.domain, content.blake3)
                await self._righting.make_room(address, content.size)
                await hold.commit(address)
                self._running.forget(key)
                return content

    async def receive(self, domain: DomainId, address: Digest, body: AsyncIterable[bytes]) -> int:
        """Take a copy of content from another place and return its size; DIGEST_MISMATCH for other bytes.

        What came is read back from the medium and hashed before it gets its address. Raises as `append` and
        `commit`, and leaves nothing behind where it can.
        """
        stage = Stage(domain, str(uuid.uuid4()))
        try:
            await self.append(stage, 0, body)
            self._running.forget(stage_key(stage))
            return (await self.commit(stage, address)).size
        except BaseException:
            with suppress(StoreError):
                await self.discard(stage)
            raise

    async def discard(self, stage: Stage) -> None:
        key = stage_key(stage)
        with self._changing():
            async with self._claims.claim(key):
                self._running.forget(key)
                try:
                    await self._driver.stage(key)
                except Missing:
                    return
                async with self._held(key) as hold:
                    await hold.drop()

    async def put(self, domain: DomainId, data: bytes, extra: Algorithm | None = None) -> Content:
        with self._changing():
            hasher = MultiHasher((*ALWAYS, extra) if extra is not None else ALWAYS)
            await absorb(self._workers, hasher, [data])
            content = _content(hasher, len(data))
            await self._righting.put(object_key(domain, content.blake3), data)
            return content

    # --- bytes go out ----------------------------------------------------------------------------------

    async def size(self, domain: DomainId, address: Digest) -> int:
        with Translated():
            return await self._driver.size(object_key(domain, address))

    async def read(
        self, domain: DomainId, address: Digest, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        with Translated():
            blob = await self._open(domain, address)
        try:
            if not 0 <= start <= blob.size:
                raise StoreError(
                    ErrorKind.RANGE_UNSATISFIABLE,
                    f"the content has {blob.size} bytes",
                    detail={"size": blob.size},
                )
            end = blob.size if length is None else min(blob.size, start + length)
            while start < end:
                with Translated():
                    piece = await blob.read(start, min(LARGEST_PIECE, end - start))
                yield piece
                start += len(piece)
        finally:
            blob.close()

    async def get(self, domain: DomainId, address: Digest, limit: int) -> bytes:
        with Translated():
            blob = await self._driver.open(object_key(domain, address))
            try:
                if blob.size > limit:
                    raise StoreError(
                        ErrorKind.TOO_LARGE, f"the content has {blob.size} bytes; the limit is {limit}"
                    )
                pieces = [
                    await blob.read(start, min(LARGEST_PIECE, blob.size - start))
                    for start in range(0, blob.size, LARGEST_PIECE)
                ]
            finally:
                blob.close()
            hasher = MultiHasher((Algorithm.BLAKE3,))
            await absorb(self._workers, hasher, pieces)
            if not hasher.digests()[Algorithm.BLAKE3].matches(address):
                raise StoreError(
                    ErrorKind.CONTENT_UNKNOWN, f"the bytes held under {address} are corrupt; push them again"
                )
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def open_file(self, domain: DomainId, address: Digest) -> OpenFile | None:
        with Translated():
            blob = await self._open(domain, address)
            if blob.fd is not None:
                return OpenBlob(blob.fd, blob)
            blob.close()
            return None

    async def link(self, domain: DomainId, address: Digest) -> str | None:
        with Translated():
            key = object_key(domain, address)
            return None if self._remote is None else await self._remote.link(key)

    # --- care ------------------------------------------------------------------------------------------

    async def digest(self, domain: DomainId, address: Digest, algorithm: Algorithm) -> Digest:
        with Translated():
            hasher, _ = await self._read_all(domain, address, algorithm)
        return hasher.digests()[algorithm]

    async def verify(self, domain: DomainId, address: Digest) -> Verification:
        size = await self.size(domain, address)
        with Translated():
            try:
                blob = await self._driver.open(object_key(domain, address))
            except Corrupt as error:
                return Verification(domain, address, size, str(error))
            try:
                fault = await fault_of(self._workers, blob, address.hex)
            finally:
                blob.close()
        return Verification(domain, address, size, fault)

    async def contents(self, domain: DomainId | None = None) -> AsyncIterator[tuple[DomainId, Digest, int]]:
        with Translated():
            chosen = None if domain is None else checked_domain(domain)
            async for key, size in self._driver.objects(Area.CONTENT, chosen):
                yield key.domain, Digest(Algorithm.BLAKE3, key.hex), size

    async def stages(self) -> AsyncIterator[tuple[Stage, StageStatus]]:
        with Translated():
            async for key, info in self._driver.stages():
                yield Stage(key.domain, key.id), StageStatus(info.length, info.touched)

    async def remove(self, domain: DomainId, address: Digest, permit: str | None = None) -> int:
        with self._changing():
            try:
                return await self._righting.delete(object_key(domain, address), permit)
            except Missing:
                return 0

    async def admit(self, permit: str) -> None:
        with self._changing():
            await self._righting.admit(permit)

    async def quarantine(self, domain: DomainId, address: Digest) -> bool:
        with self._changing():
            return await self._righting.set_aside(object_key(domain, address))

    # --- places ----------------------------------------------------------------------------------------

    def places(self) -> tuple[Place, ...]:
        return (self._place,)

    async def locations(self, domain: DomainId, address: Digest) -> tuple[Location, ...]:
        standing = Standing(RestoreStatus.AVAILABLE)
        if self._restoring is None:
            await self.size(domain, address)
        else:
            with Translated():
                standing = await self._restoring.standing(object_key(domain, address))
        # Of what gives its bytes at once nobody expects a restore; of the rest one wants to know.
        here = standing.status is RestoreStatus.AVAILABLE and self._place.tier in AT_ONCE
        status = None if here else standing.status
        return (Location(self._place.name, self._place.tier, status, standing.until),)

    async def restore(self, domain: DomainId, address: Digest) -> RestoreStatus:
        if self._restoring is None:
            await self.size(domain, address)
            return RestoreStatus.AVAILABLE
        with self._changing():
            return await self._restoring.restore(object_key(domain, address))

    async def copy(self, domain: DomainId, address: Digest, to: str) -> int:
        self._check_place(to)
        found = await self.verify(domain, address)
        if found.fault is not None:
            raise StoreError(
                ErrorKind.CONTENT_UNKNOWN, f"what is held of {address} is corrupt: {found.fault}"
            )
        return found.size

    async def release(self, domain: DomainId, address: Digest, place: str, permit: str | None = None) -> int:
        self._check_place(place)
        raise StoreError(ErrorKind.CONFLICT, f"nothing was deleted: no other place holds {address}")

    def _check_place(self, name: str) -> None:
        if name != self._place.name:
            raise no_such_place(name, (self._place.name,))

    # --- tidying ---------------------------------------------------------------------------------------

    def pack(
        self, packing: Packing, chosen: AsyncIterable[tuple[DomainId, Digest]] | None = None
    ) -> AsyncGenerator[Packed, None]:
        return self._each(None if self._jobs is None else self._jobs.pack(packing, chosen))

    async def loose(self, domain: DomainId, addresses: Sequence[Digest]) -> list[Digest]:
        if self._jobs is None:
            return []
        with Translated():
            return await self._jobs.loose(domain, addresses)

    def rewrite(
        self, threshold: float | None = None, grace: float | None = None
    ) -> AsyncGenerator[Rewritten, None]:
        least = self._settings.rewrite_threshold if threshold is None else threshold
        quiet = self._settings.rewrite_grace if grace is None else grace
        return self._each(None if self._jobs is None else self._jobs.rewrite(least, quiet))

    async def reap(self, before: int) -> int:
        with self._changing():
            return 0 if self._remote is None else await self._remote.reap(before)

    async def use(self) -> StorageUse:
        with Translated():
            held = await self._driver.usage()
            staged = sum([info.length async for _, info in self._driver.stages()])
            return StorageUse(held.content, staged, await self._driver.free(), held.objects, held.dead)

    async def dead(self, threshold: float | None = None) -> int:
        if self._jobs is None:
            return 0
        with Translated():
            return await self._jobs.dead(self._settings.rewrite_threshold if threshold is None else threshold)

    def faults(self) -> AsyncGenerator[str, None]:
        return self._each(None if self._jobs is None else self._jobs.faults())

    async def check_writable(self) -> None:
        with self._changing():
            await self._driver.probe()

    async def close(self) -> None:
        self._closed = True
        while self._active:
            self._idle.clear()
            await self._idle.wait()
        self._workers.close()
        self._driver.close()
        if self._remote is not None:
            await self._remote.aclose()

    # --- within ----------------------------------------------------------------------------------------

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """A change that `close` waits for, with the contract's errors. Raises UNAVAILABLE when closed."""
        if self._closed:
            raise StoreError(ErrorKind.UNAVAILABLE, "the store is closed")
        self._active += 1
        try:
            with Translated():
                yield
        finally:
            self._active -= 1
            if not self._active:
                self._idle.set()

    async def _each(self, steps: AsyncGenerator[T, None] | None) -> AsyncGenerator[T, None]:
        """The steps of a job. `close` waits for one under way, and the next is refused."""
        if steps is None:
            return
        async with aclosing(steps):
            while True:
                with self._changing():
                    try:
                        step = await anext(steps)
                    except StopAsyncIteration:
                        return
                yield step

    async def _info(self, key: StageKey) -> StageInfo:
        try:
            return await self._driver.stage(key)
        except Missing:
            return StageInfo(0, 0, "")

    async def _hold(self, key: StageKey, offset: int | None, first: list[Piece]) -> Hold:
        """Take the hold, waiting with patience for another process to end. Raises as `Driver.hold`."""
        for _ in range(int(self._settings.patience / _RETRY)):
            try:
                return await self._driver.hold(key, offset, first)
            except Busy:
                await asyncio.sleep(_RETRY)
        return await self._driver.hold(key, offset, first)

    @asynccontextmanager
    async def _held(self, key: StageKey) -> AsyncIterator[Hold]:
        hold = await self._hold(key, None, [])
        try:
            yield hold
        finally:
            await hold.release()

    async def _hasher(
        self, key: StageKey, hold: Hold, announced: Algorithm | None, expected: Digest | None
    ) -> MultiHasher:
        """The digests of a held stage: those so far if they are good for it, else from its bytes."""
        wanted = {*ALWAYS}
        if announced is not None:
            wanted.add(announced)
        if expected is not None:
            wanted.add(expected.algorithm)
        hasher = self._running.take(key, hold.found.revision)
        if hasher is None or not wanted <= hasher.algorithms:
            hasher = await hash_all(self._workers, hold, hold.found.length, wanted)
        self._running.keep(key, hold.found.revision, hasher)
        return hasher

    async def _open(self, domain: DomainId, address: Digest) -> OpenObject:
        """Open to give bytes away, whole blobs verified first where that is set. Raises Missing, Corrupt."""
        blob = await self._driver.open(object_key(domain, address))
        if not self._settings.verify_reads or blob.fd is None:
            return blob
        try:
            fault = await fault_of(self._workers, blob, address.hex)
            if fault is not None:
                raise Corrupt(fault)
        except BaseException:
            blob.close()
            raise
        return blob

    async def _identify(
        self, key: StageKey, hold: Hold, announced: Algorithm | None, expected: Digest | None
    ) -> Content:
        """The digests of a held stage. Raises DIGEST_MISMATCH when none of them is the expected one."""
        hasher = await self._hasher(key, hold, announced, expected)
        content = _content(hasher, hold.found.length)
        if expected is not None and not any(expected.matches(known) for known in content.digests):
            if content.size == 0:
                await hold.drop()  # made only by this hold, or as good as none
            raise StoreError(
                ErrorKind.DIGEST_MISMATCH, f"the {content.size} bytes received are not {expected}"
            )
        return content

    async def _read_all(
        self, domain: DomainId, address: Digest, algorithm: Algorithm
    ) -> tuple[MultiHasher, int]:
        blob = await self._driver.open(object_key(domain, address))
        try:
            return await hash_all(self._workers, blob, blob.size, (algorithm,)), blob.size
        finally:
            blob.close()


def _content(hasher: MultiHasher, size: int) -> Content:
    digests = hasher.digests()
    return Content(digests[Algorithm.BLAKE3], digests[Algorithm.SHA256], size, digests.get(Algorithm.SHA512))
