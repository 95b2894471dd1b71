"""An archive as objects of the bucket that content is in, below `ledger/`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from registry.dataplane.archives.names import AREA, checked, checked_prefix
from registry.dataplane.drivers.port import Permanent
from registry.dataplane.drivers.s3.bodies import body_of
from registry.dataplane.drivers.s3.bucket import Bucket, open_bucket
from registry.dataplane.drivers.s3.keys import Keys
from registry.dataplane.drivers.s3.settings import S3Settings
from registry.dataplane.drivers.s3.trouble import ConditionError, NotThereError, UnsupportedError
from registry.dataplane.failures import Translated


class BucketArchive:
    """Implements `Archive`. Objects that are created for good are kept like content: with
    its storage class, and under its lock."""

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings
        self._prefix = f"{settings.prefix}{AREA}/"
        self._format = Keys(settings.prefix).format
        self._stack = AsyncExitStack()
        self._bucket: Bucket | None = None
        self._opening = asyncio.Lock()

    async def get(self, name: str) -> bytes | None:
        with Translated():
            bucket = await self._opened()
            try:
                stream = await bucket.get(self._key(name))
            except NotThereError:
                await self._require_store(bucket)
                return None
            try:
                return await stream.read(stream.size)
            finally:
                stream.close()

    async def create(self, name: str, data: bytes) -> bool:
        key, body = self._key(name), body_of(data)
        with Translated():
            bucket = await self._opened()
            try:
                await bucket.put(key, body, exclusive=True, kept=True)
            except ConditionError:
                return False
            except UnsupportedError:
                # Two replicas at once are kept apart by who calls, so a look before is nearly as good.
                if await bucket.head(key) is not None:
                    return False
                await bucket.put(key, body, kept=True)
            return True

    async def replace(self, name: str, data: bytes) -> None:
        with Translated():
            await (await self._opened()).put(self._key(name), body_of(data))

    async def delete(self, name: str) -> None:
        with Translated():
            await (await self._opened()).delete(self._key(name))

    async def names(self, prefix: str) -> AsyncIterator[str]:
        start = self._prefix + checked_prefix(prefix)
        with Translated():
            bucket = await self._opened()
            async for listed in bucket.listed(start):
                yield listed.key.removeprefix(self._prefix)

    async def close(self) -> None:
        await self._stack.aclose()
        self._bucket = None

    def _key(self, name: str) -> str:
        return self._prefix + checked(name)

    async def _opened(self) -> Bucket:
        """The client with the first call: most processes of a store leave the archive to one of them."""
        async with self._opening:
            if self._bucket is None:
                self._bucket = await open_bucket(self._settings, self._stack)
        return self._bucket

    async def _require_store(self, bucket: Bucket) -> None:
        """A bucket that is gone, or another one, answers 404 too. Raises Permanent."""
        if await bucket.head(self._format) is None:
            raise Permanent(f"the bucket holds no store: there is no object {self._format}")
