"""The bucket asked without the driver: what tests compare its work with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from registry.dataplane import S3Settings

#: Reading the service's description takes half a second, so it is read once.
_SESSION = get_session()


@asynccontextmanager
async def client(settings: S3Settings) -> AsyncIterator[Any]:
    """The SDK's own client."""
    async with _SESSION.create_client(
        "s3",
        endpoint_url=settings.endpoint,
        region_name="us-east-1",
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key,
        config=AioConfig(s3={"addressing_style": "path"}, signature_version="s3v4"),
    ) as opened:
        yield opened


async def make_bucket(settings: S3Settings, *, lock: bool = False) -> None:
    """Make the bucket, and write once: the first write to a bucket makes room, which takes seconds."""
    async with client(settings) as asked:
        await asked.create_bucket(Bucket=settings.bucket, ObjectLockEnabledForBucket=lock)
        await asked.put_object(Bucket=settings.bucket, Key="warm", Body=b"warm")


async def keys(settings: S3Settings) -> dict[str, int]:
    """Every key below the prefix, without it, and its size."""
    found: dict[str, int] = {}
    async with client(settings) as asked:
        pages = asked.get_paginator("list_objects_v2").paginate(
            Bucket=settings.bucket, Prefix=settings.prefix
        )
        async for page in pages:
            for entry in page.get("Contents", ()):
                found[entry["Key"].removeprefix(settings.prefix)] = entry["Size"]
    return found


async def unfinished(settings: S3Settings) -> list[str]:
    """Keys below the prefix that a multipart upload was begun for."""
    async with client(settings) as asked:
        answer = await asked.list_multipart_uploads(Bucket=settings.bucket, Prefix=settings.prefix)
        return [entry["Key"].removeprefix(settings.prefix) for entry in answer.get("Uploads", ())]
