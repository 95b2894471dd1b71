"""Deletions that come late, as from a process that was stopped: the service refuses them."""

from __future__ import annotations

import asyncio

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane import S3Settings
from tests.dataplane.support import read_all
from tests.drivers.s3.stores import opened
from tests.drivers.s3.test_bucket import content_key
from tests.objectstore.asking import client
from tests.objectstore.proxy import Asked, Slow, before
from tests.objectstore.seaweed import SeaweedServer

pytestmark = pytest.mark.slow


def _is_a_deletion(asked: Asked) -> bool:
    return asked.method == "DELETE"


async def test_a_deletion_that_was_held_up_comes_to_nothing_once_another_permit_counts(
    s3: S3Settings, seaweed: SeaweedServer
) -> None:
    async with before(s3, seaweed.port) as (proxy, through_proxy), opened(s3) as other:
        async with opened(through_proxy) as stopped:
            content = await other.put(DEFAULT_DOMAIN, b"precious")
            await stopped.admit("first")
            # As long as it takes to admit another, and a moment more.
            proxy.spoil(Slow(2 * s3.stall + 2), 1, _is_a_deletion)
            late = asyncio.create_task(stopped.remove(DEFAULT_DOMAIN, content.blake3, "first"))
            while not proxy.spoiled:
                await asyncio.sleep(0.01)
            await other.admit("second")
            assert not late.done()
            assert await read_all(other, content) == b"precious"
            with pytest.raises(StoreError) as refused:
                await late
            assert refused.value.kind is ErrorKind.INTERNAL
            assert await read_all(other, content) == b"precious"
            assert await other.remove(DEFAULT_DOMAIN, content.blake3, "second") == 8


async def test_a_deletion_that_is_held_up_before_it_looks_is_refused(s3: S3Settings) -> None:
    async with opened(s3) as stopped, opened(s3) as other:
        content = await other.put(DEFAULT_DOMAIN, b"precious")
        await stopped.admit("first")
        await other.admit("second")
        with pytest.raises(StoreError) as refused:
            await stopped.remove(DEFAULT_DOMAIN, content.blake3, "first")
        assert refused.value.kind is ErrorKind.CONFLICT
        assert await read_all(other, content) == b"precious"


async def test_the_first_permit_of_a_store_waits_for_nobody(s3: S3Settings) -> None:
    async with opened(s3) as store:
        async with asyncio.timeout(s3.stall):
            await store.admit("first")


async def test_what_a_push_healed_meanwhile_is_not_set_aside(s3: S3Settings, seaweed: SeaweedServer) -> None:
    async with before(s3, seaweed.port) as (proxy, through_proxy), opened(s3) as other:
        async with opened(through_proxy) as slow:
            content = await other.put(DEFAULT_DOMAIN, b"precious")
            key = s3.prefix + await content_key(s3)
            async with client(s3) as asked:
                await asked.put_object(Bucket=s3.bucket, Key=key, Body=b"spoilt!!")
            proxy.spoil(Slow(2), 1, lambda asked: _is_a_deletion(asked) and "/content/" in asked.target)
            late = asyncio.create_task(slow.quarantine(DEFAULT_DOMAIN, content.blake3))
            while not proxy.spoiled:
                await asyncio.sleep(0.01)
            await other.put(DEFAULT_DOMAIN, b"precious")
            assert not late.done()
            assert await late
            assert await read_all(other, content) == b"precious"
