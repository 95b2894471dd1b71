"""Several processes on one bucket: an upload goes on where another left it, and two at once spoil nothing."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN, Stage
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane import S3Settings
from registry.dataplane.engine import Engine
from tests.dataplane.support import Held, all_stages, body, content_of, new_stage, read_all
from tests.drivers.s3.replica import content
from tests.drivers.s3.stores import MIB, opened, pieces, some
from tests.objectstore.asking import keys, unfinished

pytestmark = pytest.mark.slow


@pytest.fixture
async def replicas(s3: S3Settings) -> AsyncIterator[list[Engine]]:
    """Three stores on one bucket, as three processes have them."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(opened(s3)) for _ in range(3)]


def begin(where: S3Settings, *step: object) -> subprocess.Popen[str]:
    settings = json.dumps(dataclasses.asdict(where))
    command = [sys.executable, "-m", "tests.drivers.s3.replica", settings, *map(str, step)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def told(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return (await asyncio.to_thread(process.stdout.readline)).strip()


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


async def test_begun_on_a_continued_on_b_completed_on_c(replicas: list[Engine]) -> None:
    first, second, third = replicas
    data, stage = some(23 * MIB + 11), new_stage()
    cuts = [0, 7 * MIB + 1, 12 * MIB, len(data)]
    for store, start, end in zip([first, second, first], cuts, cuts[1:], strict=False):
        assert (await store.staged(stage)).offset == start
        assert await store.append(stage, start, pieces(data[start:end])) == end
    assert await third.commit(stage, Digest.of(data, Algorithm.SHA256)) == content_of(data)
    assert await read_all(second, content_of(data)) == data
    assert [await all_stages(store) for store in replicas] == [[], [], []]


@pytest.mark.parametrize("size", [100, 30 * MIB])
async def test_what_a_killed_replica_acknowledged_is_there_for_the_others(s3: S3Settings, size: int) -> None:
    upload = new_stage().id
    stage = Stage(DEFAULT_DOMAIN, upload)
    first = begin(s3, "append", upload, 0, size, 1)
    assert await told(first) == str(size)
    kill(first)
    second = begin(s3, "hang", upload, size, 17 * MIB, 2)
    assert await told(second) == "hanging"
    kill(second)  # SIGKILL in the middle of a PATCH
    whole = content(1, size) + content(2, 17 * MIB)
    async with opened(s3) as store:
        offset = (await store.staged(stage)).offset
        assert size <= offset <= len(whole)
        await store.append(stage, offset, pieces(whole[offset:]))
        assert await store.commit(stage, Digest.of(whole, Algorithm.SHA256)) == content_of(whole)
        assert await read_all(store, content_of(whole)) == whole
    assert [key for key in await keys(s3) if key.startswith("uploads/")] == []
    assert await unfinished(s3) == []


async def test_of_two_that_write_at_one_offset_one_is_told_and_nothing_is_mixed(
    replicas: list[Engine],
) -> None:
    first, second, third = replicas
    for size in (10, 300_000, 11 * MIB):
        stage, one, other = new_stage(), some(size), some(size)
        outcomes = await asyncio.gather(
            first.append(stage, 0, pieces(one)),
            second.append(stage, 0, pieces(other)),
            return_exceptions=True,
        )
        refused = [outcome for outcome in outcomes if isinstance(outcome, StoreError)]
        assert [error.kind for error in refused] in ([ErrorKind.UPLOAD_BUSY], [ErrorKind.OFFSET_MISMATCH])
        winner = one if outcomes[0] == size else other
        assert await third.commit(stage, Digest.of(winner, Algorithm.SHA256)) == content_of(winner)


async def test_a_replica_that_wakes_up_late_is_told(replicas: list[Engine]) -> None:
    """It holds the stage, pauses, and another goes on meanwhile: its own bytes are refused."""
    first, second, third = replicas
    stage, held = new_stage(), Held(some(2 * MIB))  # more than a batch: the hold is taken
    late = asyncio.create_task(first.append(stage, 0, held))
    await held.reached.wait()
    assert await second.append(stage, 0, body(b"went on")) == 7
    held.go_on.set()
    with pytest.raises(StoreError) as refused:
        await late
    assert refused.value.kind is ErrorKind.UPLOAD_BUSY
    assert await third.commit(stage, None) == content_of(b"went on")


async def test_a_replica_that_appends_after_the_completion_changes_nothing(replicas: list[Engine]) -> None:
    first, second, _ = replicas
    stage, held = new_stage(), Held(some(2 * MIB))
    await first.append(stage, 0, body(b"content"))
    late = asyncio.create_task(first.append(stage, 7, held))
    await held.reached.wait()
    assert await second.commit(stage, None) == content_of(b"content")
    held.go_on.set()
    assert await late == 7 + 2 * MIB
    assert (await second.staged(stage)).offset == 0
    assert [found for found, _ in await all_stages(second)] == [stage.id]  # for the reaper
    await second.discard(stage)
    assert await all_stages(first) == []


@pytest.mark.parametrize("size", [100, 12 * MIB])
async def test_completed_on_all_at_once(replicas: list[Engine], size: int) -> None:
    data, stage = some(size), new_stage()
    await replicas[0].append(stage, 0, pieces(data))
    digest = Digest.of(data, Algorithm.SHA256)
    outcomes = await asyncio.gather(*(r.commit(stage, digest) for r in replicas), return_exceptions=True)
    assert content_of(data) in outcomes
    for outcome in outcomes:
        if isinstance(outcome, StoreError):  # it came when there was nothing left
            assert outcome.kind in {ErrorKind.UPLOAD_BUSY, ErrorKind.DIGEST_MISMATCH}
        else:
            assert outcome == content_of(data)
    assert await read_all(replicas[1], content_of(data)) == data


async def test_the_same_content_pushed_to_all_at_once(replicas: list[Engine]) -> None:
    data = some(11 * MIB)
    stages = [new_stage() for _ in replicas]
    for store, stage in zip(replicas, stages, strict=True):
        await store.append(stage, 0, pieces(data))
    done = await asyncio.gather(*(s.commit(stage, None) for s, stage in zip(replicas, stages, strict=True)))
    assert list(done) == [content_of(data)] * 3
    assert (await replicas[0].use()).objects == 1
    assert [await all_stages(store) for store in replicas] == [[], [], []]


async def test_a_mismatch_leaves_the_stage_for_every_replica(replicas: list[Engine]) -> None:
    stage = new_stage()
    await replicas[0].append(stage, 0, body(b"some"))
    with pytest.raises(StoreError) as refused:
        await replicas[1].commit(stage, Digest.of(b"other", Algorithm.SHA256))
    assert refused.value.kind is ErrorKind.DIGEST_MISMATCH
    assert await replicas[2].append(stage, 4, body(b" more")) == 9
    assert await replicas[0].commit(stage, Digest.of(b"some more", Algorithm.SHA512)) == content_of(
        b"some more", sha512=True
    )
