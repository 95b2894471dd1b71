"""A bucket looked at before a server relies on it: reached, written to, read, deleted from."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Awaitable
from contextlib import AsyncExitStack

from registry.dataplane.drivers.port import Permanent, Transient
from registry.dataplane.drivers.s3.bodies import body_of
from registry.dataplane.drivers.s3.bucket import Bucket, open_bucket
from registry.dataplane.drivers.s3.keys import Keys
from registry.dataplane.drivers.s3.opening import check_format, is_conditional
from registry.dataplane.drivers.s3.settings import S3Settings
from registry.dataplane.drivers.s3.trouble import UnsupportedError
from registry.dataplane.drivers.s3.values import Examination

_PROBE = b"may I?"
#: Seconds that a person waits for a service that does not answer.
_PATIENCE = 2.0


async def examine(settings: S3Settings) -> Examination:
    """Raises StoreError and DriverErrors for what keeps a store from working there. Leaves nothing behind."""
    async with AsyncExitStack() as stack:
        bucket = await open_bucket(dataclasses.replace(settings, patience=_PATIENCE), stack)
        keys = Keys(settings.prefix)
        await bucket.reach()
        there = await check_format(bucket, keys)
        lock = await _lock(bucket)
        key = keys.probe(uuid.uuid4().hex)
        await _step("write", bucket.put(key, body_of(_PROBE)))
        try:
            head = await bucket.head(key)
            stream = await bucket.get(key)
            if await stream.read(stream.size) != _PROBE:
                raise Permanent("the bucket does not give back what was written to it")
            stream.close()
            if settings.lock_mode is None or lock is not None:
                upload = await bucket.begin(key)
                await _step("abort multipart uploads of", bucket.abort(key, upload))
            conditional = await is_conditional(bucket, key, _PROBE)
        finally:
            await _step("delete", bucket.delete(key))
        notices = _notices(settings, lock, conditional=conditional)
        versioned = head is not None and head.version is not None
        if versioned:
            await _forget(bucket, key, notices)
        return Examination(
            f"bucket {settings.bucket} at {settings.endpoint or settings.region or 'its region'}: "
            f"{'holds a store' if there else 'a store will be made with the first start'}; "
            "can list, write, read and delete; "
            f"conditional writes {'offered' if conditional else 'not offered'}; "
            f"versions {'kept' if versioned else 'not kept'}; object lock {lock or 'off'}",
            tuple(notices),
        )


async def _lock(bucket: Bucket) -> str | None:
    try:
        return await bucket.lock_mode()
    except (Permanent, UnsupportedError):
        return "unknown"


async def _step(what: str, work: Awaitable[object]) -> None:
    try:
        await work
    except Permanent as error:
        raise Permanent(f"the credentials do not let us {what} objects in the bucket ({error})") from error


async def _forget(bucket: Bucket, key: str, notices: list[str]) -> None:
    """Delete the versions of the probe, where they may be deleted."""
    try:
        async for version in bucket.versions(key):
            await bucket.delete(version.key, version.id)
    except (Permanent, Transient) as error:
        notices.append(f"versions cannot be deleted, so deleted content goes on taking room ({error})")


def _notices(settings: S3Settings, lock: str | None, *, conditional: bool) -> list[str]:
    notices = []
    if not conditional:
        notices.append(
            "without conditional writes two replicas can spoil an upload that both write to at once (it is "
            "refused then, and content is safe)"
        )
    if settings.lock_mode is not None and lock is None:
        notices.append(
            "storage.lock_mode is set, and the bucket was made without object lock: pushes will fail"
        )
    if lock is not None and "every new object" in lock:
        notices.append(
            "the bucket locks every object, so that parts of uploads take room until their lock ends"
        )
    return notices
