"""Who may delete in the bucket (decision 61): a permit, and requests that the service refuses when late.

A bucket has no lock that ends with a process, so no look at the permit stops a process that is held between
the look and its request. The service does: a deletion is signed first, for `stall` seconds, then the permit
is looked at, then the request is sent. Who admits another permit writes it, and waits until no request that
was signed before can be taken any more. All times are the service's own, which it tells with the permit.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from registry.dataplane.drivers.port import Refused, Transient
from registry.dataplane.drivers.s3.backoff import Backoff
from registry.dataplane.drivers.s3.bodies import body_of
from registry.dataplane.drivers.s3.bucket import Bucket
from registry.dataplane.drivers.s3.hold import whole
from registry.dataplane.drivers.s3.settings import S3Settings
from registry.dataplane.drivers.s3.trouble import ConditionError, NotThereError


class Permits:
    """The permit of one store, the object `key`."""

    def __init__(self, bucket: Bucket, key: str, settings: S3Settings, *, conditional: bool) -> None:
        self._bucket = bucket
        self._key = key
        self._stall = settings.stall
        #: How far the clocks may differ.
        self._ahead = timedelta(seconds=settings.stall / 2)
        self._behind = timedelta(seconds=settings.stall)
        self._backoff = Backoff(settings.patience)
        self._conditional = conditional

    async def admit(self, permit: str) -> None:
        """As `Driver.admit`. Takes more than twice `stall` seconds but for the first permit of a store."""
        if await whole(self._write(permit)):
            return
        # What was signed, by a clock that is ahead, and as long again for what the service has taken.
        await asyncio.sleep(2 * self._stall + 1)

    async def _write(self, permit: str) -> bool:
        """True when no permit was there before, so that nobody can have looked at one."""
        if self._conditional:
            try:
                await self._bucket.put(self._key, body_of(permit.encode()), exclusive=True)
            except ConditionError:
                pass
            else:
                return True
        await self._bucket.put(self._key, body_of(permit.encode()))
        return False

    async def delete(self, permit: str, key: str, version: str | None = None) -> None:
        """`Bucket.delete` by that permit. Raises Refused."""
        await self._backoff.persist(lambda: self._delete(permit, key, version))

    async def _delete(self, permit: str, key: str, version: str | None) -> None:
        signed = await self._bucket.sign_deletion(key, version, self._stall)
        try:
            stream = await self._bucket.get(self._key)
        except NotThereError:
            raise Refused("nobody was let delete in this bucket") from None
        try:
            admitted = await stream.read(stream.size)
        finally:
            stream.close()
        if admitted != permit.encode():
            raise Refused("another process deletes in this bucket now")
        if not -self._behind < signed.at - stream.date <= self._ahead:
            raise Transient(
                "a deletion was held up, or the clock of this machine is not that of the object store"
            )
        await self._bucket.send_deletion(signed)
