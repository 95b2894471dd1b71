"""What a bucket has of its own: format, versions, locks, encryption, presigned URLs, examination."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane import S3Settings, examine_s3
from tests.dataplane.support import all_stages, content_of, new_stage, read_all
from tests.drivers.s3.stores import MIB, opened, pieces, some
from tests.objectstore.asking import client, keys, make_bucket
from tests.objectstore.proxy import Answer, Asked, before
from tests.objectstore.seaweed import SeaweedServer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def locking(seaweed: SeaweedServer) -> S3Settings:
    """A bucket with Object Lock, which keeps versions."""
    where = seaweed.settings("", bucket="locking")
    asyncio.run(make_bucket(where, lock=True))
    return where


@pytest.fixture
def locked(locking: S3Settings) -> S3Settings:
    return dataclasses.replace(locking, prefix=f"{uuid.uuid4().hex}/")


async def head(where: S3Settings, key: str) -> dict[str, Any]:
    async with client(where) as asked:
        found: dict[str, Any] = await asked.head_object(Bucket=where.bucket, Key=where.prefix + key)
        return found


async def versions(where: S3Settings) -> list[str]:
    async with client(where) as asked:
        answer = await asked.list_object_versions(Bucket=where.bucket, Prefix=where.prefix)
        entries = (*answer.get("Versions", ()), *answer.get("DeleteMarkers", ()))
        return [entry["Key"].removeprefix(where.prefix) for entry in entries]


async def content_key(where: S3Settings) -> str:
    (key,) = [key for key in await keys(where) if key.startswith("content/")]
    return key


class TestFormat:
    async def test_a_new_store_says_its_format_and_opens_again(self, s3: S3Settings) -> None:
        for _ in range(2):
            async with opened(s3):
                assert await keys(s3) == {"FORMAT": 42}

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (b"artifact-store data plane on S3, format 2\n", "version that wrote it"),
            (b"something else\n", "damaged"),
            (b"", "damaged"),
            (b"x" * 5000, "damaged"),
        ],
    )
    async def test_what_it_does_not_know_is_refused(self, s3: S3Settings, text: bytes, said: str) -> None:
        async with client(s3) as asked:
            await asked.put_object(Bucket=s3.bucket, Key=f"{s3.prefix}FORMAT", Body=text)
        with pytest.raises(StoreError, match=said) as refused:
            async with opened(s3):
                pass
        assert refused.value.kind is ErrorKind.INTERNAL

    async def test_content_without_a_format_is_refused(self, s3: S3Settings) -> None:
        async with opened(s3) as store:
            await store.put(DEFAULT_DOMAIN, b"precious")
        async with client(s3) as asked:
            await asked.delete_object(Bucket=s3.bucket, Key=f"{s3.prefix}FORMAT")
        with pytest.raises(StoreError, match="backup"):
            async with opened(s3):
                pass

    async def test_an_emptied_bucket_is_no_absence(self, s3: S3Settings) -> None:
        async with opened(s3) as store:
            kept = await store.put(DEFAULT_DOMAIN, b"precious")
            async with client(s3) as asked:
                for key in await keys(s3):
                    await asked.delete_object(Bucket=s3.bucket, Key=s3.prefix + key)
            with pytest.raises(StoreError, match="right bucket") as refused:
                await store.size(DEFAULT_DOMAIN, kept.blake3)
            assert refused.value.kind is ErrorKind.INTERNAL

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda s3: dataclasses.replace(s3, bucket="no-such-bucket"), "does not exist"),
            (lambda s3: dataclasses.replace(s3, access_key="nobody"), "access key is not known"),
            (lambda s3: dataclasses.replace(s3, secret_key="wrong"), "secret key"),
        ],
    )
    async def test_what_is_wrong_is_said(
        self, s3: S3Settings, change: Callable[[S3Settings], S3Settings], said: str
    ) -> None:
        with pytest.raises(StoreError, match=said) as refused:
            async with opened(change(s3)):
                pass
        assert refused.value.kind is ErrorKind.INTERNAL

    async def test_a_service_that_is_away_is_unavailable(self, s3: S3Settings) -> None:
        away = dataclasses.replace(s3, endpoint="http://127.0.0.1:9", patience=0.2)
        with pytest.raises(StoreError) as refused:
            async with opened(away):
                pass
        assert refused.value.kind is ErrorKind.UNAVAILABLE


class TestReadiness:
    async def test_only_the_first_question_in_a_minute_writes(
        self, s3: S3Settings, seaweed: SeaweedServer
    ) -> None:
        async with before(s3, seaweed.port) as (proxy, where), opened(where) as store:
            written = len([head for head in proxy.heads if head.startswith(b"PUT")])
            for _ in range(5):
                await store.check_writable()
            heads = [head for head in proxy.heads if head.startswith(b"PUT")]
            assert len(heads) == written + 1

    async def test_after_a_failure_only_writing_is_proof(
        self, s3: S3Settings, seaweed: SeaweedServer
    ) -> None:
        impatient = dataclasses.replace(s3, patience=0.5)
        async with before(impatient, seaweed.port) as (proxy, where), opened(where) as store:
            await store.check_writable()
            proxy.plan = lambda _: Answer(503, "SlowDown")
            with pytest.raises(StoreError, match="try again") as caught:
                await store.check_writable()
            assert caught.value.kind is ErrorKind.UNAVAILABLE
            proxy.plan = lambda asked: Answer(403, "AccessDenied") if _is_a_put(asked) else None
            with pytest.raises(StoreError, match="AccessDenied"):
                await store.check_writable()
            proxy.heal()
            await store.check_writable()


class TestVersions:
    async def test_what_is_deleted_leaves_no_version(self, locked: S3Settings) -> None:
        async with opened(locked) as store:
            content = await store.put(DEFAULT_DOMAIN, some(1000))
            stage, data = new_stage(), some(12 * MIB)
            await store.append(stage, 0, pieces(data[: 6 * MIB]))
            await store.append(stage, 6 * MIB, pieces(data[6 * MIB :]))
            large = await store.commit(stage, None)
            await store.check_writable()
            assert await all_stages(store) == []
            assert await store.remove(DEFAULT_DOMAIN, content.blake3) == 1000
            assert await store.remove(DEFAULT_DOMAIN, large.blake3) == 12 * MIB
            assert await store.remove(DEFAULT_DOMAIN, content.blake3) == 0
        assert set(await versions(locked)) == {"FORMAT"}


class TestObjectLock:
    async def test_content_is_locked_for_so_long_and_segments_are_not(self, locked: S3Settings) -> None:
        where = dataclasses.replace(locked, lock_mode="GOVERNANCE", lock_days=3)
        for data in (some(1000), some(100_000), some(12 * MIB)):
            one = dataclasses.replace(where, prefix=f"{uuid.uuid4().hex}/")
            async with opened(one) as store:
                stage = new_stage()
                await store.append(stage, 0, pieces(data[:500]))
                await store.append(stage, 500, pieces(data[500:]))
                await store.commit(stage, None)
            found = await head(one, await content_key(one))
            assert found["ObjectLockMode"] == "GOVERNANCE"
            left = found["ObjectLockRetainUntilDate"] - datetime.now(UTC)
            assert timedelta(days=2.9) < left < timedelta(days=3.1)
            assert not any(key.startswith("uploads/") for key in await versions(one))

    async def test_a_deletion_is_refused_with_a_sentence_and_the_content_stays(
        self, locked: S3Settings
    ) -> None:
        where = dataclasses.replace(locked, lock_mode="COMPLIANCE", lock_days=1)
        async with opened(where) as store:
            content = await store.put(DEFAULT_DOMAIN, b"evidence")
            with pytest.raises(StoreError, match=r"object lock keeps .* compliance until") as refused:
                await store.remove(DEFAULT_DOMAIN, content.blake3)
            assert refused.value.kind is ErrorKind.HELD
            assert await read_all(store, content) == b"evidence"

    async def test_a_legal_hold_is_respected_too(self, locked: S3Settings) -> None:
        async with opened(locked) as store:
            content = await store.put(DEFAULT_DOMAIN, b"evidence")
            async with client(locked) as asked:
                await asked.put_object_legal_hold(
                    Bucket=locked.bucket,
                    Key=locked.prefix + await content_key(locked),
                    LegalHold={"Status": "ON"},
                )
            with pytest.raises(StoreError, match="legal hold"):
                await store.remove(DEFAULT_DOMAIN, content.blake3)
            assert await read_all(store, content) == b"evidence"

    async def test_content_that_comes_again_is_kept_as_long_as_if_it_were_new(
        self, locked: S3Settings
    ) -> None:
        one_day = dataclasses.replace(locked, lock_mode="GOVERNANCE", lock_days=1)
        async with opened(one_day) as store:
            await store.put(DEFAULT_DOMAIN, b"evidence")
        async with opened(dataclasses.replace(one_day, lock_days=9)) as store:
            await store.put(DEFAULT_DOMAIN, b"evidence")
        found = await head(locked, await content_key(locked))
        assert found["ObjectLockRetainUntilDate"] - datetime.now(UTC) > timedelta(days=8.9)

    async def test_corrupt_content_gives_way_although_it_is_locked(self, locked: S3Settings) -> None:
        where = dataclasses.replace(locked, lock_mode="GOVERNANCE", lock_days=1)
        async with opened(where) as store:
            content = await store.put(DEFAULT_DOMAIN, b"evidence")
            async with client(where) as asked:
                await asked.put_object(
                    Bucket=where.bucket,
                    Key=where.prefix + await content_key(where),
                    Body=b"evasions",
                    ObjectLockMode="GOVERNANCE",
                    ObjectLockRetainUntilDate=datetime.now(UTC) + timedelta(days=1),
                )
            await store.quarantine(DEFAULT_DOMAIN, content.blake3)
            with pytest.raises(StoreError) as refused:
                await store.size(DEFAULT_DOMAIN, content.blake3)
            assert refused.value.kind is ErrorKind.CONTENT_UNKNOWN
            await store.put(DEFAULT_DOMAIN, b"evidence")
            assert await read_all(store, content) == b"evidence"


class TestHowContentIsKept:
    async def test_storage_class_and_encryption_go_with_every_way_of_writing(
        self, s3: S3Settings, seaweed: SeaweedServer
    ) -> None:
        """The server here has no keys, so what is asked of it is looked at instead of what it does."""
        heads: list[bytes] = []
        async with before(s3, seaweed.port) as (proxy, through_proxy):
            where = dataclasses.replace(through_proxy, storage_class="STANDARD_IA")
            async with opened(where) as store:
                await store.put(DEFAULT_DOMAIN, some(1000))
                for sizes in ([100_000], [6 * MIB, 6 * MIB]):
                    stage, sent = new_stage(), 0
                    for size in sizes:
                        await store.append(stage, sent, pieces(some(size)))
                        sent += size
                    await store.commit(stage, None)
            heads = proxy.heads
        for found in heads:
            line = found.split(b"\r\n", 1)[0]
            makes_content = b"/content/" in line and (
                (line.startswith(b"PUT") and b"partNumber" not in line) or b"?uploads" in line
            )
            assert (b"x-amz-storage-class: STANDARD_IA" in found) == makes_content, line
        classes = {(await head(s3, key)).get("StorageClass") for key in await keys(s3) if "content/" in key}
        assert classes == {"STANDARD_IA"}

    async def test_encrypted_content_reads_as_it_was_sent(self, s3: S3Settings) -> None:
        data, stage = some(20 * MIB), new_stage()
        where = dataclasses.replace(s3, sse="AES256")
        async with opened(where) as store:
            await store.append(stage, 0, pieces(data[:1000]))
            await store.append(stage, 1000, pieces(data[1000 : 9 * MIB]))
            await store.append(stage, 9 * MIB, pieces(data[9 * MIB :]))
            assert await store.commit(stage, None) == content_of(data)
            assert await read_all(store, content_of(data)) == data
            assert (await head(s3, await content_key(s3)))["ServerSideEncryption"] == "AES256"

    @pytest.mark.parametrize(("sse", "key"), [("AES256", None), ("aws:kms", "key-1")])
    async def test_encryption_is_asked_for(
        self, s3: S3Settings, seaweed: SeaweedServer, sse: str, key: str | None
    ) -> None:
        async with opened(s3):
            pass
        async with before(s3, seaweed.port) as (proxy, through_proxy):
            where = dataclasses.replace(through_proxy, sse=sse, sse_key=key, patience=0.1)
            with suppress(StoreError):  # there is no such key
                async with opened(where) as store:
                    await store.put(DEFAULT_DOMAIN, b"x")
            puts = [found for found in proxy.heads if found.startswith(b"PUT")]
            assert puts
            for found in puts:
                assert f"x-amz-server-side-encryption: {sse}".encode() in found
                assert (b"x-amz-server-side-encryption-aws-kms-key-id: key-1" in found) == (key is not None)


class TestWithoutConditionalWrites:
    async def test_a_service_that_ignores_conditions_stores_all_the_same(
        self, s3: S3Settings, seaweed: SeaweedServer
    ) -> None:
        async with opened(s3):
            pass
        async with before(s3, seaweed.port) as (proxy, through_proxy):
            proxy.spoil(Answer(200, "Overwritten"), 1, _is_a_put)
            async with opened(through_proxy) as store:
                for _ in range(2):
                    data, stage = b"same" * 10_000, new_stage()
                    await store.append(stage, 0, pieces(data))
                    assert await store.commit(stage, None) == content_of(data)
                    await store.put(DEFAULT_DOMAIN, b"small")
                assert (await store.use()).objects == 2
            assert sum(b"if-none-match" in found.lower() for found in proxy.heads) == 1

    async def test_a_service_that_refuses_them_is_not_asked_again(
        self, s3: S3Settings, seaweed: SeaweedServer
    ) -> None:
        async with opened(s3):
            pass
        async with before(s3, seaweed.port) as (proxy, through_proxy):
            proxy.spoil(Answer(501, "NotImplemented"), 1, _is_a_put)
            async with opened(through_proxy) as store:
                content = await store.put(DEFAULT_DOMAIN, b"small")
                assert await read_all(store, content) == b"small"
            assert sum(b"if-none-match" in found.lower() for found in proxy.heads) == 1


def _is_a_put(asked: Asked) -> bool:
    return asked.method == "PUT"


class TestLinks:
    async def test_large_blobs_have_a_link_that_works_for_who_has_it(self, s3: S3Settings) -> None:
        async with opened(dataclasses.replace(s3, redirect_bytes=1000)) as store:
            large = await store.put(DEFAULT_DOMAIN, some(1000))
            small = await store.put(DEFAULT_DOMAIN, some(999))
            assert await store.link(DEFAULT_DOMAIN, small.blake3) is None
            url = await store.link(DEFAULT_DOMAIN, large.blake3)
            assert url is not None
            assert await asyncio.to_thread(fetch, url) == await read_all(store, large)
            assert await asyncio.to_thread(fetch, url, "bytes=10-19") == (await read_all(store, large))[10:20]
            with pytest.raises(urllib.error.HTTPError):
                await asyncio.to_thread(fetch, re.sub("Signature=[0-9a-f]+", "Signature=00", url))
            with pytest.raises(StoreError) as refused:
                await store.link(DEFAULT_DOMAIN, content_of(b"absent").blake3)
            assert refused.value.kind is ErrorKind.CONTENT_UNKNOWN

    async def test_a_link_ends(self, s3: S3Settings) -> None:
        async with opened(dataclasses.replace(s3, redirect_bytes=0, redirect_for=1.0)) as store:
            content = await store.put(DEFAULT_DOMAIN, b"soon gone")
            url = await store.link(DEFAULT_DOMAIN, content.blake3)
            assert url is not None
            await asyncio.sleep(2.5)
            with pytest.raises(urllib.error.HTTPError):
                await asyncio.to_thread(fetch, url)

    async def test_off_by_default_and_with_the_public_name_where_there_is_one(self, s3: S3Settings) -> None:
        async with opened(s3) as store:
            content = await store.put(DEFAULT_DOMAIN, some(1000))
            assert await store.link(DEFAULT_DOMAIN, content.blake3) is None
        public = dataclasses.replace(s3, redirect_bytes=0, redirect_endpoint="https://files.example.com")
        async with opened(public) as store:
            url = await store.link(DEFAULT_DOMAIN, content.blake3)
            assert url is not None
            assert url.startswith("https://files.example.com/store/")


def fetch(url: str, extent: str | None = None) -> bytes:
    request = urllib.request.Request(url, headers={"Range": extent} if extent else {})
    with urllib.request.urlopen(request) as answer:
        found: bytes = answer.read()
        return found


class TestExamination:
    async def test_a_good_bucket(self, s3: S3Settings) -> None:
        found = await examine_s3(s3)
        assert "list, write, read and delete; conditional writes offered" in found.text
        assert "object lock off" in found.text
        assert found.notices == ()
        assert await keys(s3) == {}

    async def test_a_bucket_with_locks(self, locked: S3Settings) -> None:
        found = await examine_s3(locked)
        assert "versions kept; object lock on, without a default retention" in found.text
        assert await versions(locked) == []

    async def test_locks_that_are_set_and_cannot_be(self, s3: S3Settings) -> None:
        found = await examine_s3(dataclasses.replace(s3, lock_mode="GOVERNANCE", lock_days=1))
        assert "without object lock" in found.notices[0]

    async def test_conditions_that_are_not_offered(self, s3: S3Settings, seaweed: SeaweedServer) -> None:
        async with before(s3, seaweed.port) as (proxy, through_proxy):
            proxy.plan = lambda asked: (
                Answer(501, "NotImplemented") if b"if-none-match" in proxy.heads[-1].lower() else None
            )
            found = await examine_s3(through_proxy)
        assert "conditional writes not offered" in found.text
        assert "two replicas" in found.notices[0]

    async def test_credentials_that_may_only_read(self, s3: S3Settings) -> None:
        reader = dataclasses.replace(s3, access_key="reader", secret_key="reader-secret")
        with pytest.raises(StoreError, match="do not let us write") as refused:
            await examine_s3(reader)
        assert refused.value.kind is ErrorKind.INTERNAL

    async def test_a_bucket_that_is_not_there(self, s3: S3Settings) -> None:
        with pytest.raises(StoreError, match="does not exist"):
            await examine_s3(dataclasses.replace(s3, bucket="no-such-bucket"))
