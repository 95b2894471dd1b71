"""The S3 driver: objects and stages in a bucket (keys.py draws the tree, hold.py has the life of a stage).

There are no open files in a bucket, so an object that is deleted while it is read is Missing to its reader
from then on; the delay between announcing a deletion and doing it (decision 36) is what readers live on.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from itertools import groupby

from registry.contract.dataplane import DomainId, RestoreStatus
from registry.dataplane.drivers.port import (
    Area,
    Away,
    Busy,
    DriverError,
    Hold,
    Locked,
    Missing,
    Moved,
    ObjectKey,
    OpenObject,
    Permanent,
    Pieces,
    StageInfo,
    StageKey,
    Standing,
    Usage,
)
from registry.dataplane.drivers.s3.bodies import body_of
from registry.dataplane.drivers.s3.bucket import Bucket
from registry.dataplane.drivers.s3.buffers import Buffers
from registry.dataplane.drivers.s3.hold import S3Hold, whole
from registry.dataplane.drivers.s3.joining import Joiner
from registry.dataplane.drivers.s3.keys import Keys
from registry.dataplane.drivers.s3.permits import Permits
from registry.dataplane.drivers.s3.reading import S3Object
from registry.dataplane.drivers.s3.seen import Seen
from registry.dataplane.drivers.s3.segments import Chain, chain_of
from registry.dataplane.drivers.s3.settings import S3Settings
from registry.dataplane.drivers.s3.trouble import (
    ConditionError,
    NotThereError,
    UnsupportedError,
    UploadGoneError,
)
from registry.dataplane.drivers.s3.values import Head, Listed, Source, Version
from registry.dataplane.hashing import fault_of
from registry.dataplane.workers import Workers

_LOG = logging.getLogger(__name__)

#: Deletions under way at once for one stage.
_DELETIONS = 16
#: Seconds for which the sight of the FORMAT object proves that this is still the store.
_PROVEN = 5.0
#: Seconds for which a probe that was written stands for the next: balancers ask every second or two, and
#: services charge for what is written.
_WRITABLE = 60.0
_INLINE = 64 << 10


#: Deletes a key, or one version of it.
_Delete = Callable[[str, str | None], Awaitable[None]]


class S3Driver:
    """A `Driver`, and the engine's `Remote` and `Restoring`. `open_driver` (opening.py) makes it."""

    def __init__(
        self,
        bucket: Bucket,
        keys: Keys,
        settings: S3Settings,
        workers: Workers,
        buffers: Buffers,
        *,
        conditional: bool,
        versioned: bool,
        worm: bool,
        resources: AsyncExitStack,
    ) -> None:
        """`conditional`: PUTs can be refused where something is. `versioned`: deletions leave versions.
        `worm`: the bucket locks every new object, so that nothing may be written just to try."""
        self._bucket = bucket
        self._keys = keys
        self._settings = settings
        self._workers = workers
        self.buffers = buffers
        self._conditional = conditional
        self._versioned = versioned
        self._worm = worm
        self._resources = resources
        self._joiner = Joiner(bucket, buffers, workers)
        self._permits = Permits(bucket, keys.permit, settings, conditional=conditional)
        self._setting_aside = asyncio.Lock()
        self._seen = Seen()
        self._holds: dict[StageKey, S3Hold | None] = {}
        self._proven = -math.inf
        self._written = -math.inf

    # --- objects ---------------------------------------------------------------------------------------

    async def put(self, key: ObjectKey, data: bytes) -> bool:
        return await whole(self._put(key, data))

    async def _put(self, key: ObjectKey, data: bytes) -> bool:
        name = self._keys.object(key)
        body = body_of(data) if len(data) <= _INLINE else await self._workers.run(lambda: body_of(data))
        if self._conditional:
            with suppress(ConditionError):
                await self._bucket.put(name, body, exclusive=True, kept=True)
                return True
        elif await self._bucket.head(name) is None:
            await self._bucket.put(name, body, kept=True)
            return True
        await self._kept(name, len(data))
        self._seen.forget(name)
        return False

    async def size(self, key: ObjectKey) -> int:
        return (await self._head(key)).size

    async def open(self, key: ObjectKey) -> OpenObject:
        name = self._keys.object(key)
        head = self._seen.get(name)
        if head is None or not _at_hand(head):  # which may have changed since
            head = await self._head(key)
        if not _at_hand(head):
            raise Away("its storage class is one that has to be restored")
        return S3Object(self._bucket, name, head.size, head.etag, lambda: self._head(key))

    async def delete(self, key: ObjectKey, permit: str | None = None) -> int:
        head = await self._head(key)
        if head.held is not None:
            raise Locked(f"the bucket's object lock keeps {key.hex}: {head.held}")
        name = self._keys.object(key)
        delete = self._bucket.delete if permit is None else partial(self._permits.delete, permit)
        self._seen.forget(name)
        await whole(self._erase(name, [name], delete))
        return head.size

    async def admit(self, permit: str) -> None:
        await self._permits.admit(permit)

    async def set_aside(self, key: ObjectKey, to: ObjectKey) -> None:
        await whole(self._set_aside(key, to))

    async def _set_aside(self, key: ObjectKey, to: ObjectKey) -> None:
        async with self._setting_aside:
            name, head = self._keys.object(key), await self._head(key)
            if not _at_hand(head):
                raise Away("its storage class is one that has to be restored")
            found = S3Object(self._bucket, name, head.size, head.etag)
            try:
                if await fault_of(self._workers, found, key.hex) is None:
                    return
            finally:
                found.close()
            source = Source(name, head.etag, head.size, 0, head.size)
            # Another of the same size there would be taken for this one.
            aside = self._keys.object(to)
            await self._erase(aside, [aside], self._bucket.delete)
            try:
                await self._joiner.join([source], aside, lambda _: name, exclusive=False)
            except Busy:  # gone, or another by now
                return
            finally:
                self._seen.forget(name)
                self._seen.forget(aside)
            await self._delete_seen(name, head)

    async def _delete_seen(self, name: str, head: Head) -> None:
        """Delete the object that `head` tells of, and none that came since where the service can tell."""
        try:
            if head.version is not None and head.held is None:
                await self._bucket.delete(name, head.version)
            else:
                await self._bucket.delete(name, etag=head.etag)
        except ConditionError:
            return
        except UnsupportedError:
            now = await self._bucket.head(name)
            if now is not None and now.etag == head.etag:
                await self._bucket.delete(name)

    async def objects(
        self, area: Area, domain: DomainId | None = None
    ) -> AsyncIterator[tuple[ObjectKey, int]]:
        async for listed in self._bucket.listed(self._keys.area(area, domain)):
            key = self._keys.object_at(area, listed.key)
            if key is not None:
                yield key, listed.size

    async def usage(self) -> Usage:
        sizes = [size async for _, size in self.objects(Area.CONTENT)]
        return Usage(sum(sizes), len(sizes))

    # --- stages ----------------------------------------------------------------------------------------

    async def hold(self, stage: StageKey, offset: int | None = None, first: Pieces = ()) -> Hold:
        if stage in self._holds:
            raise Busy("the stage is held by another append")
        self._holds[stage] = None
        try:
            chain = await self._chain(stage) or Chain()
            if offset is not None and offset != chain.length:
                raise Moved(chain.length)
            hold = S3Hold(
                stage,
                chain,
                bucket=self._bucket,
                keys=self._keys,
                buffers=self.buffers,
                workers=self._workers,
                conditional=self._conditional,
                completed=partial(self._complete, stage),
                dropped=partial(self._drop, stage),
                released=lambda: self._let_go(stage),
            )
        except BaseException:
            self._let_go(stage)
            raise
        self._holds[stage] = hold
        try:
            if first:
                await hold.write(first)
        except BaseException:
            await hold.release()
            raise
        return hold

    async def stage(self, stage: StageKey) -> StageInfo:
        hold = self._holds.get(stage)
        if hold is not None and hold.present.length:
            return hold.present
        chain = await self._chain(stage)
        if chain is None:  # a listing that was answered is proof enough
            raise Missing("no such stage")
        return chain.info()

    async def stages(self) -> AsyncIterator[tuple[StageKey, StageInfo]]:
        stage: StageKey | None = None
        found: list[tuple[int | None, Listed]] = []
        async for listed in self._bucket.listed(self._keys.uploads):
            part = self._keys.part_at(listed.key)
            if part is None:
                continue
            if stage is not None and part.stage != stage:
                yield stage, chain_of(found).info()
                found = []
            stage = part.stage
            found.append((part.offset, listed))
        if stage is not None:
            yield stage, chain_of(found).info()

    # --- the medium ------------------------------------------------------------------------------------

    async def free(self) -> int | None:
        return None

    async def probe(self) -> None:
        if self._worm:
            await self._bucket.reach()
        elif time.monotonic() - self._written <= _WRITABLE:
            await self._look()
        else:
            await whole(self._probe())

    async def _look(self) -> None:
        self._written, written = -math.inf, self._written  # after a failure only writing is proof
        if await self._bucket.head(self._keys.format) is None:
            raise self._lost()
        self._written = written

    async def _probe(self) -> None:
        key = self._keys.probe(uuid.uuid4().hex)
        await self._bucket.put(key, body_of(b"may I?"))
        await self._erase(key, [key], self._bucket.delete)
        self._written = time.monotonic()

    def close(self) -> None:
        """Nothing is held by the driver alone; `aclose` ends the connections."""

    # --- what only a bucket can do -----------------------------------------------------------------------

    async def link(self, key: ObjectKey) -> str | None:
        """A presigned URL for an object that is large enough; see `DataPlane.link`."""
        least = self._settings.redirect_bytes
        name = self._keys.object(key)
        if least is None:
            return None
        head = self._seen.get(name) or await self._head(key)
        if head.size < least or not _at_hand(head):
            return None
        return await self._bucket.url(name, self._settings.redirect_for)

    async def standing(self, key: ObjectKey) -> Standing:
        """See `Restoring.standing`."""
        return (await self._head(key)).standing

    async def restore(self, key: ObjectKey) -> RestoreStatus:
        """See `Restoring.restore`."""
        name, head = self._keys.object(key), await self._head(key)
        if _at_hand(head) and head.standing.until is None:  # of a class that needs none
            return RestoreStatus.AVAILABLE
        if head.standing.status is RestoreStatus.ONGOING:
            return RestoreStatus.ONGOING
        self._seen.forget(name)
        try:
            there = await self._bucket.restore(name)
        except NotThereError:
            raise Missing("no such object") from None
        return RestoreStatus.AVAILABLE if there or _at_hand(head) else RestoreStatus.REQUESTED

    async def reap(self, before: int) -> int:
        """Abort multipart uploads begun before then (microseconds since the epoch); see `DataPlane.reap`."""
        aborted = 0
        with suppress(UnsupportedError):  # services that tidy up by themselves
            for prefix in self._keys.joined:
                async for found in self._bucket.unfinished(prefix):
                    if found.begun < before:
                        with suppress(UploadGoneError):
                            await self._bucket.abort(found.key, found.upload)
                            aborted += 1
        return aborted

    async def aclose(self) -> None:
        """End the connections. Idempotent."""
        await self._resources.aclose()

    # --- within ------------------------------------------------------------------------------------------

    async def _head(self, key: ObjectKey) -> Head:
        """Raises Missing when the object is surely not there."""
        name = self._keys.object(key)
        head = await self._bucket.head(name)
        if head is None:
            self._seen.forget(name)
            await self._prove()
            raise Missing("no such object")
        self._seen.keep(name, head)
        return head

    async def _prove(self) -> None:
        """Raises Permanent unless the store is visibly there: an emptied bucket holds nothing either."""
        if time.monotonic() - self._proven <= _PROVEN:
            return
        try:
            (await self._bucket.get(self._keys.format)).close()
        except NotThereError:
            raise self._lost() from None
        self._proven = time.monotonic()

    def _lost(self) -> Permanent:
        return Permanent(
            f"the bucket lost the object {self._keys.format}: is it still the right bucket and prefix?"
        )

    async def _kept(self, name: str, size: int) -> bool:
        """Whether an object of that size is there; its lock is prolonged as if it were written now."""
        head = await self._bucket.head(name)
        if head is None or head.size != size:
            return False
        if self._bucket.locks():
            with suppress(NotThereError):  # gone since
                await self._bucket.prolong(name)
        return True

    async def _chain(self, stage: StageKey) -> Chain | None:
        found = [listed async for listed in self._bucket.listed(self._keys.stage(stage))]
        if not found:
            return None
        parts = [(self._keys.part_at(listed.key), listed) for listed in found]
        return chain_of((None if part is None else part.offset, listed) for part, listed in parts)

    async def _complete(self, stage: StageKey, chain: Chain, key: ObjectKey) -> None:
        name = self._keys.object(key)
        head = await self._bucket.head(name)
        if head is None or not await self._kept(name, chain.length):
            exclusive = self._conditional and head is None
            between = partial(self._keys.joined_at, stage)
            await self._joiner.join(chain.segments, name, between, exclusive=exclusive)
            self._seen.forget(name)
        try:
            await self._drop(stage)
        except DriverError as error:  # the content is durable; the reaper takes the rest
            _LOG.warning("segments of a completed upload stay until they are reaped: %s", error)

    async def _drop(self, stage: StageKey) -> None:
        prefix = self._keys.stage(stage)
        names = [listed.key async for listed in self._bucket.listed(prefix)]
        await self._erase(prefix, names, self._bucket.delete)

    async def _erase(self, prefix: str, keys: Iterable[str], delete: _Delete) -> None:
        """Delete these keys, which begin with `prefix`, and all their versions.

        The first goes before the others: without its first segment a stage is no more.
        """
        for _, batch in groupby(enumerate(keys), lambda entry: (entry[0] + _DELETIONS - 1) // _DELETIONS):
            await asyncio.gather(*(delete(key, None) for _, key in batch))
        if self._versioned:
            await self._erase_versions([version async for version in self._bucket.versions(prefix)], delete)

    async def _erase_versions(self, versions: Sequence[Version], delete: _Delete) -> None:
        """What a lock keeps stays hidden under its deletion marker until the lock ends."""
        stay = set[str]()
        for version in sorted(versions, key=lambda version: version.marker):
            if version.marker and version.key in stay:
                continue
            try:
                await delete(version.key, version.id)
            except Permanent as error:
                stay.add(version.key)
                _LOG.info("a version of %s stays: %s", version.key, error)

    def _let_go(self, stage: StageKey) -> None:
        self._holds.pop(stage, None)


def _at_hand(head: Head) -> bool:
    return head.standing.status is RestoreStatus.AVAILABLE
