"""A store in a bucket opened: its FORMAT object, and what the service can do."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack, suppress

from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.drivers.port import Area, Permanent
from registry.dataplane.drivers.s3.bodies import body_of
from registry.dataplane.drivers.s3.bucket import Bucket, open_bucket
from registry.dataplane.drivers.s3.buffers import Buffers
from registry.dataplane.drivers.s3.driver import S3Driver
from registry.dataplane.drivers.s3.keys import Keys
from registry.dataplane.drivers.s3.settings import S3Settings
from registry.dataplane.drivers.s3.trouble import ConditionError, NotThereError, UnsupportedError
from registry.dataplane.marker import LONGEST_MARKER, check_marker, marker_of
from registry.dataplane.workers import Workers

#: 1: whole objects and segments (keys.py).
FORMAT = 1
_TEXT = f"artifact-store data plane on S3, format {FORMAT}\n".encode("ascii")
_LINE = re.compile(rb"artifact-store data plane on S3, format ([0-9]{1,9})\n")


async def open_driver(
    settings: S3Settings, workers: Workers, memory: int, location: str | None = None
) -> S3Driver:
    """Open the store, or make it where the bucket has none. `memory` is for segments under way, in bytes.

    With the name of a `location`, only one that was prepared as that. Raises StoreError INTERNAL for an
    unknown or damaged format, what `check_marker` raises, and DriverErrors.
    """
    async with AsyncExitStack() as stack:
        bucket = await open_bucket(settings, stack)
        keys = Keys(settings.prefix)
        if location is not None:
            check_marker(await _marker(bucket, keys), location, _where(settings))
        await ensure_format(bucket, keys)
        return S3Driver(
            bucket,
            keys,
            settings,
            workers,
            Buffers(memory),
            conditional=await is_conditional(bucket, keys.format, _TEXT),
            versioned=await _is_versioned(bucket, keys),
            worm=await _is_worm(bucket),
            resources=stack.pop_all(),
        )


async def prepare(settings: S3Settings, location: str) -> None:
    """Make the store of a location. Raises StoreError, CONFLICT where there is another, and DriverErrors."""
    async with AsyncExitStack() as stack:
        bucket = await open_bucket(settings, stack)
        keys = Keys(settings.prefix)
        found = await _marker(bucket, keys)
        if found is None and await check_format(bucket, keys):
            raise StoreError(
                ErrorKind.CONFLICT,
                f"{_where(settings)} holds another store; name an empty prefix for the location {location}",
            )
        if found is not None:
            check_marker(found, location, _where(settings))
        await bucket.put(keys.location, body_of(marker_of(location)))
        await ensure_format(bucket, keys)


async def _marker(bucket: Bucket, keys: Keys) -> bytes | None:
    try:
        stream = await bucket.get(keys.location)
    except NotThereError:
        return None
    try:
        return await stream.read(min(stream.size, LONGEST_MARKER))
    finally:
        stream.close()


def _where(settings: S3Settings) -> str:
    return f"s3://{settings.bucket}/{settings.prefix}"


async def ensure_format(bucket: Bucket, keys: Keys) -> None:
    """Check the FORMAT object, or make it where there is no store yet. Raises StoreError INTERNAL."""
    if not await check_format(bucket, keys):
        await bucket.put(keys.format, body_of(_TEXT))


async def check_format(bucket: Bucket, keys: Keys) -> bool:
    """Whether there is a store. Raises StoreError INTERNAL when it is not one that this program knows."""
    try:
        stream = await bucket.get(keys.format)
    except NotThereError:
        async for _ in bucket.listed(keys.area(Area.CONTENT), most=1):
            raise StoreError(
                ErrorKind.INTERNAL,
                f"the bucket holds content but no object {keys.format}; put it back from a backup, or choose "
                "an empty prefix for a new store",
            ) from None
        return False
    text = await stream.read(stream.size) if stream.size < 100 else b""
    stream.close()
    found = _LINE.fullmatch(text)
    if found is None:
        raise StoreError(
            ErrorKind.INTERNAL, f"the object {keys.format} is damaged; put it back from a backup"
        )
    if int(found[1]) > FORMAT:
        raise StoreError(
            ErrorKind.INTERNAL,
            f"the store in the bucket has format {int(found[1])} and this program knows up to {FORMAT}; open "
            "it with the artifact-store version that wrote it, or a newer one",
        )
    return True


async def is_conditional(bucket: Bucket, key: str, data: bytes) -> bool:
    """Whether the service refuses to write where an object is: tried on `key`, which holds `data`."""
    try:
        await bucket.put(key, body_of(data), exclusive=True)
    except ConditionError:
        return True
    except UnsupportedError:
        return False
    return False


async def _is_versioned(bucket: Bucket, keys: Keys) -> bool:
    head = await bucket.head(keys.format)
    return head is not None and head.version is not None


async def _is_worm(bucket: Bucket) -> bool:
    with suppress(Permanent, UnsupportedError):  # services without Object Lock, or no right to ask
        mode = await bucket.lock_mode()
        return mode is not None and "every new object" in mode
    return False
