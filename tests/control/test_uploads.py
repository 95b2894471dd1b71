"""Upload sessions: resumed, completed, refused, forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN, DataPlane
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.control import Limits, reaper
from tests.control.world import (
    BOB,
    DAY,
    DEMO,
    HOUR,
    OTHER,
    World,
    blake3,
    once,
    open_world,
    refused,
    sha256,
    whole,
)

DATA = b"some bytes that arrive in parts"


async def test_a_session_takes_parts_and_becomes_a_blob(world: World) -> None:
    uploads = world.session.uploads
    session = await uploads.create(DEMO)
    assert session.offset == 0
    assert (await uploads.append(DEMO, session.id, once(DATA[:10]))).offset == 10
    assert (await uploads.get(DEMO, session.id)).offset == 10
    assert (await uploads.append(DEMO, session.id, once(DATA[10:]), offset=10)).offset == len(DATA)
    content = await uploads.complete(DEMO, session.id, sha256(DATA))
    assert (content.blake3, content.sha256, content.size) == (blake3(DATA), sha256(DATA), len(DATA))
    assert await whole((await world.session.blobs.get(DEMO, sha256(DATA))).stream()) == DATA
    assert await world.kinds() == ["repository.created", "content.stored", "blob.linked"]
    async with refused(world, ErrorKind.UPLOAD_UNKNOWN):
        await uploads.complete(DEMO, session.id, sha256(DATA))
    await world.check()


async def test_a_wrong_offset_says_the_right_one_and_the_session_lives(world: World) -> None:
    uploads = world.session.uploads
    session = await uploads.create(DEMO)
    await uploads.append(DEMO, session.id, once(DATA[:10]))
    async with refused(world, ErrorKind.OFFSET_MISMATCH) as seen:
        await uploads.append(DEMO, session.id, once(DATA[5:]), offset=5)
    assert seen.error is not None
    assert seen.error.detail["offset"] == 10
    await uploads.append(DEMO, session.id, once(DATA[10:]), offset=10)
    await uploads.complete(DEMO, session.id, sha256(DATA))


async def test_a_wrong_digest_leaves_the_session_as_it_was(world: World) -> None:
    uploads = world.session.uploads
    for repository in (DEMO, None):
        session = await uploads.create(repository)
        await uploads.append(repository, session.id, once(DATA[:-1]))
        async with refused(world, ErrorKind.DIGEST_MISMATCH):
            await uploads.complete(repository, session.id, sha256(DATA))
        await uploads.append(repository, session.id, once(DATA[-1:]))
        assert (await uploads.complete(repository, session.id, sha256(DATA))).size == len(DATA)


async def test_what_arrived_before_a_break_stays(world: World) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield DATA[:7]
        raise StoreError(ErrorKind.UPLOAD_ABORTED, "gone")

    uploads = world.session.uploads
    session = await uploads.create(DEMO)
    async with refused(world, ErrorKind.UPLOAD_ABORTED):
        await uploads.append(DEMO, session.id, broken())
    assert (await uploads.get(DEMO, session.id)).offset == 7


async def test_a_body_of_another_length_than_announced(world: World) -> None:
    uploads = world.session.uploads
    session = await uploads.create(DEMO)
    async with refused(world, ErrorKind.BAD_REQUEST):
        await uploads.append(DEMO, session.id, once(DATA), length=len(DATA) + 1)
    for length in (len(DATA) - 1, len(DATA) + 1, 100_000):
        async with refused(world, ErrorKind.BAD_REQUEST):
            await uploads.put(DEMO, sha256(DATA), once(DATA), length=length)


async def test_a_blob_in_one_request(world: World) -> None:
    large = bytes(range(256)) * 1000
    for data in (b"", DATA, large):
        for algorithm in Algorithm:
            digest = Digest.of(data, algorithm)
            await world.session.uploads.put(DEMO, digest, once(data), length=len(data))
            await world.session.uploads.put(DEMO, digest, once(data))
            reading = await world.session.blobs.get(DEMO, digest)
            assert (reading.digest, reading.size) == (digest, len(data))
            assert await whole(reading.stream()) == data
    for data in (DATA, large):
        async with refused(world, ErrorKind.DIGEST_MISMATCH):
            await world.session.uploads.put(DEMO, sha256(b"others"), once(data), length=len(data))
    assert [stage async for stage in world.dataplane.stages()] == []
    await world.check()


async def test_declared_sizes_and_digests_are_kept_to(world: World) -> None:
    uploads = world.session.uploads
    session = await uploads.create(None, size=len(DATA), expected=sha256(DATA))
    async with refused(world, ErrorKind.TOO_LARGE):
        await uploads.append(None, session.id, once(DATA + b"x"), length=len(DATA) + 1)
    await uploads.append(None, session.id, once(DATA[:5]))
    async with refused(world, ErrorKind.UPLOAD_INCOMPLETE) as seen:
        await uploads.complete(None, session.id)
    assert seen.error is not None
    assert seen.error.detail["offset"] == 5
    async with refused(world, ErrorKind.DIGEST_MISMATCH):
        await uploads.complete(None, session.id, sha256(b"others"))
    await uploads.append(None, session.id, once(DATA[5:]))
    assert (await uploads.complete(None, session.id)).blake3 == blake3(DATA)


async def test_a_native_session_answers_the_same_for_a_day(world: World) -> None:
    uploads = world.session.uploads
    session = await uploads.create(None)
    async with refused(world, ErrorKind.UPLOAD_INCOMPLETE):
        await uploads.complete(None, session.id)
    await uploads.append(None, session.id, once(DATA))
    content = await uploads.complete(None, session.id)
    world.clock.advance(23 * HOUR)
    head = await world.head()
    assert await uploads.complete(None, session.id, blake3(DATA)) == content
    assert (await uploads.get(None, session.id)).content == content
    assert await world.head() == head
    async with refused(world, ErrorKind.DIGEST_MISMATCH):
        await uploads.complete(None, session.id, sha256(b"others"))
    async with refused(world, ErrorKind.CONFLICT):
        await uploads.append(None, session.id, once(b"more"))
    async with refused(world, ErrorKind.CONFLICT):
        await uploads.cancel(None, session.id)


async def test_nobody_sees_anothers_session(world: World) -> None:
    session = await world.session.uploads.create(DEMO)
    native = await world.session.uploads.create(None)
    for uploads, repository, name in (
        (world.bob.uploads, DEMO, session.id),
        (world.bob.uploads, None, native.id),
        (world.session.uploads, OTHER, session.id),
        (world.session.uploads, DEMO, "00000000-0000-4000-8000-000000000000"),
    ):
        async with refused(world, ErrorKind.UPLOAD_UNKNOWN):
            await uploads.get(repository, name)
        async with refused(world, ErrorKind.UPLOAD_UNKNOWN):
            await uploads.append(repository, name, once(DATA))
        async with refused(world, ErrorKind.UPLOAD_UNKNOWN):
            await uploads.cancel(repository, name)


async def test_cancelling_drops_the_bytes(world: World) -> None:
    uploads = world.session.uploads
    session = await uploads.create(DEMO)
    await uploads.append(DEMO, session.id, once(DATA))
    await uploads.cancel(DEMO, session.id)
    assert [stage async for stage in world.dataplane.stages()] == []
    async with refused(world, ErrorKind.UPLOAD_UNKNOWN):
        await uploads.get(DEMO, session.id)


async def test_limits(database: str | Path, dataplane: DataPlane) -> None:
    limits = Limits(blob_bytes=10, open_uploads=2)
    async with open_world(database, dataplane, limits=limits) as world:
        uploads = world.session.uploads
        for work in (
            lambda: uploads.create(None, size=11),
            lambda: uploads.put(DEMO, sha256(DATA), once(DATA), length=len(DATA)),
            lambda: uploads.put(DEMO, sha256(DATA), once(DATA)),
        ):
            async with refused(world, ErrorKind.TOO_LARGE):
                await work()
        first = await uploads.create(DEMO)
        async with refused(world, ErrorKind.TOO_LARGE):
            await uploads.append(DEMO, first.id, once(DATA))
        await uploads.create(None)
        async with refused(world, ErrorKind.TOO_MANY_REQUESTS):
            await uploads.create(DEMO)
        await world.bob.uploads.create(DEMO)
        await uploads.cancel(DEMO, first.id)
        await uploads.create(DEMO)


# --- what expires ----------------------------------------------------------------------------------------


async def reap(world: World) -> reaper.Reaped:
    token = await reaper.acquire(world.store.core, "holder")
    assert token is not None
    return await reaper.reap(world.store.core, token)


async def test_idle_sessions_go_and_live_ones_stay(world: World) -> None:
    uploads = world.session.uploads
    idle = await uploads.create(DEMO)
    assert await reap(world) == reaper.Reaped()
    world.clock.advance(DAY + HOUR)
    fresh = await uploads.create(DEMO)
    assert await reap(world) == reaper.Reaped(uploads=1)
    async with refused(world, ErrorKind.UPLOAD_UNKNOWN):
        await uploads.get(DEMO, idle.id)
    assert (await uploads.get(DEMO, fresh.id)).id == fresh.id


async def test_a_session_whose_bytes_moved_lately_is_prolonged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row is old, its stage is not: the row is corrected and no longer in the reaper's way."""
    uploads = world.session.uploads
    session = await uploads.create(DEMO)
    await uploads.append(DEMO, session.id, once(DATA))
    touched = max([status.touched async for _, status in world.dataplane.stages()])
    world.clock.time = touched + HOUR
    assert await reap(world) == reaper.Reaped()
    reached = await uploads.get(DEMO, session.id)
    assert reached.expires_at >= touched + DAY
    world.clock.time = touched + DAY + HOUR
    assert (await reap(world)).uploads == 1
    assert [stage async for stage in world.dataplane.stages()] == []


async def test_a_completed_native_session_and_its_lease_end_after_a_day(world: World) -> None:
    uploads = world.session.uploads
    session = await uploads.create(None)
    await uploads.append(None, session.id, once(DATA))
    await uploads.complete(None, session.id)
    assert (await world.session.contents.get(blake3(DATA))).size == len(DATA)
    async with refused(world, ErrorKind.CONTENT_UNKNOWN):
        await world.bob.contents.get(blake3(DATA))
    world.clock.advance(DAY + HOUR)
    async with refused(world, ErrorKind.CONTENT_UNKNOWN):
        await world.session.contents.get(blake3(DATA))
    assert await reap(world) == reaper.Reaped(uploads=1, leases=1)


async def test_stages_without_a_session_go(world: World) -> None:
    from registry.contract.dataplane import Stage

    stage = Stage(DEFAULT_DOMAIN, world.store.core.identifiers.new())
    await world.dataplane.append(stage, 0, once(DATA))
    touched = (await world.dataplane.staged(stage)).touched
    world.clock.time = touched + HOUR
    assert (await reap(world)).stages == 0
    world.clock.time = touched + DAY + HOUR
    assert (await reap(world)).stages == 1


async def test_one_holder_at_a_time_and_an_old_token_is_refused(world: World) -> None:
    core = world.store.core
    first = await reaper.acquire(core, "first")
    assert first is not None
    assert await reaper.acquire(core, "second") is None
    assert await reaper.acquire(core, "first") == first
    world.clock.advance(HOUR)
    second = await reaper.acquire(core, "second")
    assert second is not None
    assert second > first
    await world.session.uploads.create(DEMO)
    world.clock.advance(3 * DAY)
    async with refused(world, ErrorKind.UNAVAILABLE):
        await reaper.reap(core, first)
    assert (await reaper.reap(core, second)).uploads == 1


async def test_names_of_principals_stay_out_of_the_ledger(world: World) -> None:
    principal = await world.store.principal("carol@example.org")
    assert await world.store.principal("carol@example.org") == principal
    assert principal.id != BOB.id
    session = world.store.for_principal(principal)
    await session.uploads.put(DEMO, sha256(DATA), once(DATA))
    page = await world.session.ledger.page(after=0, limit=100)
    assert {event.actor for event in page.items} == {principal.id}
    assert not any(b"carol" in event.envelope for event in page.items)
